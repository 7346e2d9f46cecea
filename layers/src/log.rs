//! Watches every exchange from its first byte to its end, and says how it ended exactly once.
//!
//! It belongs outermost, so that refusals and cache hits are exchanges too. It costs no allocation of its own
//! and no copy: the recorder sees the bytes that pass.
//!
//! Alone, a recorder of one line:
//!
//! ```
//! use http::Request;
//! use unigate_layers::body::Ending;
//! use unigate_layers::log::{Exchange, LogLayer, Recorder};
//!
//! #[derive(Clone)]
//! struct Endings(std::sync::mpsc::SyncSender<Ending>);
//!
//! impl<B> Recorder<B> for Endings {
//!     type Exchange = Self;
//!     fn begin(&self, _: &mut Request<B>) -> Self { self.clone() }
//! }
//!
//! impl Exchange for Endings {
//!     fn end(self, ending: Ending) { let _ = self.0.try_send(ending); }
//! }
//!
//! # use http_body_util::Full;
//! # use tower::{Layer, ServiceExt, service_fn};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let service = service_fn(|_: Request<()>| async {
//! #     Ok::<_, std::io::Error>(http::Response::new(Full::<bytes::Bytes>::default()))
//! # });
//! let (sender, endings) = std::sync::mpsc::sync_channel(8);
//! let service = LogLayer::new(Endings(sender)).layer(service);
//! service.oneshot(Request::new(())).await.unwrap();
//! assert_eq!(endings.recv(), Ok(Ending::Complete));
//! # }
//! ```
//!
//! In a stack, above everything; `None` turns it off without changing any type:
//!
//! ```
//! use unigate_layers::log::LogLayer;
//! # #[cfg(feature = "sqlite")] {
//! use unigate_layers::sqlite::{HttpRow, SqliteLog};
//! # let service = ();
//!
//! let recorder: Option<SqliteLog<HttpRow>> = None;
//! let stack = tower::ServiceBuilder::new()
//!     .layer(LogLayer::new(recorder))
//!     .concurrency_limit(64)
//!     .service(service);
//! # }
//! ```

mod held;

pub use held::Watched;

use crate::body::{Ending, Observer, Tee};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode, response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// Shows every exchange to a [`Recorder`].
#[derive(Clone, Debug)]
pub struct LogLayer<R> {
    recorder: R,
}

/// The service of [`LogLayer`].
#[derive(Clone, Debug)]
pub struct Log<S, R> {
    inner: S,
    recorder: R,
}

pin_project! {
    /// The future of [`Log`]. Dropped before it has the head, it ends the exchange as cancelled.
    pub struct ResponseFuture<F, X, O>
    where
        X: Exchange,
        O: Body,
    {
        #[pin]
        inner: F,
        watch: Watch<X>,
        head_only: bool,
        hold: Option<Hold>,
        // An answer without a body, until its record is safe.
        held: Option<(Hold, Response<Watched<O, X>>)>,
    }
}

/// What the end of an answer waits for, where its record must be safe before the client has the whole of it.
pub type Hold = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An exchange under way, as the observer of its response body; ends it when dropped.
#[derive(Debug)]
pub struct Watch<X: Exchange> {
    // Taken when the end has been told.
    exchange: Option<X>,
}

/// Begins a record for each request.
///
/// `Option<Recorder>` is one too: `None` records nothing.
pub trait Recorder<B> {
    /// What is kept while the exchange is under way.
    type Exchange: Exchange;

    /// A request came in. It may pin a note to the request, so that layers below can write into it.
    fn begin(&self, request: &mut Request<B>) -> Self::Exchange;
}

/// One request with its response, while it is under way.
///
/// The methods run on the exchange's own path: they must not block and must not wait.
pub trait Exchange {
    /// The head of the response, with the notes that layers below pinned to it (`extensions`).
    fn response(&mut self, head: &response::Parts) {
        let _ = head;
    }

    /// A piece of the response body, in order.
    fn data(&mut self, data: &Bytes) {
        let _ = data;
    }

    /// What the last piece of the answer, and its end, are to wait for. It begins to be waited for only after
    /// [`end`](Self::end), and should have a limit of its own. Asked once, at the beginning. Default: nothing.
    fn hold(&mut self) -> Option<Hold> {
        None
    }

    /// The end, exactly once, whatever happens: [`Ending::Failed`] when the service answered with an error
    /// or the body broke off, [`Ending::Cancelled`] when the client left, be it before there was a response.
    fn end(self, ending: Ending);
}

// === impl LogLayer ===

impl<R> LogLayer<R> {
    /// Shows every exchange to this recorder.
    pub fn new(recorder: R) -> Self {
        Self { recorder }
    }
}

impl<S, R: Clone> Layer<S> for LogLayer<R> {
    type Service = Log<S, R>;

    fn layer(&self, inner: S) -> Log<S, R> {
        Log { inner, recorder: self.recorder.clone() }
    }
}

// === impl Log ===

impl<S, R, B, O> Service<Request<B>> for Log<S, R>
where
    S: Service<Request<B>, Response = Response<O>>,
    R: Recorder<B>,
    O: Body<Data = Bytes>,
{
    type Response = Response<Watched<O, R::Exchange>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R::Exchange, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Before the inner call: if that panics, the exchange ends all the same.
        let mut exchange = self.recorder.begin(&mut request);
        let hold = exchange.hold();
        let watch = Watch { exchange: Some(exchange) };
        let head_only = request.method() == Method::HEAD;
        ResponseFuture { inner: self.inner.call(request), watch, head_only, hold, held: None }
    }
}

// === impl ResponseFuture ===

impl<F, X, O, E> Future for ResponseFuture<F, X, O>
where
    F: Future<Output = Result<Response<O>, E>>,
    X: Exchange,
    O: Body<Data = Bytes>,
{
    type Output = Result<Response<Watched<O, X>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some((hold, _)) = this.held {
            ready!(hold.as_mut().poll(cx));
            if let Some((_, response)) = this.held.take() {
                return Poll::Ready(Ok(response));
            }
        }
        let result = ready!(this.inner.poll(cx));
        let mut watch = Watch { exchange: this.watch.exchange.take() };
        Poll::Ready(match result {
            Err(error) => {
                watch.end(Ending::Failed);
                Err(error)
            }
            Ok(response) => {
                let (head, body) = response.into_parts();
                if let Some(exchange) = &mut watch.exchange {
                    exchange.response(&head);
                }
                let declared = declared(&head, *this.head_only);
                let body = Tee::with_length(body, watch, declared);
                let mut body = Watched::new(body, this.hold.take());
                if let Some(mut hold) = body.hold_of_head() {
                    let waits = hold.as_mut().poll(cx).is_pending();
                    let response = Response::from_parts(head, body);
                    if waits {
                        *this.held = Some((hold, response));
                        return Poll::Pending;
                    }
                    return Poll::Ready(Ok(response));
                }
                Ok(Response::from_parts(head, body))
            }
        })
    }
}

impl<F, X: Exchange, O: Body> fmt::Debug for ResponseFuture<F, X, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

// Source: RFC 9112 section 6.3 (which responses have no body, whatever their headers say).
fn declared(head: &response::Parts, head_only: bool) -> Option<u64> {
    if head_only || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(0);
    }
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

// === impl Watch ===

impl<X: Exchange> Observer for Watch<X> {
    fn data(&mut self, data: &Bytes) {
        if let Some(exchange) = &mut self.exchange {
            exchange.data(data);
        }
    }

    fn end(mut self, ending: Ending) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end(ending);
        }
    }
}

impl<X: Exchange> Drop for Watch<X> {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end(Ending::dropped());
        }
    }
}

// === impl Recorder and Exchange for Option ===

impl<B, R: Recorder<B>> Recorder<B> for Option<R> {
    type Exchange = Option<R::Exchange>;

    fn begin(&self, request: &mut Request<B>) -> Self::Exchange {
        self.as_ref().map(|recorder| recorder.begin(request))
    }
}

impl<X: Exchange> Exchange for Option<X> {
    fn response(&mut self, head: &response::Parts) {
        if let Some(exchange) = self {
            exchange.response(head);
        }
    }

    fn data(&mut self, data: &Bytes) {
        if let Some(exchange) = self {
            exchange.data(data);
        }
    }

    fn hold(&mut self) -> Option<Hold> {
        self.as_mut().and_then(X::hold)
    }

    fn end(self, ending: Ending) {
        if let Some(exchange) = self {
            exchange.end(ending);
        }
    }
}

#[cfg(test)]
mod tests;
