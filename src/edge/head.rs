//! What the head of a request may be.

use super::Refuser;
use crate::{error::Error, front::Answered, listen::Ambiguous};
use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response,
    header::{HOST, TRANSFER_ENCODING, UPGRADE},
    request,
};
use http_body_util::{Either, Full};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Refuses a head that another reader could take for something else, and what is not HTTP or no route's.
///
/// 400 for a head that has two meanings, 405 for `CONNECT` and `TRACE`, 414 for an address above 16 KiB, 501 for a web
/// socket. Another `Upgrade` is ignored, as HTTP allows: Java's client offers `h2c` with every request. The connection is
/// closed, so that nothing behind such a head is taken for a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadLayer;

/// The service of [`HeadLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Head<S> {
    inner: S,
}

impl<S> Layer<S> for HeadLayer {
    type Service = Head<S>;

    fn layer(&self, inner: S) -> Head<S> {
        Head { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Head<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = Answered<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        match check(&head) {
            Ok(()) => Answered::pass(self.inner.call(Request::from_parts(head, body))),
            Err(error) => Answered::here(Refuser::of(&mut head).refuse(&error)),
        }
    }
}

/// The longest path and query, in bytes: far above what any route here takes.
const MAX_URL: usize = 16 * 1024;

/// # Errors
/// For a head that another reader could take for something else, and for methods and protocols that are not spoken.
fn check(head: &request::Parts) -> Result<(), Error> {
    let bad = |why: &str| Err(Error::BadRequest(format!("the request is ambiguous: {why}")));
    if let Some(Ambiguous(why)) = head.extensions.get() {
        return bad(why);
    }
    if !is_chunked_or_nothing(&head.headers) {
        return bad("Transfer-Encoding is not \"chunked\" and nothing else");
    }
    if head.headers.get_all(HOST).iter().nth(1).is_some() {
        return bad("it has more than one Host");
    }
    if let (Some(host), Some(authority)) = (head.headers.get(HOST), head.uri.authority())
        && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
        && head.method != Method::CONNECT
    {
        return bad("its address and its Host are not the same");
    }
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        let method = &head.method;
        return Err(Error::MethodNotAllowed(format!("{method} is not served here")));
    }
    let length = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > MAX_URL {
        return Err(Error::UriTooLong { limit: MAX_URL });
    }
    let upgrades = head.headers.get_all(UPGRADE);
    if upgrades.iter().any(|to| to.as_bytes().to_ascii_lowercase().starts_with(b"websocket")) {
        return Err(Error::Unsupported("web sockets are not served here; use HTTP".into()));
    }
    Ok(())
}

/// hyper takes whatever ends with "chunked"; what stands before it, it does not undo.
fn is_chunked_or_nothing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[track_caller]
    fn status(method: &str, uri: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        check(&head).map_or_else(|error| error.status().as_u16(), |()| 200)
    }

    #[test]
    fn a_head_with_two_meanings_is_refused() {
        for (uri, headers, expected) in [
            ("/", &[("host", "a")][..], 200),
            ("/", &[], 200),
            ("http://a:1/", &[("host", "A:1")], 200),
            ("http://a/", &[], 200),
            ("http://a/", &[("host", "b")], 400),
            ("/", &[("host", "a"), ("host", "a")], 400),
            ("/", &[("transfer-encoding", "Chunked ")], 200),
            ("/", &[("transfer-encoding", "gzip, chunked")], 400),
            ("/", &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], 400),
            ("/", &[("upgrade", "h2c"), ("connection", "upgrade")], 200),
            ("/", &[("upgrade", "WebSocket"), ("connection", "upgrade")], 501),
        ] {
            assert_eq!(status("POST", uri, headers), expected, "{uri} {headers:?}");
        }
        assert_eq!(status("TRACE", "/", &[]), 405);
        assert_eq!(status("CONNECT", "a:1", &[("host", "a:2")]), 405);
        assert_eq!(status("GET", &format!("/{}", "x".repeat(MAX_URL - 1)), &[]), 200);
        assert_eq!(status("GET", &format!("/{}", "x".repeat(MAX_URL)), &[]), 414);
    }

    #[test]
    fn what_the_listener_found_odd_is_refused() {
        let mut head = Request::new(()).into_parts().0;
        head.extensions.insert(Ambiguous("so"));
        assert_eq!(check(&head).unwrap_err().status(), 400);
    }
}
