//! Signs of life for a client that waits for the beginning of a stream.
//!
//! Proxies and clients give up on a connection on which nothing is said for long. Where the policy says so, a response
//! that is still being made after a while is begun without it: its head goes out, and one sign after the other, until the service
//! below has answered. What that sends then follows. An answer that is no success can no longer be told by its
//! status, so the policy says it in the stream's own words.
//!
//! Below this layer nothing changes: as long as only signs have gone out, a retry may still go anywhere. A client that leaves
//! takes the call below with it. A response that comes in time passes as it is.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, response};
//! use http_body_util::{BodyExt, Full};
//! use std::time::Duration;
//! use tower::{Layer, ServiceExt, service_fn};
//! use unigate_layers::heartbeat::{HeartbeatLayer, Policy, Pulse};
//!
//! #[derive(Clone)]
//! struct Comments;
//!
//! impl<B> Policy<B> for Comments {
//!     type Pulse = Self;
//!     fn pulse(&self, _: &Request<B>) -> Option<Self> { Some(Self) }
//! }
//!
//! impl Pulse for Comments {
//!     fn every(&self) -> Duration { Duration::from_millis(10) }
//!     fn head(&self) -> Response<()> { Response::new(()) }
//!     fn beat(&mut self) -> Bytes { ": still here\n\n".into() }
//!     fn refused(&mut self, _: &response::Parts, body: Bytes) -> Bytes { body }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let slow = service_fn(|_: Request<()>| async {
//!     tokio::time::sleep(Duration::from_millis(15)).await;
//!     Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::from("data: 1\n\n")))
//! });
//! let response = HeartbeatLayer::new(Comments).layer(slow).oneshot(Request::new(())).await.unwrap();
//! let body = response.into_body().collect().await.unwrap().to_bytes();
//! assert!(body.starts_with(b": still here\n\n") && body.ends_with(b"data: 1\n\n"));
//! # }
//! ```

mod body;
#[cfg(test)]
mod tests;

pub use self::body::{Beating, BoxError};

use self::body::Waiting;
use bytes::Bytes;
use http::{Request, Response, response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// Gives signs of life as a [`Policy`] says.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatLayer<P> {
    policy: P,
}

/// The service of [`HeartbeatLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat<S, P> {
    inner: S,
    policy: P,
}

/// Says which requests get signs of life, and which.
pub trait Policy<B> {
    /// The signs for one request.
    type Pulse: Pulse;

    /// The signs for this request; `None`: it waits in silence.
    fn pulse(&self, request: &Request<B>) -> Option<Self::Pulse>;
}

/// The signs of life for one request.
pub trait Pulse {
    /// How long before the first sign, and between two. Zero counts as a millisecond.
    fn every(&self) -> Duration;

    /// The head of the response that the first sign begins.
    fn head(&self) -> Response<()>;

    /// One sign.
    fn beat(&mut self) -> Bytes;

    /// What an answer that is no success becomes inside the stream that has begun. `body` has at most its first 64 KiB.
    fn refused(&mut self, head: &response::Parts, body: Bytes) -> Bytes;
}

pin_project! {
    /// The future of [`Heartbeat`].
    pub struct ResponseFuture<F, P> {
        #[pin]
        stage: Stage<F, P>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<F, P> {
        Silent { #[pin] inner: F },
        // `None` once it is in the body.
        Pulsed { waiting: Option<Waiting<F, P>> },
    }
}

// === impl HeartbeatLayer ===

impl<P> HeartbeatLayer<P> {
    /// Gives signs of life as this policy says.
    pub fn new(policy: P) -> Self {
        Self { policy }
    }
}

impl<S, P: Clone> Layer<S> for HeartbeatLayer<P> {
    type Service = Heartbeat<S, P>;

    fn layer(&self, inner: S) -> Heartbeat<S, P> {
        Heartbeat { inner, policy: self.policy.clone() }
    }
}

// === impl Heartbeat ===

impl<S, P, B, R> Service<Request<B>> for Heartbeat<S, P>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    P: Policy<B>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Response = Response<Beating<S::Future, P::Pulse, R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, P::Pulse>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let pulse = self.policy.pulse(&request);
        let inner = self.inner.call(request);
        let stage = match pulse {
            None => Stage::Silent { inner },
            Some(pulse) => Stage::Pulsed { waiting: Some(Waiting::new(inner, pulse)) },
        };
        ResponseFuture { stage }
    }
}

// === impl ResponseFuture ===

impl<F, P, R, E> Future for ResponseFuture<F, P>
where
    F: Future<Output = Result<Response<R>, E>>,
    P: Pulse,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<Beating<F, P, R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().stage.project() {
            StageProj::Silent { inner } => {
                let response = ready!(inner.poll(cx))?;
                Poll::Ready(Ok(response.map(Beating::pass)))
            }
            StageProj::Pulsed { waiting } => {
                let Some(pulsed) = waiting else { return Poll::Pending }; // Polled after its end.
                if let Poll::Ready(result) = pulsed.poll_inner(cx) {
                    *waiting = None;
                    return Poll::Ready(result.map(|response| response.map(Beating::pass)));
                }
                ready!(pulsed.poll_due(cx));
                let head = pulsed.pulse().head();
                let body = waiting.take().map_or_else(Beating::over, Beating::begin);
                Poll::Ready(Ok(head.map(|()| body)))
            }
        }
    }
}

impl<F, P> fmt::Debug for ResponseFuture<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
