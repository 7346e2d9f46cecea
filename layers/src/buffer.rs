//! Makes request bodies whole, so that layers below may read them, and sends may be repeated.

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
