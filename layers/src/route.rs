//! Decides where a request goes, and changes nothing else.
//!
//! It belongs below the cache (a cached answer needs no decision) and above retry and rewrite, which act on
//! the decision. It costs nothing but the router's own work.
//!
//! Alone:
//!
//! ```
//! use http::uri::{Authority, Scheme};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use unigate_layers::notes::Target;
//! use unigate_layers::route::{RouteLayer, sync};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let router = sync(|mut request: Request<()>| {
//!     request.extensions_mut().insert(Target {
//!         upstream: "local".into(),
//!         scheme: Scheme::HTTP,
//!         authority: Authority::from_static("127.0.0.1:11434"),
//!         model: None,
//!     });
//!     request
//! });
//! let service = service_fn(|request: Request<()>| async move {
//!     let target = Target::of(&request).map(ToString::to_string);
//!     Ok::<_, std::io::Error>(Response::new(target))
//! });
//! let response = RouteLayer::new(router).layer(service).oneshot(Request::new(())).await.unwrap();
//! assert_eq!(response.into_body().as_deref(), Some("local"));
//! # }
//! ```
//!
//! In a stack, with a router that waits:
//!
//! ```
//! # #[cfg(feature = "rewrite")] {
//! use http::Request;
//! use unigate_layers::rewrite::RewriteLayer;
//! use unigate_layers::route::RouteLayer;
//! # async fn look_up<B>(request: Request<B>) -> Request<B> { request }
//! # let client = ();
//!
//! let stack = tower::ServiceBuilder::new()
//!     .layer(RouteLayer::new(|request: Request<String>| look_up(request)))
//!     .layer(RewriteLayer::new())
//!     .service(client);
//! # }
//! ```

use http::{Request, Response};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// Asks a [`Router`] about every request before it goes on.
#[derive(Clone, Debug)]
pub struct RouteLayer<P> {
    router: P,
}

/// The service of [`RouteLayer`].
#[derive(Clone, Debug)]
pub struct Route<S, P> {
    inner: S,
    router: P,
}

pin_project! {
    /// The future of [`Route`].
    pub struct ResponseFuture<S, F, A> {
        #[pin]
        state: State<S, F, A>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, A> {
        Deciding { inner: S, #[pin] decision: F },
        Calling { #[pin] answer: A },
    }
}

/// How to choose: gives the request back with a [`Target`](crate::notes::Target) pinned to it, and
/// [`Fallbacks`](crate::notes::Fallbacks), or as it was when it has no opinion.
///
/// Closures that return a future are routers; for one that decides at once see [`sync`].
/// `Option<Router>` is one too: `None` has no opinion.
pub trait Router<B> {
    /// The decision.
    type Future: Future<Output = Request<B>> + Send;

    /// Decides about one request.
    fn route(&self, request: Request<B>) -> Self::Future;
}

/// A router that decides at once; made by [`sync`].
#[derive(Clone, Copy)]
pub struct AtOnce<F>(F);

pin_project! {
    /// The decision of an `Option<Router>`.
    #[derive(Debug)]
    pub struct Maybe<F, B> {
        #[pin]
        decision: Option<F>,
        // The request as it was, when there is no router.
        request: Option<Request<B>>,
    }
}

/// A router from a closure that needs not wait.
pub fn sync<F>(route: F) -> AtOnce<F> {
    AtOnce(route)
}

// === impl RouteLayer ===

impl<P> RouteLayer<P> {
    /// Asks this router.
    pub fn new(router: P) -> Self {
        Self { router }
    }
}

impl<S, P: Clone> Layer<S> for RouteLayer<P> {
    type Service = Route<S, P>;

    fn layer(&self, inner: S) -> Route<S, P> {
        Route { inner, router: self.router.clone() }
    }
}

// === impl Route ===

impl<S, P, B, R> Service<Request<B>> for Route<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    P: Router<B>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, P::Future, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let decision = self.router.route(request);
        // The clone is not ready; the original is.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        ResponseFuture { state: State::Deciding { inner, decision } }
    }
}

// === impl ResponseFuture ===

impl<S, F, B> Future for ResponseFuture<S, F, S::Future>
where
    S: Service<Request<B>>,
    F: Future<Output = Request<B>>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let answer = match this.state.as_mut().project() {
                StateProj::Deciding { inner, decision } => inner.call(ready!(decision.poll(cx))),
                StateProj::Calling { answer } => return answer.poll(cx),
            };
            this.state.set(State::Calling { answer });
        }
    }
}

impl<S, F, A> fmt::Debug for ResponseFuture<S, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

// === impl Router ===

impl<B, F, A> Router<B> for F
where
    F: Fn(Request<B>) -> A,
    A: Future<Output = Request<B>> + Send,
{
    type Future = A;

    fn route(&self, request: Request<B>) -> A {
        self(request)
    }
}

impl<B, F> Router<B> for AtOnce<F>
where
    F: Fn(Request<B>) -> Request<B>,
    B: Send,
{
    type Future = Ready<Request<B>>;

    fn route(&self, request: Request<B>) -> Self::Future {
        ready((self.0)(request))
    }
}

impl<F> fmt::Debug for AtOnce<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtOnce")
    }
}

impl<B: Send, P: Router<B>> Router<B> for Option<P> {
    type Future = Maybe<P::Future, B>;

    fn route(&self, request: Request<B>) -> Self::Future {
        match self {
            Some(router) => Maybe { decision: Some(router.route(request)), request: None },
            None => Maybe { decision: None, request: Some(request) },
        }
    }
}

impl<F: Future<Output = Request<B>>, B> Future for Maybe<F, B> {
    type Output = Request<B>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Request<B>> {
        let this = self.project();
        match (this.decision.as_pin_mut(), this.request.take()) {
            (Some(decision), _) => decision.poll(cx),
            (None, Some(request)) => Poll::Ready(request),
            (None, None) => Poll::Pending, // Polled after its end.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    async fn path(router: impl Router<()> + Clone) -> String {
        let inner = service_fn(|request: Request<()>| async move {
            Ok::<_, Infallible>(Response::new(request.uri().path().to_owned()))
        });
        RouteLayer::new(router).layer(inner).oneshot(Request::new(())).await.unwrap().into_body()
    }

    fn moved(mut request: Request<()>) -> Request<()> {
        *request.uri_mut() = "/moved".parse().unwrap();
        request
    }

    #[tokio::test]
    async fn a_closure_that_decides_at_once_is_a_router() {
        assert_eq!(path(sync(moved)).await, "/moved");
    }

    #[tokio::test]
    async fn a_closure_that_waits_is_a_router() {
        let router = |request| async move {
            tokio::task::yield_now().await;
            moved(request)
        };
        assert_eq!(path(router).await, "/moved");
    }

    #[tokio::test]
    async fn no_router_has_no_opinion() {
        assert_eq!(path(Some(sync(moved))).await, "/moved");
        assert_eq!(path(None::<AtOnce<fn(Request<()>) -> Request<()>>>).await, "/");
    }

    #[tokio::test]
    async fn the_service_that_was_ready_is_the_one_that_is_called() {
        let (mock, mut handle) = tower_test::mock::pair::<Request<()>, Response<()>>();
        let mut route = RouteLayer::new(sync(moved)).layer(mock);
        handle.allow(1);
        let answer = route.ready().await.unwrap().call(Request::new(()));
        let serve = async {
            let (request, answer) = handle.next_request().await.unwrap();
            assert_eq!(request.uri().path(), "/moved");
            answer.send_response(Response::new(()));
        };
        assert!(tokio::join!(answer, serve).0.is_ok());
    }
}
