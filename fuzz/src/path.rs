//! Paths: what is let in leads to the same route however a server may read it.

use http::{HeaderMap, Method};
use unigate::{dialect::Operation, front::Front};

/// A path that passes has one reading: decoding it, tidying its slashes, taking its parameters off and folding its case,
/// all of that or nothing, leads to the same route.
pub fn path(data: &[u8]) {
    let Some((method, path)) = data.split_first() else { return };
    let methods = [Method::GET, Method::POST, Method::HEAD, Method::DELETE];
    let method = &methods[usize::from(*method) % methods.len()];
    let Ok(uri) = http::Uri::try_from([b"/", path].concat()) else { return };
    let headers = HeaderMap::new();
    if uri.authority().is_some()
        || unigate::front::path::plain(method, uri.path(), &headers).is_err()
    {
        return;
    }
    let read = reading(uri.path());
    assert_eq!(route(method, uri.path()), route(method, &read), "{:?} as {read:?}", uri.path());
}

/// What is decided by a path: whose it is, what it does, and whether it is the gateway's own.
fn route(method: &Method, path: &str) -> (&'static str, Option<Operation>, bool) {
    let front = Front::name(method, path, &HeaderMap::new());
    (front.dialect.name(), front.operation, Front::is_own(path))
}

/// A path as the most lenient server might read it, in the order of RFC 3986 6.2.
fn reading(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| str::from_utf8(hex).ok());
        let decoded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = match decoded {
            Some(decoded) if *byte == b'%' => {
                bytes.push(decoded);
                &after[2..]
            }
            _ => {
                bytes.push(*byte);
                after
            }
        };
    }
    let decoded = String::from_utf8_lossy(&bytes).to_lowercase();
    let mut kept: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}
