//! A request body that keeps the time while it arrives, and finds room for what it brings.

use super::Patience;
use crate::{error::Error, listen::Deadline, memory::Place};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::oneshot;

pin_project! {
    /// A body under guard. Time counts only while the client is waited for, not while nobody asks for more.
    pub struct Arriving<B> {
        #[pin]
        inner: B,
        guard: Option<Guard>,
    }
}

struct Guard {
    idle: Deadline,
    /// For a body that is read whole.
    whole: Option<Deadline>,
    /// The room it takes, and how much of that is still to come.
    counted: Option<(Place, usize)>,
    tell: Option<oneshot::Sender<Error>>,
}

impl<B> Arriving<B> {
    /// For a body that has come.
    pub(super) fn unguarded(inner: B) -> Self {
        Self { inner, guard: None }
    }

    /// * `counted`: room for a body that is read whole, and how many bytes of it are accounted for.
    /// * `tell`: who answers when it is given up.
    pub(super) fn guarded(
        inner: B,
        patience: Patience,
        counted: Option<(Place, usize)>,
        tell: oneshot::Sender<Error>,
    ) -> Self {
        let idle = Deadline::new(patience.idle);
        let whole = counted.as_ref().map(|_| Deadline::new(patience.whole));
        Self { inner, guard: Some(Guard { idle, whole, counted, tell: Some(tell) }) }
    }
}

impl Guard {
    /// The client is waited for.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        for deadline in [Some(&mut self.idle), self.whole.as_mut()].into_iter().flatten() {
            if deadline.wait(cx).is_ready() {
                return Poll::Ready(Error::BodyTimeout { waited: deadline.after() });
            }
        }
        Poll::Pending
    }

    fn came(&mut self, data: Option<&Bytes>) -> Result<(), Error> {
        self.idle.met();
        let (Some((place, expected)), Some(data)) = (&mut self.counted, data) else {
            return Ok(());
        };
        let beyond = data.len().saturating_sub(*expected);
        *expected = expected.saturating_sub(data.len());
        place.add(beyond).map_err(|_| Error::NoMemory)
    }

    fn give_up(&mut self, error: &Error) -> Box<dyn StdError + Send + Sync> {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(error.clone());
        }
        error.clone().into()
    }
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        let Some(guard) = this.guard else {
            return polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)));
        };
        match polled {
            Poll::Pending => guard.wait(cx).map(|error| Some(Err(guard.give_up(&error)))),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(match guard.came(frame.data_ref()) {
                Ok(()) => Ok(frame),
                Err(error) => Err(guard.give_up(&error)),
            })),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for Arriving<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving").field("guarded", &self.guard.is_some()).finish_non_exhaustive()
    }
}
