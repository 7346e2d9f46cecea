//! Decompresses a whole body for all that read it, and keeps what the client sent for whoever may have it unchanged.
//!
//! It stands below the buffer and above everything that reads. Codex sends zstd, and Ollama and OpenAI take it
//! (source: ollama middleware/openai.go ResponsesMiddleware); other clients send gzip. A body that is not whole is
//! read by nobody here and passes with its header, whatever it is compressed with.
//!
//! A compressed request costs one box, the decoded body, and the sent one until the request is over. The work is done
//! in portions, with a turn for others between them: it ends when the client leaves, which work on a thread of
//! its own would not, and it needs no runtime.

mod coding;
mod zstd;

use self::coding::{Coding, Decoder};
use super::{Answered, Front, render};
use crate::{error::Error, memory::Place, record::Record};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH},
};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;
use unigate_layers::body::Replace;

/// Decodes whole bodies with a `Content-Encoding` of `zstd`, `gzip`, `x-gzip` or `deflate`, and pins an [`Encoded`].
///
/// Refused in the client's dialect: 415 for another coding or several, 413 for more bytes than the limit, 400 for
/// what is not what its header says.
#[derive(Clone, Copy, Debug)]
pub struct DecodeLayer {
    max_bytes: usize,
}

/// The service of [`DecodeLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Decoding<S> {
    inner: S,
    max_bytes: usize,
}

/// A body as the client sent it, and what it was decoded to; pinned by [`DecodeLayer`].
///
/// Absent: the body came as it is, or is not whole.
#[derive(Clone)]
pub struct Encoded {
    sent: Bytes,
    coding: HeaderValue,
    decoded: Bytes,
}

pin_project! {
    /// The future of [`Decoding`].
    pub struct ResponseFuture<F, T> {
        #[pin]
        state: State<F, T>,
    }
}

type Story<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project! {
    #[project = StateProj]
    enum State<F, T> {
        Direct { #[pin] answered: Answered<F> },
        Decoding { story: Story<T> },
    }
}

// === impl DecodeLayer ===

impl DecodeLayer {
    /// Decodes to at most `max_bytes` bytes; a body that would be more is refused, and never held.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes }
    }
}

impl<S> Layer<S> for DecodeLayer {
    type Service = Decoding<S>;

    fn layer(&self, inner: S) -> Decoding<S> {
        Decoding { inner, max_bytes: self.max_bytes }
    }
}

// === impl Decoding ===

impl<S, B, R> Service<Request<B>> for Decoding<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Replace + Send + 'static,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let direct = |answered| ResponseFuture { state: State::Direct { answered } };
        let sent = match request.body().bytes() {
            Some(sent) if !sent.is_empty() => sent.clone(),
            _ => return direct(Answered::pass(self.inner.call(request))),
        };
        let coding = match Coding::of(request.headers()) {
            Ok(Some(coding)) => coding,
            Ok(None) => return direct(Answered::pass(self.inner.call(request))),
            Err(error) => return direct(Answered::here(refuse(&mut request, &error))),
        };
        let decoder = Decoder::new(coding, sent.clone(), self.max_bytes);
        let place = request.extensions().get().cloned();
        // The clone is not ready; the original is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let story = Box::pin(async move {
            match decode(decoder, place).await {
                Ok(decoded) => {
                    exchange(&mut request, sent, decoded);
                    Ok(inner.call(request).await?.map(Either::Right))
                }
                Err(error) => {
                    let refused = refuse(&mut request, &error);
                    Ok(refused.map(|body| Either::Left(Full::new(body))))
                }
            }
        });
        ResponseFuture { state: State::Decoding { story } }
    }
}

/// # Cancel safety
/// Dropping the future ends the work.
async fn decode(mut decoder: Decoder, place: Option<Place>) -> Result<Bytes, Error> {
    let mut counted = 0;
    loop {
        let done = decoder.step()?;
        if let Some(place) = &place {
            place.add(decoder.written() - counted).map_err(|_| Error::NoMemory)?;
            counted = decoder.written();
        }
        if done {
            return Ok(decoder.finish());
        }
        let mut waited = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

fn exchange<B: Replace>(request: &mut Request<B>, sent: Bytes, decoded: Bytes) {
    let headers = request.headers_mut();
    if headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(decoded.len()));
    }
    if let Some(coding) = headers.remove(CONTENT_ENCODING) {
        request.extensions_mut().insert(Encoded { sent, coding, decoded: decoded.clone() });
    }
    request.body_mut().set_bytes(decoded);
}

/// Why the body of an answer cannot be unpacked.
#[derive(Debug)]
pub(crate) enum Unpacked {
    /// It would be more than the limit.
    TooLarge,
    /// It is in a coding that is not read, or is not what its header says. The words for it.
    Unreadable(String),
}

/// Whether these are the headers of a compressed body.
pub(crate) fn is_packed(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_ENCODING) && !matches!(Coding::of(headers), Ok(None))
}

/// The body of an answer as it was before it was compressed, at most `limit` bytes of it; its header goes.
pub(crate) async fn unpack(
    headers: &mut HeaderMap,
    body: Bytes,
    limit: usize,
) -> Result<Bytes, Unpacked> {
    let named = headers.remove(CONTENT_ENCODING);
    let packed = named.clone().map(|named| HeaderMap::from_iter([(CONTENT_ENCODING, named)]));
    let unreadable = || {
        let named = named.as_ref().map(|named| String::from_utf8_lossy(named.as_bytes()));
        let named = named.unwrap_or_default();
        Unpacked::Unreadable(format!(
            "an answer that cannot be unpacked: Content-Encoding {named:?}"
        ))
    };
    match packed.as_ref().map_or(Ok(None), Coding::of) {
        Ok(None) => Ok(body),
        Ok(Some(coding)) => {
            headers.remove(CONTENT_LENGTH);
            decode(Decoder::new(coding, body, limit), None).await.map_err(|error| match error {
                Error::DecodedTooLarge { .. } => Unpacked::TooLarge,
                _ => unreadable(),
            })
        }
        Err(_) => Err(unreadable()),
    }
}

fn refuse<B>(request: &mut Request<B>, error: &Error) -> Response<Bytes> {
    let front = Front::of(request.extensions());
    let record = Record::of(request.extensions_mut());
    let mut response = render(front, Some(&record), error);
    if matches!(error, Error::UnsupportedEncoding(_)) {
        // Source: RFC 9110 15.5.16, what would have been accepted.
        let known = HeaderValue::from_static("zstd, gzip, deflate");
        response.headers_mut().insert(ACCEPT_ENCODING, known);
    }
    response
}

// === impl Encoded ===

impl Encoded {
    /// Makes the client's own bytes the body again, and names their coding, if the body is still what they were
    /// decoded to. One that was written anew stays, though it may say the same. Correcting `content-length` is the
    /// caller's part.
    pub fn restore<B: Replace>(&self, headers: &mut HeaderMap, body: &mut B) {
        if body.bytes().is_some_and(|bytes| same(bytes, &self.decoded)) {
            body.set_bytes(self.sent.clone());
            headers.insert(CONTENT_ENCODING, self.coding.clone());
        }
    }
}

/// Whether these are the very same bytes in memory; the one that is kept here keeps the place from being used again.
fn same(one: &Bytes, other: &Bytes) -> bool {
    one.len() == other.len() && one.as_ptr() == other.as_ptr()
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("coding", &self.coding)
            .field("sent", &self.sent.len())
            .field("decoded", &self.decoded.len())
            .finish()
    }
}

// === impl ResponseFuture ===

impl<F, R, E> Future for ResponseFuture<F, Result<Response<Either<Full<Bytes>, R>>, E>>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Either<Full<Bytes>, R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Direct { answered } => answered.poll(cx),
            StateProj::Decoding { story } => story.as_mut().poll(cx),
        }
    }
}

impl<F, T> fmt::Debug for ResponseFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
