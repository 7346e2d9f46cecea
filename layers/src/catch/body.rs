//! A body that can be ended from above, and whose panics end nothing else.

use super::stop::Waiting;
use super::{Farewell, Why};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// The body of a response that [`Catch`](super::Catch) has let pass.
    #[derive(Debug)]
    pub struct CaughtBody<B, L> {
        // Empty once it has panicked or was stopped.
        #[pin]
        inner: Option<B>,
        // Taken when the last word is said.
        last: Option<L>,
        waiting: Waiting,
        tail: Tail,
        // Its length is known, and may have been told: no word fits in behind it.
        sized: bool,
    }
}

/// The last two bytes that went out.
#[derive(Debug, Default)]
struct Tail {
    bytes: [u8; 2],
    len: usize,
}

/// What a body breaks off with that has no words for its end.
#[derive(Debug)]
struct BrokenOff(Why);

// === impl CaughtBody ===

impl<B: Body, L> CaughtBody<B, L> {
    pub(super) fn new(inner: B, last: L, waiting: Waiting) -> Self {
        let sized = inner.size_hint().exact().is_some();
        Self { inner: Some(inner), last: Some(last), waiting, tail: Tail::default(), sized }
    }
}

impl<B, L> Body for CaughtBody<B, L>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    L: Farewell,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let why = match catch_unwind(AssertUnwindSafe(|| inner.poll_frame(cx))) {
            Ok(Poll::Ready(frame)) => {
                if let Some(Ok(frame)) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    this.tail.pass(data);
                }
                return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
            }
            Ok(Poll::Pending) if !this.waiting.is_over(cx) => return Poll::Pending,
            Ok(Poll::Pending) => Why::Stopped,
            Err(_) => Why::Panicked,
        };
        // All that it held goes now; a second panic on its way out is no news.
        let _ = catch_unwind(AssertUnwindSafe(|| this.inner.set(None)));
        let words = this.last.take().and_then(|last| last.end(why, this.tail.bytes()));
        Poll::Ready(Some(match words {
            Some(words) if !*this.sized => Ok(Frame::data(words)),
            Some(_) | None => Err(Box::new(BrokenOff(why))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

// === impl Tail ===

impl Tail {
    fn pass(&mut self, data: &[u8]) {
        match data {
            [] => {}
            [one] => {
                self.bytes = [self.bytes[self.len.saturating_sub(1)], *one];
                if self.len == 0 {
                    self.bytes[0] = *one;
                }
                self.len = (self.len + 1).min(2);
            }
            [.., first, second] => (self.bytes, self.len) = ([*first, *second], 2),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

// === impl BrokenOff ===

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Why::Panicked => "the answer broke off: an internal error",
            Why::Stopped => "the answer broke off: the program is being stopped",
        })
    }
}

impl std::error::Error for BrokenOff {}

#[cfg(test)]
mod tests {
    use super::Tail;

    #[test]
    fn the_tail_is_the_last_two_bytes_however_they_came() {
        for (pieces, expected) in [
            (&["a"][..], "a"),
            (&["a", "b"], "ab"),
            (&["a", "", "b", "c"], "bc"),
            (&["abc", "d"], "cd"),
            (&["abc", "de"], "de"),
            (&[""], ""),
        ] {
            let mut tail = Tail::default();
            pieces.iter().for_each(|piece| tail.pass(piece.as_bytes()));
            assert_eq!(tail.bytes(), expected.as_bytes(), "{pieces:?}");
        }
    }
}
