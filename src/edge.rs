//! What a request may be before anybody reads it: a head that can be read in one way, and a body that comes in time and
//! finds room.
//!
//! [`HeadLayer`] stands above access, since a head with two meanings is no request of anybody's. [`EdgeLayer`] stands
//! below it, so that strangers cost nothing, and above the buffer, which reads bodies. It reads nothing itself: the
//! body is handed down in a guard that keeps the time and counts what comes. When that gives up, the answer is made
//! here, in the client's dialect, and what ran below is dropped.

mod arriving;
mod head;

pub use self::{
    arriving::Arriving,
    head::{Head, HeadLayer},
};

use crate::{
    error::Error,
    front::{Front, render},
    memory::{Memory, Place},
    record::Record,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header, request};
use http_body::Body;
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;

/// How long a body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Between two pieces, of any body. Default 10 s.
    pub idle: Duration,
    /// For all of a body that is read whole. Default 60 s.
    pub whole: Duration,
}

/// Refuses what comes too slowly or finds no room.
///
/// * 408 for a body that keeps the gateway waiting.
/// * 503 when bodies that are read whole have no room, or the program comes near what the system allows it.
#[derive(Clone, Debug)]
pub struct EdgeLayer<W> {
    memory: Memory,
    patience: Patience,
    max_bytes: usize,
    when: W,
}

/// The service of [`EdgeLayer`].
#[derive(Clone, Debug)]
pub struct Edge<S, W> {
    inner: S,
    layer: EdgeLayer<W>,
}

pin_project! {
    /// The future of [`Edge`].
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Passed {
            #[pin] inner: F,
            told: Option<oneshot::Receiver<Error>>,
            refuser: Refuser,
            // As long as the body may be read again.
            place: Option<Place>,
        },
        Refused { response: Option<Response<Bytes>> },
    }
}

/// What it takes to refuse a request that has been handed on.
#[derive(Debug)]
struct Refuser {
    front: Front,
    record: Record,
    http1: bool,
}

// === impl Patience ===

impl Default for Patience {
    fn default() -> Self {
        Self { idle: Duration::from_secs(10), whole: Duration::from_secs(60) }
    }
}

// === impl EdgeLayer ===

impl<W> EdgeLayer<W>
where
    W: Fn(&request::Parts) -> bool + Clone,
{
    /// * `max_bytes`, `when`: which bodies the buffer below reads whole; those are counted.
    pub fn new(memory: Memory, patience: Patience, max_bytes: usize, when: W) -> Self {
        Self { memory, patience, max_bytes, when }
    }

    /// # Errors
    /// What the client is told instead of an answer.
    fn admit(&self, head: &request::Parts, empty: bool) -> Result<Option<Place>, Error> {
        // Whoever asks how the gateway is must be told.
        if Front::is_own(head.uri.path()) {
            return Ok(None);
        }
        let declared = declared(head);
        let expected = if empty { 0 } else { declared.unwrap_or(self.max_bytes) };
        if self.memory.is_short_for(expected) {
            return Err(Error::NoMemory);
        }
        if empty || declared > Some(self.max_bytes) || !(self.when)(head) {
            return Ok(None);
        }
        let place = self.memory.place(declared.unwrap_or(0)).map_err(|_| Error::NoMemory)?;
        Ok(Some(place))
    }
}

impl<S, W: Clone> Layer<S> for EdgeLayer<W> {
    type Service = Edge<S, W>;

    fn layer(&self, inner: S) -> Edge<S, W> {
        Edge { inner, layer: self.clone() }
    }
}

// === impl Edge ===

impl<S, W, B, R> Service<Request<B>> for Edge<S, W>
where
    S: Service<Request<Arriving<B>>, Response = Response<R>>,
    W: Fn(&request::Parts) -> bool + Clone,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let empty = body.is_end_stream();
        let refuser = Refuser::of(&mut head);
        let place = match self.layer.admit(&head, empty) {
            Ok(place) => place,
            Err(error) => {
                let response = Some(refuser.refuse(&error));
                return ResponseFuture { state: State::Refused { response } };
            }
        };
        if let Some(place) = &place {
            head.extensions.insert(place.clone());
        }
        let (body, told) = match empty {
            true => (Arriving::unguarded(body), None),
            false => {
                let (tell, told) = oneshot::channel();
                let counted = place.clone().map(|place| (place, declared(&head).unwrap_or(0)));
                (Arriving::guarded(body, self.layer.patience, counted, tell), Some(told))
            }
        };
        let inner = self.inner.call(Request::from_parts(head, body));
        ResponseFuture { state: State::Passed { inner, told, refuser, place } }
    }
}

fn declared(head: &request::Parts) -> Option<usize> {
    head.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

// === impl Refuser ===

impl Refuser {
    fn of(head: &mut request::Parts) -> Self {
        Self {
            front: Front::of(&head.extensions),
            record: Record::of(&mut head.extensions),
            http1: head.version < Version::HTTP_2,
        }
    }

    fn refuse(&self, error: &Error) -> Response<Bytes> {
        let mut response = render(self.front, Some(&self.record), error);
        if self.http1 {
            // What is left of the body is not read, so nothing can follow it.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

// === impl ResponseFuture ===

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Either<Full<Bytes>, R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let here = |response: Response<Bytes>| {
            Poll::Ready(Ok(response.map(|body| Either::Left(Full::new(body)))))
        };
        match self.project().state.project() {
            StateProj::Refused { response } => {
                here(response.take().expect("not polled after it was ready"))
            }
            StateProj::Passed { inner, told, refuser, place } => {
                let answer = inner.poll(cx);
                // Below, a body that failed looks like an upstream that did.
                if let Some(telling) = told {
                    match Pin::new(telling).poll(cx) {
                        Poll::Ready(Ok(error)) => return here(refuser.refuse(&error)),
                        Poll::Ready(Err(_)) => *told = None,
                        Poll::Pending => {}
                    }
                }
                if answer.is_ready() {
                    *place = None;
                }
                answer.map_ok(|response| response.map(Either::Right))
            }
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
