//! What an HTTP/2 client draws of its answers: one that grants no window for too long loses that stream, not the others.
//!
//! On HTTP/1 a client that takes nothing fills the connection, and the connection notices. On HTTP/2 each stream has a
//! window of its own; one that is shut leaves the connection idle and the upstream at work. hyper runs each stream as a
//! task, through the executor that is given to it: so here is one that ends the task whose body gave something
//! which is not taken. Frames are handed on in pieces, so that a large one taken slowly is not one that is not taken.

use super::deadline::Deadline;
use bytes::{Buf, Bytes};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

/// Runs the streams of HTTP/2 connections, each until it is done or stuck.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    pub(super) takes: Duration,
}

pin_project! {
    /// A body that says when it gave something.
    #[derive(Debug)]
    pub(super) struct Drawn<B> {
        #[pin]
        inner: B,
        pieces: bool,
        rest: Bytes,
    }
}

pin_project! {
    /// The future of an answer with such a body.
    pub(super) struct Drawing<F> {
        #[pin]
        pub(super) inner: F,
        pub(super) pieces: bool,
    }
}

tokio::task_local! {
    /// How often the body of this stream gave something, and whether nothing was asked of it since.
    static GIVEN: Cell<(u32, bool)>;
}

/// The most that is given at once; the size of an HTTP/2 frame.
const PIECE: usize = 16 * 1024;

// === impl Streams ===

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut takes = Deadline::new(self.takes);
        let story = async move {
            let mut stream = pin!(stream);
            let mut seen = 0;
            poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                let (count, waits) = GIVEN.with(Cell::get);
                if count != seen || !waits {
                    seen = count;
                    takes.met();
                }
                if !waits {
                    return Poll::Pending;
                }
                ready!(takes.wait(cx));
                // Dropped, which resets the stream.
                tracing::debug!("an HTTP/2 stream ended: the client takes nothing");
                Poll::Ready(())
            })
            .await;
        };
        tokio::spawn(GIVEN.scope(Cell::new((0, false)), story));
    }
}

// === impl Drawn ===

impl<B: Body<Data = Bytes>> Body for Drawn<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !*this.pieces {
            return this.inner.poll_frame(cx);
        }
        let (count, _) = GIVEN.try_with(Cell::get).unwrap_or_default();
        let _ = GIVEN.try_with(|given| given.set((count, false)));
        let mut data = std::mem::take(this.rest);
        if data.is_empty() {
            match ready!(this.inner.poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(came) => data = came,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = data.split_to(data.remaining().min(PIECE));
        *this.rest = data;
        let _ = GIVEN.try_with(|given| given.set((count.wrapping_add(1), true)));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            return self.inner.size_hint();
        }
        let (rest, inner) = (self.rest.len() as u64, self.inner.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper().and_then(|upper| upper.checked_add(rest)) {
            hint.set_upper(upper);
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}

// === impl Drawing ===

impl<F, B, E> Future for Drawing<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Drawn<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let pieces = *this.pieces;
        Poll::Ready(Ok(response.map(|inner| Drawn { inner, pieces, rest: Bytes::new() })))
    }
}
