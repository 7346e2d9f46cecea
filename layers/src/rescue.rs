//! Ends all errors: from here up there are only responses.
//!
//! It belongs above all that can fail and below what must see every answer. Above it every service is
//! `Infallible`. A readiness error is kept and answers the next call.
//!
//! Alone:
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use unigate_layers::rescue::{RescueLayer, answer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = service_fn(|_: Request<()>| async {
//!     Err::<Response<Full<Bytes>>, _>(std::io::Error::other("upstream is away"))
//! });
//! let rescue = RescueLayer::new(answer(|error: std::io::Error| {
//!     Response::builder().status(502).body(Bytes::from(error.to_string())).unwrap()
//! }));
//! let Ok(response) = rescue.layer(service).oneshot(Request::new(())).await;
//! assert_eq!(response.status(), 502);
//! # }
//! ```
//!
//! In a stack, for a server that takes only infallible services:
//!
//! ```
//! # use bytes::Bytes;
//! # use http::Response;
//! use unigate_layers::rescue::{RescueLayer, answer};
//! # let client = ();
//!
//! let stack = tower::ServiceBuilder::new()
//!     .layer(RescueLayer::new(answer(|error: tower::BoxError| {
//!         Response::builder().status(503).body(Bytes::from(error.to_string())).unwrap()
//!     })))
//!     .load_shed()
//!     .concurrency_limit(64)
//!     .service(client);
//! ```

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// Answers for the service below when it fails.
#[derive(Clone, Debug)]
pub struct RescueLayer<P> {
    render: P,
}

/// The service of [`RescueLayer`].
pub struct Rescue<S, P> {
    inner: S,
    render: P,
    // A readiness error, which answers the next call. Only ever reached through `&mut`; the mutex makes
    // the service `Sync` although errors need not be.
    kept: Mutex<Option<Box<dyn Any + Send>>>,
}

pin_project! {
    /// The future of [`Rescue`].
    pub struct ResponseFuture<F, P, V, B, E> {
        #[pin]
        state: State<F, V>,
        render: P,
        failure: PhantomData<fn(B, E)>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, V> {
        Waiting { #[pin] inner: F, seen: Option<V> },
        Answered { response: Option<Response<Bytes>> },
    }
}

/// Makes a response out of an error.
pub trait Render<B, E> {
    /// What it must remember of the request to answer in the client's language.
    type Seen: Send;

    /// A request goes by.
    fn see(&self, request: &Request<B>) -> Self::Seen;

    /// The request failed.
    fn render(&self, seen: Self::Seen, error: E) -> Response<Bytes>;
}

/// A [`Render`] from a closure that needs to know only the error; made by [`answer`].
#[derive(Clone, Copy)]
pub struct Answer<F>(F);

/// Renders errors by a closure `Fn(E) -> Response<Bytes>`.
pub fn answer<F>(render: F) -> Answer<F> {
    Answer(render)
}

// === impl RescueLayer ===

impl<P> RescueLayer<P> {
    /// Answers through `render`.
    pub fn new(render: P) -> Self {
        Self { render }
    }
}

impl<S, P: Clone> Layer<S> for RescueLayer<P> {
    type Service = Rescue<S, P>;

    fn layer(&self, inner: S) -> Rescue<S, P> {
        Rescue { inner, render: self.render.clone(), kept: Mutex::new(None) }
    }
}

// === impl Rescue ===

impl<S, P> Rescue<S, P> {
    fn kept(&mut self) -> &mut Option<Box<dyn Any + Send>> {
        self.kept.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<S, P, B, R> Service<Request<B>> for Rescue<S, P>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Send + 'static,
    P: Render<B, S::Error> + Clone,
    R: Body<Data = Bytes>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future, P, P::Seen, B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.kept().is_none()
            && let Err(error) = ready!(self.inner.poll_ready(cx))
        {
            *self.kept() = Some(Box::new(error));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let render = self.render.clone();
        let seen = render.see(&request);
        let kept = self.kept().take().and_then(|kept| kept.downcast::<S::Error>().ok());
        let state = match kept {
            Some(error) => State::Answered { response: Some(render.render(seen, *error)) },
            None => State::Waiting { inner: self.inner.call(request), seen: Some(seen) },
        };
        ResponseFuture { state, render, failure: PhantomData }
    }
}

impl<S: Clone, P: Clone> Clone for Rescue<S, P> {
    // A clone has its own readiness, so the kept error stays behind.
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), render: self.render.clone(), kept: Mutex::new(None) }
    }
}

impl<S: fmt::Debug, P: fmt::Debug> fmt::Debug for Rescue<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rescue")
            .field("inner", &self.inner)
            .field("render", &self.render)
            .finish_non_exhaustive()
    }
}

// === impl ResponseFuture ===

impl<F, P, B, R, E> Future for ResponseFuture<F, P, P::Seen, B, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    P: Render<B, E>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<Either<Full<Bytes>, R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let rescued = match this.state.project() {
            StateProj::Waiting { inner, seen } => match ready!(inner.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response.map(Either::Right))),
                Err(error) => seen.take().map(|seen| this.render.render(seen, error)),
            },
            StateProj::Answered { response } => response.take(),
        };
        match rescued {
            Some(response) => Poll::Ready(Ok(response.map(|body| Either::Left(Full::new(body))))),
            None => Poll::Pending, // Polled after its end.
        }
    }
}

impl<F, P, V, B, E> fmt::Debug for ResponseFuture<F, P, V, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

// === impl Answer ===

impl<B, E, F> Render<B, E> for Answer<F>
where
    F: Fn(E) -> Response<Bytes>,
{
    type Seen = ();

    fn see(&self, _: &Request<B>) {}

    fn render(&self, (): (), error: E) -> Response<Bytes> {
        (self.0)(error)
    }
}

impl<F> fmt::Debug for Answer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tower::{ServiceExt, service_fn};

    #[derive(Clone)]
    struct Path;

    impl<B> Render<B, &'static str> for Path {
        type Seen = String;

        fn see(&self, request: &Request<B>) -> String {
            request.uri().path().to_owned()
        }

        fn render(&self, seen: String, error: &'static str) -> Response<Bytes> {
            let body = Bytes::from(format!("{seen}: {error}"));
            Response::builder().status(502).body(body).unwrap_or_default()
        }
    }

    type Answer = Response<Either<Full<Bytes>, Full<Bytes>>>;

    async fn text(answer: Result<Answer, Infallible>) -> (u16, String) {
        let answer = answer.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn request() -> Request<()> {
        Request::get("/a").body(()).unwrap()
    }

    #[tokio::test]
    async fn an_error_becomes_a_response_that_knows_the_request() {
        let inner = service_fn(|_: Request<()>| async { Err::<Response<Full<Bytes>>, _>("no") });
        let answer = RescueLayer::new(Path).layer(inner).oneshot(request()).await;
        assert_eq!(text(answer).await, (502, "/a: no".to_owned()));
    }

    #[tokio::test]
    async fn a_response_passes() {
        let inner =
            service_fn(|_: Request<()>| async { Ok::<_, &str>(Response::new(Full::from("fine"))) });
        let answer = RescueLayer::new(Path).layer(inner).oneshot(request()).await;
        assert_eq!(text(answer).await, (200, "fine".to_owned()));
    }

    #[derive(Clone)]
    struct NeverReady;

    impl Service<Request<()>> for NeverReady {
        type Response = Response<Full<Bytes>>;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Self::Response, &'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("not ready"))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            panic!("called without being ready")
        }
    }

    #[tokio::test]
    async fn a_readiness_error_answers_the_next_call() {
        let mut rescue = RescueLayer::new(Path).layer(NeverReady);
        for _ in 0..2 {
            let answer = rescue.ready().await.unwrap().call(request()).await;
            assert_eq!(text(answer).await, (502, "/a: not ready".to_owned()));
        }
    }

    #[tokio::test]
    async fn a_closure_can_answer() {
        let inner = service_fn(|_: Request<()>| async { Err::<Response<Full<Bytes>>, _>("no") });
        let layer =
            RescueLayer::new(answer(|error: &str| Response::new(Bytes::from(error.to_owned()))));
        assert_eq!(text(layer.layer(inner).oneshot(request()).await).await, (200, "no".to_owned()));
    }
}
