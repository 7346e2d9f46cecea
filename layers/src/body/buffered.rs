//! A body that may be whole: all of it in memory, or the part that was read and the rest.

use super::{Replace, Replay};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A body that is whole, or still streaming.
    ///
    /// Whole: all bytes are in memory, the size hint is exact, and it can be sent again.
    /// Streaming: nothing, or a prefix, was read; reading it gives the prefix and then the rest,
    /// with the frames that the inner body yields. It cannot be sent again.
    #[must_use]
    pub struct Buffered<B>
    where
        B: Body,
    {
        #[pin]
        state: State<B, B::Error>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<B, E> {
        Whole { bytes: Bytes, trailers: Option<Box<HeaderMap>>, sent: bool },
        Streaming { prefix: VecDeque<Bytes>, error: Option<E>, #[pin] rest: B },
    }
}

// === impl Buffered ===

impl<B: Body> Buffered<B> {
    /// A whole body.
    pub fn whole(bytes: Bytes) -> Self {
        Self { state: State::Whole { bytes, trailers: None, sent: false } }
    }

    /// A body of which nothing was read.
    pub fn streaming(rest: B) -> Self {
        Self { state: State::Streaming { prefix: VecDeque::new(), error: None, rest } }
    }

    /// Whether all of it is in memory and none of it has been taken.
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole { sent: false, .. })
    }

    /// All of the body. `None`: it is still arriving, or has been read.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.state {
            State::Whole { bytes, sent: false, .. } => Some(bytes),
            State::Whole { .. } | State::Streaming { .. } => None,
        }
    }

    /// Makes these bytes the whole body; what it was before, arriving or not, is dropped.
    /// Correcting `content-length` is the caller's part.
    pub fn set_bytes(&mut self, bytes: Bytes) {
        self.state = match &mut self.state {
            State::Whole { trailers, .. } => {
                State::Whole { bytes, trailers: trailers.take(), sent: false }
            }
            State::Streaming { .. } => State::Whole { bytes, trailers: None, sent: false },
        };
    }

    /// All of the body.
    ///
    /// # Errors
    /// The body itself, when it is still arriving or has been read.
    pub fn into_whole(self) -> Result<Bytes, Self> {
        match self.state {
            State::Whole { bytes, sent: false, .. } => Ok(bytes),
            state => Err(Self { state }),
        }
    }
}

impl<B: Body<Data = Bytes>> Buffered<B> {
    /// Reads up to `max_bytes`. Whole, if the body ends in that time; else streaming, with what was
    /// read first. A read error is kept and surfaces where it would have: after what was read.
    ///
    /// # Cancel safety
    /// Dropping the future drops the body.
    pub async fn read(mut body: B, max_bytes: usize) -> Self
    where
        B: Unpin,
    {
        let mut prefix = VecDeque::new();
        let mut total = 0_usize;
        let mut trailers = None;
        loop {
            let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            match frame {
                None => break,
                Some(Err(error)) => {
                    return Self {
                        state: State::Streaming { prefix, error: Some(error), rest: body },
                    };
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        total = total.saturating_add(data.len());
                        if !data.is_empty() {
                            prefix.push_back(data);
                        }
                        if total > max_bytes {
                            return Self {
                                state: State::Streaming { prefix, error: None, rest: body },
                            };
                        }
                    }
                    Err(frame) => {
                        trailers = frame.into_trailers().ok().map(Box::new);
                        break;
                    }
                },
            }
        }
        Self { state: State::Whole { bytes: join(prefix, total), trailers, sent: false } }
    }
}

// One piece is the usual case, and is not copied.
fn join(mut pieces: VecDeque<Bytes>, total: usize) -> Bytes {
    if pieces.len() <= 1 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(total);
    for piece in pieces {
        all.extend_from_slice(&piece);
    }
    all.freeze()
}

impl<B: Body<Data = Bytes>> Body for Buffered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().state.project() {
            StateProj::Whole { bytes, trailers, sent } => {
                *sent = true;
                if !bytes.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))));
                }
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
            }
            StateProj::Streaming { prefix, error, rest } => {
                if let Some(data) = prefix.pop_front() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                if let Some(error) = error.take() {
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(ready!(rest.poll_frame(cx)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Whole { bytes, trailers, .. } => bytes.is_empty() && trailers.is_none(),
            State::Streaming { prefix, error, rest } => {
                prefix.is_empty() && error.is_none() && rest.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Whole { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            State::Streaming { prefix, rest, .. } => {
                let read: u64 = prefix.iter().map(|data| data.len() as u64).sum();
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
                    hint.set_upper(upper);
                }
                hint.set_lower(rest.lower().saturating_add(read));
                hint
            }
        }
    }
}

impl<B: Body<Data = Bytes>> Replay for Buffered<B> {
    fn bytes(&self) -> Option<&Bytes> {
        Self::bytes(self)
    }

    fn replay(&self) -> Option<Self> {
        match &self.state {
            State::Whole { bytes, trailers, sent: false } => Some(Self {
                state: State::Whole {
                    bytes: bytes.clone(),
                    trailers: trailers.clone(),
                    sent: false,
                },
            }),
            State::Whole { .. } | State::Streaming { .. } => None,
        }
    }
}

impl<B: Body<Data = Bytes>> Replace for Buffered<B> {
    fn set_bytes(&mut self, bytes: Bytes) {
        Self::set_bytes(self, bytes);
    }
}

impl<B: Body> From<Bytes> for Buffered<B> {
    fn from(bytes: Bytes) -> Self {
        Self::whole(bytes)
    }
}

impl<B: Body> fmt::Debug for Buffered<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Whole { bytes, sent, .. } => {
                f.debug_struct("Whole").field("bytes", &bytes.len()).field("sent", sent).finish()
            }
            State::Streaming { prefix, .. } => f
                .debug_struct("Streaming")
                .field("read", &prefix.iter().map(Bytes::len).sum::<usize>())
                .finish_non_exhaustive(),
        }
    }
}
