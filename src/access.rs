//! Who may come in: the host they called, the origin they come from, and the key they bring.
//!
//! It stands above the buffer, so that a stranger is refused before a byte of the body is read. A web page on
//! another site can make a browser send requests to a local port; the host check stops those that came by a
//! rebound name, the origin check those that came straight. A path that could be taken for another one comes to nothing
//! here, since what is allowed is decided by it.
//!
//! Source: ollama server/routes.go allowedHostsMiddleware and envconfig/config.go AllowedOrigins; the rules are the
//! same, so that what reached Ollama reaches us.

mod cors;
mod throttle;

use crate::{
    dialect::Operation,
    error::Error,
    front::{Answered, Client, Front, path, render},
    peer::Peer,
    record::Record,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{AUTHORIZATION, HOST, ORIGIN},
    request,
};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use sha2::{Digest, Sha256};
use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use subtle::ConstantTimeEq;
use throttle::Throttle;
use tower_layer::Layer;
use tower_service::Service;

/// The rules; cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLayer {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    keys: Vec<[u8; 32]>,
    /// For each key, whether it is short enough to be found by trying.
    guessable: Vec<bool>,
    throttle: Option<Throttle>,
    hosts: Vec<String>,
    origins: Vec<String>,
    manage: bool,
}

/// The service of [`AccessLayer`].
#[derive(Clone, Debug)]
pub struct Access<S> {
    inner: S,
    rules: Arc<Rules>,
}

pin_project! {
    /// The future of [`Access`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        answered: Answered<F>,
        // Where a browser comes from; it may read the answer of whoever let it in.
        origin: Option<HeaderValue>,
    }
}

// === impl AccessLayer ===

impl AccessLayer {
    /// A door without a lock: any key, or none, is let in; management routes are allowed.
    pub fn open() -> Self {
        Self::new(&[], Vec::new(), Vec::new(), true)
    }

    /// * `keys`: secrets of which one must be brought; none: nobody is asked for one. Only their digests are kept.
    /// * `hosts`: names that `Host` may have beyond the local ones; `*` for any.
    /// * `origins`: origins that a browser may come from beyond the local ones; `*` for any.
    /// * `manage`: whether models may be pulled, pushed, created, copied and deleted.
    pub fn new(keys: &[&str], hosts: Vec<String>, origins: Vec<String>, manage: bool) -> Self {
        let guessable = keys.iter().map(|key| key.len() < UNGUESSABLE).collect();
        let keys = keys.iter().map(|key| digest(key.as_bytes())).collect();
        let throttle = None;
        Self { rules: Arc::new(Rules { keys, guessable, throttle, hosts, origins, manage }) }
    }

    /// How many wrong keys one address may bring in a minute; 0 is any number. Default 0.
    ///
    /// Beyond it no guess from there is judged for a while: the answer is 429. A right key comes in all the same, if it
    /// is too long to be guessed or has come in from there before. Addresses are told apart by [`Peer`].
    /// A layer that was cloned before keeps what it was told first.
    #[must_use]
    pub fn max_failures_per_min(mut self, failures: u32) -> Self {
        if let Some(rules) = Arc::get_mut(&mut self.rules) {
            rules.throttle = (failures > 0).then(|| Throttle::new(failures));
        }
        self
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access { inner, rules: self.rules.clone() }
    }
}

// === impl Access ===

impl<S, B, R> Service<Request<B>> for Access<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let origin = head.headers.get(ORIGIN).cloned();
        match self.rules.admit(&mut head) {
            Ok(None) => {
                let inner = self.inner.call(Request::from_parts(head, body));
                ResponseFuture { answered: Answered::pass(inner), origin }
            }
            Ok(Some(preflight)) => {
                ResponseFuture { answered: Answered::here(preflight), origin: None }
            }
            Err(error) => {
                let front = Front::of(&head.extensions);
                let record = Record::of(&mut head.extensions);
                let response = render(front, Some(&record), &error);
                // A page that may come in may also read why its key was refused.
                let keyless = matches!(error, Error::Unauthorized(_) | Error::Throttled { .. });
                let origin = origin.filter(|_| keyless);
                ResponseFuture { answered: Answered::here(response), origin }
            }
        }
    }
}

// === impl Rules ===

impl Rules {
    /// `Ok(None)`: come in. `Ok(Some(_))`: a preflight, answered here.
    fn admit(&self, head: &mut request::Parts) -> Result<Option<Response<Bytes>>, Error> {
        self.host(head)?;
        if let Some(origin) = head.headers.get(ORIGIN) {
            self.origin(origin, &head.headers)?;
            if cors::is_preflight(&head.method, &head.headers) {
                return Ok(Some(cors::preflight(origin, &head.headers)));
            }
        } else if cors::is_of_another_site(&head.method, &head.headers) {
            return Err(Error::Forbidden(
                "a page of another site sent this, and does not say which one; \
                 let it send an Origin, and add that to server.allowed_origins"
                    .into(),
            ));
        }
        path::plain(&head.method, head.uri.path(), &head.headers)?;
        let path = head.uri.path();
        if matches!(path, "/health" | "/healthz" | "/livez" | "/readyz") {
            return Ok(None);
        }
        let from = head.extensions.get::<Peer>().copied();
        if let Some(client) = self.key(&head.headers, from)? {
            let id: String = client.0[..4].iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = Record::of(&mut head.extensions).key_id.set(id.into());
            head.extensions.insert(client);
        }
        let manages = match Front::of(&head.extensions).operation {
            Some(Operation::Pull | Operation::Manage | Operation::Blob) => true,
            Some(_) => false,
            // Ollama signs in and out there, and whatever it will do there tomorrow.
            None => path.starts_with("/api/"),
        };
        if manages && !self.manage {
            return Err(Error::Forbidden(
                "this gateway does not let its clients change which models are installed; \
                 set server.allow_manage = true to allow it"
                    .into(),
            ));
        }
        // Profiles and stacks of the Ollama process are nobody's business here.
        if path.starts_with("/debug/") {
            return Err(Error::Forbidden("/debug is not served through the gateway".into()));
        }
        Ok(None)
    }

    fn host(&self, head: &request::Parts) -> Result<(), Error> {
        // All that it calls us: whoever stands between may have looked at another one than we would.
        let headers = head.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or("?"));
        let authority = head.uri.authority().map(http::uri::Authority::as_str);
        for seen in headers.chain(authority) {
            let host = host_of(seen);
            let listed = |h: &String| h == "*" || h.eq_ignore_ascii_case(host);
            if !is_local_name(host) && !self.hosts.iter().any(listed) {
                return Err(Error::Forbidden(format!(
                    "host {host:?} is not allowed (a guard against DNS rebinding); \
                     add it to server.allowed_hosts"
                )));
            }
        }
        Ok(())
    }

    fn origin(&self, origin: &HeaderValue, headers: &HeaderMap) -> Result<(), Error> {
        let seen = origin.to_str().unwrap_or("?");
        let own = headers.get(HOST).and_then(|host| host.to_str().ok());
        let is_own = own.is_some_and(|own| {
            seen.strip_prefix("http://").or_else(|| seen.strip_prefix("https://")) == Some(own)
        });
        let listed = |o: &String| o == "*" || o.trim_end_matches('/').eq_ignore_ascii_case(seen);
        if is_own || is_local_origin(seen) || self.origins.iter().any(listed) {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "origin {seen:?} is not allowed; add it to server.allowed_origins"
        )))
    }

    fn key(&self, headers: &HeaderMap, from: Option<Peer>) -> Result<Option<Client>, Error> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        // No key and a wrong one are told the same.
        let refusal = || {
            Error::Unauthorized(
                "no key, or none of this gateway's; send one as \"Authorization: Bearer <key>\""
                    .into(),
            )
        };
        let brought = brought(headers).ok_or_else(refusal)?;
        let digest = digest(brought);
        // Every key is compared, so that the time says nothing about which one was close.
        let known = self.keys.iter().fold(subtle::Choice::from(0), |known, key| {
            known | key.as_slice().ct_eq(digest.as_slice())
        });
        let known = bool::from(known);
        if let (Some(throttle), Some(Peer(from))) = (&self.throttle, from) {
            let slow_down = |wait| Error::Throttled { wait };
            if !known {
                throttle.wrong(from, Instant::now()).map_err(slow_down)?;
            } else if self.is_guessable(&digest) {
                throttle.right(from, &digest, Instant::now()).map_err(slow_down)?;
            }
        }
        if known { Ok(Some(Client(digest))) } else { Err(refusal()) }
    }

    /// For a key that is one of ours.
    fn is_guessable(&self, digest: &[u8; 32]) -> bool {
        self.keys.iter().zip(&self.guessable).any(|(key, guessable)| *guessable && key == digest)
    }
}

// === impl ResponseFuture ===

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Either<Full<Bytes>, R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.answered.poll(cx))?;
        if let Some(origin) = this.origin {
            cors::allow(origin, response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

/// The key a client brought: `Authorization: Bearer`, `x-api-key`, or `X-Gateway-Key`.
fn brought(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
    });
    // A client with a credential of another kind in `Authorization` may bring the gateway's key beside it.
    let named = ["x-gateway-key", "x-api-key"].iter().find_map(|name| headers.get(*name));
    named.map(HeaderValue::as_bytes).or(bearer).filter(|key| !key.is_empty())
}

/// Bytes from which on a key is too long to be found by trying, even if it is made of words.
const UNGUESSABLE: usize = 20;

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The host of an authority: without the port, without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(':') => {
            host
        }
        _ => authority,
    }
}

/// Names that only resolve to machines the user trusts, and every address literal: a rebound name is never one.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.is_empty()
        || host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || [".localhost", ".local", ".internal"].iter().any(|end| {
            host.len() > end.len() && host[host.len() - end.len()..].eq_ignore_ascii_case(end)
        })
        || own_name().is_some_and(|own| own.eq_ignore_ascii_case(host))
}

fn own_name() -> Option<&'static str> {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    })
    .as_deref()
}

fn is_local_origin(origin: &str) -> bool {
    const APPS: [&str; 5] =
        ["app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"];
    if APPS.iter().any(|app| origin.starts_with(app)) {
        return true;
    }
    let Some(rest) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    matches!(host_of(rest), "localhost" | "127.0.0.1" | "0.0.0.0" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::post("/v1/chat/completions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn rules(keys: &[&str]) -> Arc<Rules> {
        AccessLayer::new(keys, vec!["gw.example.com".into()], vec![], true).rules
    }

    #[test]
    fn local_names_and_address_literals_are_let_in_and_a_rebound_name_is_not() {
        for host in [
            "localhost:11435",
            "127.0.0.1",
            "[::1]:80",
            "box.local",
            "10.0.0.7:1",
            "gw.example.com",
        ] {
            assert!(rules(&[]).admit(&mut head(&[("host", host)])).is_ok(), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "local", "127.0.0.1.nip.io:80"] {
            assert!(rules(&[]).admit(&mut head(&[("host", host)])).is_err(), "{host}");
        }
    }

    #[test]
    fn pages_of_local_tools_are_let_in_and_pages_of_other_sites_are_not() {
        for origin in [
            "http://localhost:3000",
            "app://obsidian.md",
            "vscode-webview://x",
            "https://127.0.0.1",
        ] {
            assert!(rules(&[]).admit(&mut head(&[("origin", origin)])).is_ok(), "{origin}");
        }
        for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
            assert!(rules(&[]).admit(&mut head(&[("origin", origin)])).is_err(), "{origin}");
        }
    }

    #[test]
    fn a_page_that_does_not_say_whose_it_is_is_let_in_only_as_a_link() {
        let cross = ("sec-fetch-site", "cross-site");
        assert!(rules(&[]).admit(&mut head(&[cross])).is_err());
        let local = ("origin", "http://localhost:3000");
        assert!(rules(&[]).admit(&mut head(&[cross, local])).is_ok());
        assert!(rules(&[]).admit(&mut head(&[("sec-fetch-site", "same-origin")])).is_ok());
        let link = [cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(rules(&[]).admit(&mut head(&link)).is_err(), "a form that is sent");
        let mut link = head(&link);
        link.method = http::Method::GET;
        assert!(rules(&[]).admit(&mut link).is_ok());
    }

    #[test]
    fn every_name_that_a_request_calls_us_must_be_allowed() {
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert!(rules(&[]).admit(&mut head(&both)).is_err());
        let mut absolute = head(&[("host", "localhost")]);
        absolute.uri = "http://evil.example/v1/chat/completions".parse().unwrap();
        assert!(rules(&[]).admit(&mut absolute).is_err());
    }

    #[test]
    fn whoever_tries_keys_is_told_to_wait_and_whoever_has_one_is_not() {
        let long = "a-key-that-nobody-will-guess";
        let layer = AccessLayer::new(&["short", "brief", long], vec![], vec![], true);
        let rules = layer.max_failures_per_min(3).rules;
        let from = Peer("10.0.0.1".parse().unwrap());
        let admit = |key: &str| {
            let mut head = head(&[("x-api-key", key)]);
            head.extensions.insert(from);
            rules.admit(&mut head).map(drop)
        };
        admit("short").unwrap();
        for _ in 0..3 {
            assert!(matches!(admit("wrong"), Err(Error::Unauthorized(_))));
        }
        assert!(matches!(admit("wrong"), Err(Error::Throttled { .. })));
        assert!(matches!(admit("brief"), Err(Error::Throttled { .. })), "a lucky guess");
        admit("short").unwrap();
        admit(long).unwrap();
        assert!(matches!(rules.admit(&mut head(&[])), Err(Error::Unauthorized(_))));
    }

    #[test]
    fn a_page_that_the_gateway_itself_serves_is_let_in() {
        let own = [("host", "gw.example.com"), ("origin", "https://gw.example.com")];
        assert!(rules(&[]).admit(&mut head(&own)).is_ok());
    }

    #[test]
    fn a_key_is_accepted_in_each_of_its_three_places() {
        let rules = rules(&["other", "sesame"]);
        for (name, value) in [
            ("authorization", "Bearer sesame"),
            ("authorization", "bearer sesame"),
            ("x-api-key", "sesame"),
            ("x-gateway-key", "sesame"),
        ] {
            assert!(rules.admit(&mut head(&[(name, value)])).is_ok(), "{name}: {value}");
        }
        for headers in [
            &[][..],
            &[("authorization", "Bearer sesam")],
            &[("authorization", "sesame")],
            &[("x-api-key", "")],
        ] {
            assert!(
                matches!(rules.admit(&mut head(headers)), Err(Error::Unauthorized(_))),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn without_configured_keys_any_key_will_do() {
        assert!(rules(&[]).admit(&mut head(&[("authorization", "Bearer local")])).is_ok());
    }
}
