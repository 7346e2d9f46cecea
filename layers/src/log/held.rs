//! The body that a log layer answers with: watched, and its last piece held back where the record says so.

use super::{Exchange, Hold, Watch};
use crate::body::Tee;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// The body of [`Log`](super::Log)'s answers.
    ///
    /// Without a [`Hold`] every frame passes as it comes. With one, a frame is passed on when the next one has come or
    /// is not there yet, and the last one, with the end, when the hold is over: so nobody has the whole of an answer
    /// before its record is safe.
    #[must_use]
    pub struct Watched<B, X>
    where
        X: Exchange,
        B: Body,
    {
        #[pin]
        inner: Tee<B, Watch<X>>,
        hold: Option<Hold>,
        // What is still to be passed on, in this order.
        kept: Option<Frame<B::Data>>,
        end: Option<End<B::Error>>,
    }
}

/// How the inner body ended.
enum End<E> {
    // It may have more to say: only its last bytes are here.
    Told,
    Whole,
    Failed(E),
}

impl<B, X> Watched<B, X>
where
    B: Body<Data = Bytes>,
    X: Exchange,
{
    pub(super) fn new(inner: Tee<B, Watch<X>>, hold: Option<Hold>) -> Self {
        Self { inner, hold, kept: None, end: None }
    }

    /// What the head waits for: the hold, if there is nothing behind the head that could wait.
    pub(super) fn hold_of_head(&mut self) -> Option<Hold> {
        if self.inner.is_told() { self.hold.take() } else { None }
    }
}

impl<B, X> Body for Watched<B, X>
where
    B: Body<Data = Bytes>,
    X: Exchange,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        loop {
            if this.end.is_some() {
                if let Some(hold) = this.hold {
                    ready!(hold.as_mut().poll(cx));
                    *this.hold = None;
                }
                if let Some(frame) = this.kept.take() {
                    return Poll::Ready(Some(Ok(frame)));
                }
                match this.end.take() {
                    Some(End::Failed(error)) => return Poll::Ready(Some(Err(error))),
                    Some(End::Whole) => return Poll::Ready(None),
                    Some(End::Told) | None => {}
                }
            }
            if this.hold.is_none() {
                return this.inner.poll_frame(cx);
            }
            let Poll::Ready(next) = this.inner.as_mut().poll_frame(cx) else {
                // More is to come: that this was not the last piece is known.
                return this
                    .kept
                    .take()
                    .map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))));
            };
            let before = this.kept.take();
            match next {
                Some(Ok(frame)) => {
                    *this.kept = Some(frame);
                    if this.inner.is_told() {
                        *this.end = Some(End::Told);
                    }
                }
                Some(Err(error)) => *this.end = Some(End::Failed(error)),
                None => *this.end = Some(End::Whole),
            }
            match (before, &this.kept) {
                (Some(frame), Some(_)) => return Poll::Ready(Some(Ok(frame))),
                (before, None) => *this.kept = before,
                (None, Some(_)) => {}
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.kept.is_none()
            && self.end.is_none()
            && self.hold.is_none()
            && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        if let Some(data) = self.kept.as_ref().and_then(Frame::data_ref) {
            let kept = data.len() as u64;
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + kept);
            }
            hint.set_lower(hint.lower() + kept);
        }
        hint
    }
}

impl<B: Body + fmt::Debug, X: Exchange> fmt::Debug for Watched<B, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("inner", &self.inner)
            .field("held", &self.hold.is_some())
            .finish_non_exhaustive()
    }
}
