//! Has the last word for an exchange that cannot go on: because of a panic below, or because it is stopped.
//!
//! A panic in the service or in its body ends that exchange alone: what it held is dropped at once, and the client
//! gets a response, or the end of the one that had begun, in the words of a [`Farewell`]. A [`Stop`] does the same to
//! all that still wait for something, so that a program which has to go need not just cut its connections.
//!
//! It belongs above all that may panic and below what must see every answer. It costs a few branches a frame.
//!
//! Alone:
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use unigate_layers::catch::{CatchLayer, Farewell, Stop, Why};
//!
//! struct Plain;
//!
//! impl Farewell for Plain {
//!     fn respond(self, why: Why) -> Response<Bytes> {
//!         let status = if why == Why::Panicked { 500 } else { 503 };
//!         Response::builder().status(status).body(Bytes::new()).unwrap()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # std::panic::set_hook(Box::new(|_| {}));
//! let service = service_fn(|request: Request<()>| async move {
//!     assert_ne!(request.uri().path(), "/", "a defect");
//!     Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default()))
//! });
//! let catch = CatchLayer::new(|_: &Request<()>| Plain, Stop::new());
//! assert_eq!(catch.layer(service).oneshot(Request::new(())).await.unwrap().status(), 500);
//! # }
//! ```
//!
//! In a stack, where the same value stops what runs:
//!
//! ```
//! # use http::Request;
//! use unigate_layers::catch::{CatchLayer, Farewell, Stop};
//! # fn stack<S, L: Farewell>(last_words: impl Fn(&Request<String>) -> L + Clone, service: S) {
//!
//! let stop = Stop::new();
//! let stack = tower::ServiceBuilder::new()
//!     .layer(CatchLayer::new(last_words, stop.clone()))
//!     .concurrency_limit(64)
//!     .service(service);
//! // Later, when nobody may be waited for any longer:
//! stop.stop();
//! # }
//! ```

mod body;
mod stop;

pub use body::CaughtBody;
pub use stop::Stop;

use bytes::Bytes;
use http::{Request, Response, response};
use http_body::Body;
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use stop::Waiting;
use tower_layer::Layer;
use tower_service::Service;

/// Ends what cannot go on.
#[derive(Clone, Debug)]
pub struct CatchLayer<P> {
    prepare: P,
    stop: Stop,
}

/// The service of [`CatchLayer`].
#[derive(Clone, Debug)]
pub struct Catch<S, P> {
    inner: S,
    prepare: P,
    stop: Stop,
}

pin_project! {
    /// The future of [`Catch`].
    #[derive(Debug)]
    pub struct ResponseFuture<F, L> {
        // Empty once it has panicked or was stopped.
        #[pin]
        inner: Option<F>,
        // Taken when there is a response.
        last: Option<(L, Waiting)>,
    }
}

/// Why an exchange cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// Something below panicked: a defect of the program.
    Panicked,
    /// It takes longer than the program may wait.
    Stopped,
}

/// What one exchange ends with when it cannot go on.
pub trait Farewell: Send {
    /// The response begins. Default: nothing to remember.
    fn begun(&mut self, head: &response::Parts) {
        let _ = head;
    }

    /// There is no response yet: this is it.
    fn respond(self, why: Why) -> Response<Bytes>;

    /// The response has begun: what its body ends with, as if it were whole. `tail` is what went out last, two bytes
    /// at most. Default `None`: the body breaks off, as on a lost connection.
    fn end(self, why: Why, tail: &[u8]) -> Option<Bytes>
    where
        Self: Sized,
    {
        let _ = (why, tail);
        None
    }
}

// === impl CatchLayer ===

impl<P> CatchLayer<P> {
    /// Has `prepare` look at each request (`Fn(&Request<B>) -> impl Farewell`), and ends in those words what panics, and
    /// what still waits after `stop`.
    pub fn new(prepare: P, stop: Stop) -> Self {
        Self { prepare, stop }
    }
}

impl<S, P: Clone> Layer<S> for CatchLayer<P> {
    type Service = Catch<S, P>;

    fn layer(&self, inner: S) -> Catch<S, P> {
        Catch { inner, prepare: self.prepare.clone(), stop: self.stop.clone() }
    }
}

// === impl Catch ===

impl<S, P, L, B, R> Service<Request<B>> for Catch<S, P>
where
    S: Service<Request<B>, Response = Response<R>>,
    P: Fn(&Request<B>) -> L,
    L: Farewell,
    R: Body<Data = Bytes>,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Either<Full<Bytes>, CaughtBody<R, L>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let last = Some(((self.prepare)(&request), self.stop.waiting()));
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        ResponseFuture { inner, last }
    }
}

// === impl ResponseFuture ===

impl<F, L, R, E> Future for ResponseFuture<F, L>
where
    F: Future<Output = Result<Response<R>, E>>,
    L: Farewell,
    R: Body<Data = Bytes>,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = Result<Response<Either<Full<Bytes>, CaughtBody<R, L>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some((mut last, mut waiting)) = this.last.take() else {
            return Poll::Pending; // Polled after its end.
        };
        let polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => catch_unwind(AssertUnwindSafe(|| inner.poll(cx))).ok(),
            None => None,
        };
        let why = match polled {
            Some(Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
            Some(Poll::Ready(Ok(response))) => {
                let (head, body) = response.into_parts();
                last.begun(&head);
                let body = CaughtBody::new(body, last, waiting);
                return Poll::Ready(Ok(Response::from_parts(head, Either::Right(body))));
            }
            Some(Poll::Pending) if !waiting.is_over(cx) => {
                *this.last = Some((last, waiting));
                return Poll::Pending;
            }
            Some(Poll::Pending) => Why::Stopped,
            None => Why::Panicked,
        };
        // All that it held goes now; a second panic on its way out is no news.
        let _ = catch_unwind(AssertUnwindSafe(|| this.inner.set(None)));
        Poll::Ready(Ok(last.respond(why).map(|body| Either::Left(Full::new(body)))))
    }
}

#[cfg(test)]
mod tests;
