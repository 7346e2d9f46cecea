//! The body: signs of life until there is an answer, then that.

use super::Pulse;
use bytes::{Bytes, BytesMut};
use http::{Response, response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// What a body's failure is told as.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The response body of [`Heartbeat`](super::Heartbeat).
    pub struct Beating<F, P, R> {
        #[pin]
        stage: Stage<F, P, R>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<F, P, R> {
        // It came in time.
        Passes { #[pin] body: R },
        Begun { begun: Begun<F, P, R> },
    }
}

/// A response that was begun before there was one.
enum Begun<F, P, R> {
    /// With a sign that is due already.
    Waits(Waiting<F, P>, bool),
    Streams(Pin<Box<R>>),
    Refused(Box<Refused<P, R>>),
    Over,
}

struct Refused<P, R> {
    pulse: P,
    head: response::Parts,
    body: Pin<Box<R>>,
    seen: BytesMut,
}

/// A call under way, and the clock beside it.
pub(super) struct Waiting<F, P> {
    inner: Pin<Box<F>>,
    pulse: P,
    sleep: Pin<Box<Sleep>>,
}

/// Most bytes of a refusal that the policy gets to see.
const MAX_REFUSAL: usize = 64 * 1024;

// === impl Waiting ===

impl<F, P: Pulse> Waiting<F, P> {
    pub(super) fn new(inner: F, pulse: P) -> Self {
        let sleep = Box::pin(sleep(pause(&pulse)));
        Self { inner: Box::pin(inner), pulse, sleep }
    }

    pub(super) fn pulse(&self) -> &P {
        &self.pulse
    }

    pub(super) fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<F::Output>
    where
        F: Future,
    {
        self.inner.as_mut().poll(cx)
    }

    /// Ready when a sign is due; the clock then runs anew.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.sleep.as_mut().poll(cx));
        self.sleep.as_mut().reset(Instant::now() + pause(&self.pulse));
        Poll::Ready(())
    }
}

fn pause(pulse: &impl Pulse) -> Duration {
    pulse.every().max(Duration::from_millis(1))
}

// === impl Beating ===

impl<F, P, R> Beating<F, P, R> {
    pub(super) fn pass(body: R) -> Self {
        Self { stage: Stage::Passes { body } }
    }

    /// Begins with a sign.
    pub(super) fn begin(waiting: Waiting<F, P>) -> Self {
        Self { stage: Stage::Begun { begun: Begun::Waits(waiting, true) } }
    }

    pub(super) fn over() -> Self {
        Self { stage: Stage::Begun { begun: Begun::Over } }
    }
}

impl<F, P, R, E> Body for Beating<F, P, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    P: Pulse,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().stage.project() {
            StageProj::Passes { body } => body.poll_frame(cx).map_err(Into::into),
            StageProj::Begun { begun } => begun.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.stage {
            Stage::Passes { body } => body.is_end_stream(),
            Stage::Begun { begun } => matches!(begun, Begun::Over),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.stage {
            Stage::Passes { body } => body.size_hint(),
            Stage::Begun { .. } => SizeHint::default(),
        }
    }
}

impl<F, P, R> fmt::Debug for Beating<F, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beating").finish_non_exhaustive()
    }
}

// === impl Begun ===

impl<F, P, R> Begun<F, P, R> {
    fn poll_frame<E>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
    where
        F: Future<Output = Result<Response<R>, E>>,
        P: Pulse,
        R: Body<Data = Bytes>,
        R::Error: Into<BoxError>,
        E: Into<BoxError>,
    {
        loop {
            match self {
                Self::Waits(waiting, due) => {
                    if std::mem::take(due) {
                        return Poll::Ready(Some(Ok(Frame::data(waiting.pulse.beat()))));
                    }
                    let Poll::Ready(result) = waiting.poll_inner(cx) else {
                        ready!(waiting.poll_due(cx));
                        return Poll::Ready(Some(Ok(Frame::data(waiting.pulse.beat()))));
                    };
                    let Self::Waits(Waiting { pulse, .. }, _) = std::mem::replace(self, Self::Over)
                    else {
                        return Poll::Ready(None);
                    };
                    match result {
                        Err(error) => return Poll::Ready(Some(Err(error.into()))),
                        Ok(response) if response.status().is_success() => {
                            *self = Self::Streams(Box::pin(response.into_body()));
                        }
                        Ok(response) => {
                            let (head, body) = response.into_parts();
                            let (body, seen) = (Box::pin(body), BytesMut::new());
                            *self = Self::Refused(Box::new(Refused { pulse, head, body, seen }));
                        }
                    }
                }
                Self::Streams(body) => {
                    let frame = ready!(body.as_mut().poll_frame(cx));
                    if frame.is_none() {
                        *self = Self::Over;
                    }
                    return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
                }
                Self::Refused(refused) => {
                    if let Some(Ok(frame)) = ready!(refused.body.as_mut().poll_frame(cx))
                        && refused.seen.len() < MAX_REFUSAL
                    {
                        if let Ok(data) = frame.into_data() {
                            let room = data.len().min(MAX_REFUSAL - refused.seen.len());
                            refused.seen.extend_from_slice(&data[..room]);
                        }
                        continue;
                    }
                    // Its end, a failure, or enough of it: what there is must do.
                    let seen = refused.seen.split().freeze();
                    let told = refused.pulse.refused(&refused.head, seen);
                    *self = Self::Over;
                    return Poll::Ready(Some(Ok(Frame::data(told))));
                }
                Self::Over => return Poll::Ready(None),
            }
        }
    }
}
