//! Makes request bodies whole, so that layers below may read them, and sends may be repeated.
//!
//! It belongs above every layer that reads a body or sends it again, and below those that can refuse a
//! request by its head. It costs one box for a request whose body is read, nothing for others, and at most
//! `max_bytes` of memory per request. Nothing is ever refused: a body above the limit streams on, and the layers
//! below see that it is not whole.
//!
//! Alone:
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use unigate_layers::body::Buffered;
//! use unigate_layers::buffer::BufferLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = service_fn(|request: Request<Buffered<Full<Bytes>>>| async move {
//!     let length = request.body().bytes().map(Bytes::len);
//!     Ok::<_, std::io::Error>(Response::new(length))
//! });
//! let service = BufferLayer::new(1024).layer(service);
//! let request = Request::post("/").header("content-type", "application/json");
//! let response = service.oneshot(request.body(Full::from("{}")).unwrap()).await.unwrap();
//! assert_eq!(response.into_body(), Some(2));
//! # }
//! ```
//!
//! In a stack, reading whatever is not a multipart upload:
//!
//! ```
//! use unigate_layers::buffer::BufferLayer;
//! # let service = ();
//!
//! let stack = tower::ServiceBuilder::new()
//!     .layer(BufferLayer::new(1 << 20).when(|head: &http::request::Parts| {
//!         let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
//!         !kind.is_some_and(|kind| kind.starts_with("multipart/"))
//!     }))
//!     .service(service);
//! ```

use crate::body::Buffered;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Turns `Request<B>` into `Request<Buffered<B>>` for the service below.
#[derive(Clone)]
pub struct BufferLayer<W = fn(&Parts) -> bool> {
    max_bytes: usize,
    when: W,
}

/// The service of [`BufferLayer`].
#[derive(Clone)]
pub struct Buffer<S, W = fn(&Parts) -> bool> {
    inner: S,
    max_bytes: usize,
    when: W,
}

pin_project! {
    /// The future of [`Buffer`].
    pub struct ResponseFuture<F, T> {
        #[pin]
        state: State<F, T>,
    }
}

type Story<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project! {
    #[project = StateProj]
    enum State<F, T> {
        Direct { #[pin] future: F },
        Reading { story: Story<T> },
    }
}

/// Whether the head says that the body is JSON: `application/json` or `…+json`, any parameters.
pub fn is_json(head: &Parts) -> bool {
    let Some(value) = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence
            .len()
            .checked_sub(5)
            .and_then(|at| essence.get(at..))
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

// === impl BufferLayer ===

impl BufferLayer {
    /// Reads JSON bodies of up to `max_bytes` bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, when: is_json }
    }
}

impl<W> BufferLayer<W> {
    /// Which requests to read, by their head. Default: those that say they are JSON ([`is_json`]).
    /// A `content-length` above the limit is never read, whatever this says; an empty body is whole
    /// without being read.
    pub fn when<V>(self, when: V) -> BufferLayer<V>
    where
        V: Fn(&Parts) -> bool + Clone,
    {
        BufferLayer { max_bytes: self.max_bytes, when }
    }
}

impl<S, W: Clone> Layer<S> for BufferLayer<W> {
    type Service = Buffer<S, W>;

    fn layer(&self, inner: S) -> Buffer<S, W> {
        Buffer { inner, max_bytes: self.max_bytes, when: self.when.clone() }
    }
}

impl<W> fmt::Debug for BufferLayer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferLayer").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

// === impl Buffer ===

impl<S, W, B, R> Service<Request<B>> for Buffer<S, W>
where
    S: Service<Request<Buffered<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    W: Fn(&Parts) -> bool,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        if body.is_end_stream() {
            return self.direct(Request::from_parts(head, Buffered::whole(Bytes::new())));
        }
        if declared(&head).is_some_and(|length| length > self.max_bytes as u64)
            || !(self.when)(&head)
        {
            return self.direct(Request::from_parts(head, Buffered::streaming(body)));
        }
        // The clone is not ready; the original is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let max_bytes = self.max_bytes;
        let story = Box::pin(async move {
            let body = Buffered::read(body, max_bytes).await;
            inner.call(Request::from_parts(head, body)).await
        });
        ResponseFuture { state: State::Reading { story } }
    }
}

impl<S, W> Buffer<S, W> {
    fn direct<B: Body, T>(&mut self, request: Request<Buffered<B>>) -> ResponseFuture<S::Future, T>
    where
        S: Service<Request<Buffered<B>>>,
    {
        ResponseFuture { state: State::Direct { future: self.inner.call(request) } }
    }
}

fn declared(head: &Parts) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

impl<S: fmt::Debug, W> fmt::Debug for Buffer<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("inner", &self.inner)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

// === impl ResponseFuture ===

impl<F: Future<Output = T>, T> Future for ResponseFuture<F, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.project().state.project() {
            StateProj::Direct { future } => future.poll(cx),
            StateProj::Reading { story } => story.as_mut().poll(cx),
        }
    }
}

impl<F, T> fmt::Debug for ResponseFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Step::{Data, Pending};
    use crate::testing::{Script, play};
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    // Whether it came whole, and what it says.
    async fn send(
        layer: BufferLayer<impl Fn(&Parts) -> bool + Clone>,
        request: Request<Script>,
    ) -> (bool, String) {
        let inner = service_fn(|request: Request<Buffered<Script>>| async move {
            let body = request.into_body();
            Ok::<_, Infallible>(Response::new((body.is_whole(), play(body))))
        });
        layer.layer(inner).oneshot(request).await.unwrap().into_body()
    }

    fn json(body: Script) -> Request<Script> {
        Request::post("/")
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body)
            .unwrap()
    }

    #[tokio::test]
    async fn a_json_body_becomes_whole() {
        let body = Script::new([Data("{"), Pending, Data("}")]);
        assert_eq!(send(BufferLayer::new(9), json(body)).await, (true, "{}".to_owned()));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_passes_as_it_came() {
        let body = Script::new([Data("{"), Data("123456789"), Data("}")]);
        let (whole, text) = send(BufferLayer::new(9), json(body)).await;
        assert_eq!((whole, text.as_str()), (false, "{|123456789|}"));
    }

    #[tokio::test]
    async fn a_declared_length_over_the_limit_is_not_read() {
        let mut request = json(Script::new([Data("{}")]));
        request.headers_mut().insert(CONTENT_LENGTH, 10.into());
        assert!(!send(BufferLayer::new(9), request).await.0);
    }

    #[tokio::test]
    async fn what_is_not_json_is_not_read_unless_asked_for() {
        let request = || Request::post("/").body(Script::new([Data("x")])).unwrap();
        assert!(!send(BufferLayer::new(9), request()).await.0);
        assert!(send(BufferLayer::new(9).when(|_| true), request()).await.0);
    }

    #[tokio::test]
    async fn a_request_without_a_body_is_whole() {
        let request = Request::get("/").body(Script::new([]).hints_end()).unwrap();
        assert_eq!(send(BufferLayer::new(9), request).await, (true, String::new()));
    }

    #[test]
    fn json_is_recognised_by_its_type() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON;charset=utf-8", true),
            ("application/problem+json", true),
            ("application/x-ndjson", false),
            ("text/plain", false),
            ("é", false),
        ] {
            let request =
                Request::post("/").header(CONTENT_TYPE, value.as_bytes()).body(()).unwrap();
            assert_eq!(is_json(&request.into_parts().0), json, "{value}");
        }
    }
}
