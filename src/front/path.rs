//! Paths that mean something else than they say: doubled slashes, percent signs, dots, other cases.
//!
//! Whoever decides by a path (who may come in, what may be done, where it goes) and whoever serves it must read the same.
//! Servers differ in what they take for the same path; so one that any of them might take for another route than the one
//! it names here is not served at all.

use super::Front;
use crate::{dialect::Operation, error::Error};
use http::{HeaderMap, Method, Uri, uri::PathAndQuery};
use std::borrow::Cow;

/// Without doubled slashes and the one at the end, if that makes it another route: many base addresses end in a slash,
/// and are joined with paths that begin with one.
pub(super) fn tidy(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (path.len() < 2 || !path.ends_with('/')) {
        return None;
    }
    let tidied = join(path.split('/').filter(|segment| !segment.is_empty()));
    let route = Route::of(method, &tidied, headers);
    if route == Route::of(method, path, headers) || !route.is_known() {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{tidied}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

/// Refuses a path that could be taken for another one.
///
/// # Errors
/// 400 for what no path needs: dot segments, backslashes, control characters, percent signs that encode nothing or a
/// percent sign; 404 for another spelling of a route.
pub fn plain(method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Error> {
    if !is_suspicious(path) {
        return Ok(());
    }
    let bad = |what: &str| Err(Error::BadRequest(format!("{what} in the path of the request")));
    let Some(decoded) = decode(path) else {
        return bad("a percent sign that encodes no character");
    };
    if decoded.contains(|c: char| c.is_control() || c == '\\') {
        return bad("a control character or a backslash");
    }
    if decoded.split('/').any(|segment| matches!(name_of(segment), "." | "..")) {
        return bad("a segment of dots");
    }
    if decoded.len() < path.len() && decoded.contains('%') {
        return bad("a percent sign that was encoded twice");
    }
    let segments = decoded.split('/').map(|segment| name_of(segment).trim_end_matches('.'));
    let folded = join(segments.filter(|name| !name.is_empty())).to_lowercase();
    let route = Route::of(method, &folded, headers);
    if route != Route::of(method, path, headers) {
        return Err(Error::NotFound(format!("nothing is at this path; write it as {folded}")));
    }
    Ok(())
}

/// What a path leads to, as far as anything is decided by it.
#[derive(PartialEq)]
struct Route {
    dialect: &'static str,
    operation: Option<Operation>,
    own: bool,
    debug: bool,
    /// Below `/api/`, where what nobody knows may still do something.
    api: bool,
}

impl Route {
    fn of(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let Front { dialect, operation } = Front::name(method, path, headers);
        let debug = path == "/debug" || path.starts_with("/debug/");
        let (own, api) = (Front::is_own(path), path.starts_with("/api/"));
        Self { dialect: dialect.name(), operation, own, debug, api }
    }

    fn is_known(&self) -> bool {
        self.own
            || self.debug
            || self.api
            || !matches!(self.operation, None | Some(Operation::Other))
    }
}

fn is_suspicious(path: &str) -> bool {
    let odd = |b: u8| matches!(b, b'%' | b'\\' | b';' | b'A'..=b'Z') || !b.is_ascii_graphic();
    path.bytes().any(odd)
        || path.contains("//")
        || path.contains("/.")
        || path.ends_with('.')
        || path.contains("./")
        || (path.len() > 1 && path.ends_with('/'))
}

/// Without what some servers take for parameters.
fn name_of(segment: &str) -> &str {
    segment.split(';').next().unwrap_or(segment)
}

fn join<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        path.push_str(segment);
    }
    if path.is_empty() {
        path.push('/');
    }
    path
}

/// Each `%XX` as the byte it means, once. `None`: one that means none, or bytes that are no text.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push((high << 4 | low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &Method, path: &str) -> bool {
        plain(method, path, &HeaderMap::new()).is_err()
    }

    #[test]
    fn what_clients_write_passes() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/api/tags",
            "/v1/models/hf.co/Org/Model-GGUF:Q4_K_M",
            "/v1/models/hf.co%2FOrg%2FModel%3AQ4",
            "/v1/models/llama3.1:8b",
            "/v1/files/file-AbC/content",
            "/v1/messages/batches/msgbatch_01AbC",
            "/api/blobs/sha256:0123ABC",
            "/v1/fine_tuning/jobs/ftjob-A1",
            "/unigate/x",
            "/health",
        ] {
            assert!(!refused(&Method::GET, path), "{path}");
            assert!(!refused(&Method::POST, path), "{path}");
        }
    }

    #[test]
    fn no_other_spelling_of_a_route_is_one() {
        for path in [
            "//api/pull",
            "/api//pull",
            "/api/pull/",
            "/api/%70ull",
            "/api%2fpull",
            "/%61pi/pull",
            "/API/pull",
            "/api/Pull",
            "/api/pull;x",
            "/api;a=b/pull",
            "/api/pull.",
            "/api./pull",
            "/./api/pull",
            "/v1/../api/pull",
            "/v1/%2e%2e/api/pull",
            "/v1/%2E./api/pull",
            "/v1/..;/api/pull",
            "/v1/..%2fapi/pull",
            "/v1\\..\\api/pull",
            "/v1/%5c../api/pull",
            "/api/%2570ull",
            "/api/pull%00",
            "/api/pull%0d%0a",
            "/api/pull%",
            "/api/pull%zz",
            "/api/%ff",
            "/%64ebug/pprof",
            "/debug%2fpprof",
            "/DEBUG/pprof",
            "//api/signout",
            "/API/signout",
            "/%61pi/signout",
            "/%6detrics",
            "/Unigate/x",
            "/v1%2Fchat/completions",
        ] {
            assert!(refused(&Method::POST, path), "{path}");
        }
    }

    #[test]
    fn a_slash_too_many_is_forgiven_where_it_can_mean_one_thing_only() {
        let tidied = |method: &Method, path: &str| {
            let uri: Uri = path.parse().unwrap();
            tidy(method, &uri, &HeaderMap::new()).map(|uri| uri.to_string())
        };
        for (method, path, meant) in [
            (Method::POST, "//v1/chat/completions", Some("/v1/chat/completions")),
            (Method::POST, "/v1//chat/completions?x=/", Some("/v1/chat/completions?x=/")),
            (Method::GET, "/api/tags/", Some("/api/tags")),
            (Method::POST, "http://h//api/pull", Some("http://h/api/pull")),
            (Method::GET, "/v1/models/hf.co//x", None),
            (Method::GET, "/v1/files//x", None),
            (Method::GET, "/elsewhere//x/", None),
            (Method::GET, "/", None),
            (Method::GET, "/api/tags", None),
        ] {
            assert_eq!(tidied(&method, path).as_deref(), meant, "{path}");
        }
    }
}
