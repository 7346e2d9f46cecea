//! Which headers travel, in both directions.

use crate::{
    chat::{Native, Number},
    provider::{Credential, Provider},
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, ORIGIN,
        PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, REFERER, SET_COOKIE, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE, VIA,
    },
};

/// Headers of one connection. Source: RFC 9110 7.6.1, and ollama server/cloud_proxy.go.
const HOP_BY_HOP: [HeaderName; 7] =
    [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Beginnings of headers in which browsers and proxies say who the client is and where it comes from.
const WHEREABOUTS: [&str; 5] = ["x-forwarded-", "x-real-", "x-original-", "sec-", "cf-"];

/// Headers that say who the client is, or what it holds for us; an upstream has no use for them.
const OURS: [&str; 12] = [
    NUM_CTX,
    KEEP_ALIVE,
    API_KEY,
    "api-key",
    "x-goog-api-key",
    "x-gateway-key",
    "keep-alive",
    "proxy-connection",
    "x-unigate-cache-ttl",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
];

/// Takes out of a request what must not travel.
///
/// `Host` is the upstream's (the client below sets it from the address); the body's length is what the body says;
/// an answer is wanted uncompressed, because it is watched.
pub(super) fn outgoing(headers: &mut HeaderMap, forward_client_key: bool, via: &HeaderValue) {
    strip_connection(headers);
    for name in [HOST, CONTENT_LENGTH, EXPECT, COOKIE, ORIGIN, REFERER] {
        headers.remove(name);
    }
    if !forward_client_key {
        headers.remove(AUTHORIZATION);
    }
    for name in OURS {
        if !(forward_client_key && name.ends_with("api-key")) {
            headers.remove(name);
        }
    }
    let whereabouts = |name: &&HeaderName| WHEREABOUTS.iter().any(|w| name.as_str().starts_with(w));
    let found: Vec<HeaderName> = headers.keys().filter(whereabouts).cloned().collect();
    for name in found {
        headers.remove(name);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.append(VIA, via.clone());
}

/// Suits what [`outgoing`] left to the upstream: a client's credential stands where this one looks for it, what it
/// wants on every request is there, and what is Anthropic's own goes to nobody else.
///
/// `client` and `upstream` are the names of the dialects that are spoken on either side.
pub(super) fn suit(headers: &mut HeaderMap, provider: &Provider, client: &str, upstream: &str) {
    match provider.credential {
        Credential::Bearer if client == "anthropic" && upstream != "anthropic" => {
            if let Some(key) = headers.remove(API_KEY)
                && !headers.contains_key(AUTHORIZATION)
                && let Ok(bearer) = HeaderValue::try_from([b"Bearer ", key.as_bytes()].concat())
            {
                headers.insert(AUTHORIZATION, bearer);
            }
        }
        // Its own clients say it as they mean it: what is a key and what a token of a session are not the same.
        Credential::Header(name) if client != "anthropic" && !headers.contains_key(name) => {
            let bearer = headers.get(AUTHORIZATION).and_then(|value| {
                let (scheme, key) = value.as_bytes().split_at_checked(7)?;
                scheme
                    .eq_ignore_ascii_case(b"bearer ")
                    .then(|| HeaderValue::from_bytes(key).ok())?
            });
            if let Some(mut key) = bearer {
                key.set_sensitive(true);
                headers.remove(AUTHORIZATION);
                headers.insert(HeaderName::from_static(name), key);
            }
        }
        Credential::Bearer | Credential::Header(_) => {}
    }
    if upstream != "anthropic" {
        for name in
            ["anthropic-version", "anthropic-beta", "anthropic-dangerous-direct-browser-access"]
        {
            headers.remove(name);
        }
    }
    for (name, value) in provider.headers {
        let name = HeaderName::from_static(name);
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

const API_KEY: &str = "x-api-key";

/// What a client that can set only headers says to an Ollama: `x-unigate-num-ctx`, `x-unigate-keep-alive`.
///
/// A number of seconds or a duration such as `10m` for the second, as Ollama takes them. What is neither is nothing.
pub(super) fn native(headers: &HeaderMap) -> Native {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let raw = |text: &str| {
        let number = Number::literal(text).map(|number| number.as_raw().to_owned());
        number.or_else(|| serde_json::value::to_raw_value(text).ok())
    };
    let context = text(NUM_CTX).and_then(Number::literal).map(|n| n.as_raw().to_owned());
    Native {
        keep_alive: text(KEEP_ALIVE).filter(|text| !text.is_empty()).and_then(raw),
        options: context.map(|context| ("num_ctx".to_owned(), context)).into_iter().collect(),
        ..Native::default()
    }
}

const NUM_CTX: &str = "x-unigate-num-ctx";
const KEEP_ALIVE: &str = "x-unigate-keep-alive";

/// Takes out of an answer what must not travel. What it says of its length stays only if its bytes do.
pub(super) fn incoming(headers: &mut HeaderMap, same_bytes: bool) {
    // Source: RFC 9112 6.3, of two lengths the one in chunks holds.
    let same_bytes = same_bytes && !headers.contains_key(TRANSFER_ENCODING);
    strip_connection(headers);
    headers.remove(SET_COOKIE);
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    // The door's own words on origins stand alone; see access.
    for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
        headers.remove(name);
    }
    if !same_bytes {
        headers.remove(CONTENT_LENGTH);
        headers.remove("etag");
        headers.remove("content-md5");
    }
}

fn strip_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(HOP_BY_HOP.iter()) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn a_clients_credential_and_whereabouts_do_not_travel() {
        let mut seen = headers(&[
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("api-key", "secret"),
            ("x-gateway-key", "secret"),
            ("cookie", "session=1"),
            ("origin", "http://localhost"),
            ("host", "gw.local"),
            ("connection", "x-hop, keep-alive"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "gw.local"),
            ("x-real-ip", "1.2.3.4"),
            ("cf-connecting-ip", "1.2.3.4"),
            ("true-client-ip", "1.2.3.4"),
            ("sec-fetch-site", "same-origin"),
            ("sec-ch-ua", "browser"),
            ("proxy-authorization", "Basic x"),
            ("x-hop", "1"),
            ("user-agent", "test"),
            ("anthropic-beta", "x"),
        ]);
        outgoing(&mut seen, false, &HeaderValue::from_static("1.1 unigate"));
        let mut names: Vec<_> = seen.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "anthropic-beta", "user-agent", "via"]);
    }

    #[test]
    fn a_clients_credential_travels_where_the_upstream_says_so() {
        let mut seen = headers(&[("authorization", "Bearer k"), ("x-gateway-key", "ours")]);
        outgoing(&mut seen, true, &HeaderValue::from_static("1.1 unigate"));
        assert_eq!(seen["authorization"], "Bearer k");
        assert!(!seen.contains_key("x-gateway-key"));
    }

    #[test]
    fn a_length_stays_only_with_its_bytes() {
        let answer =
            headers(&[("content-length", "2"), ("set-cookie", "a=b"), ("openai-version", "x")]);
        let mut same = answer.clone();
        incoming(&mut same, true);
        assert!(same.contains_key("content-length") && same.contains_key("openai-version"));
        assert!(!same.contains_key("set-cookie"));
        let mut other = answer;
        incoming(&mut other, false);
        assert!(!other.contains_key("content-length"));
    }
}
