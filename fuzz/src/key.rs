//! Headers that may bring a key: who has it comes in, and nobody else, whatever stands there.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};
use tower_layer::Layer;
use tower_service::Service;
use unigate::access::AccessLayer;

const KEY: &[u8] = b"sesame";
const NAMES: [&str; 6] =
    ["x-gateway-key", "x-api-key", "authorization", "api-key", "cookie", "proxy-authorization"];

/// Each line is a header: its first byte says which, the rest is the value, with the key for each `$`.
pub fn key(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some((name, value)) = line.split_first() else { continue };
        let value: Vec<u8> = value
            .iter()
            .flat_map(|byte| if *byte == b'$' { KEY.to_vec() } else { vec![*byte] })
            .collect();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let name = NAMES[usize::from(*name) % NAMES.len()];
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let status = admit(headers.clone());
    let expected = if brings(&headers) { StatusCode::OK } else { StatusCode::FORBIDDEN };
    assert_eq!(status, expected, "{headers:?}");
}

/// What comes out of the door, by the dialect of a path that is nobody's.
fn admit(headers: HeaderMap) -> StatusCode {
    let keys = ["sesam", "another key", "sesame"];
    let mut door = AccessLayer::new(&keys, Vec::new(), Vec::new(), true).layer(Inside);
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let answer = pin!(door.call(request));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response.status(),
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("a door that keeps one waiting"),
    }
}

/// The first of the gateway's own headers that is there counts, and then the bearer's.
fn brings(headers: &HeaderMap) -> bool {
    let first = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let bearer = first("authorization").and_then(|value| {
        let scheme = value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
        scheme.then(|| value[7..].trim_ascii())
    });
    let brought = first("x-gateway-key").or(first("x-api-key")).or(bearer).unwrap_or_default();
    [&b"sesam"[..], b"another key", b"sesame"].contains(&brought)
}

struct Inside;

impl Service<Request<()>> for Inside {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}
