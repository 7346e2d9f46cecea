//! Bodies and services that follow a script, for the tests of this crate.

use crate::body::{Ending, Observer};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
pub(crate) enum Step {
    Data(&'static str),
    Trailers,
    Error,
    Pending,
}

/// A body that plays its steps.
#[derive(Debug, Default)]
pub(crate) struct Script {
    steps: VecDeque<Step>,
    exact: Option<u64>,
    hints_end: bool,
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Broken;

/// What an observer saw; shared with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) data: Arc<Mutex<Vec<u8>>>,
    pub(crate) endings: Arc<Mutex<Vec<Ending>>>,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// Has an exact size hint.
    pub(crate) fn exact(mut self, bytes: u64) -> Self {
        self.exact = Some(bytes);
        self
    }

    /// Knows its end when its last step was taken.
    pub(crate) fn hints_end(mut self) -> Self {
        self.hints_end = true;
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match self.steps.pop_front() {
            None => None,
            Some(Step::Data(data)) => Some(Ok(Frame::data(Bytes::from_static(data.as_bytes())))),
            Some(Step::Trailers) => Some(Ok(Frame::trailers(HeaderMap::new()))),
            Some(Step::Error) => Some(Err(Broken)),
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.hints_end && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Observer for Seen {
    fn data(&mut self, data: &Bytes) {
        self.data.lock().unwrap().extend_from_slice(data);
    }

    fn end(self, ending: Ending) {
        self.endings.lock().unwrap().push(ending);
    }
}

impl Seen {
    pub(crate) fn endings(&self) -> Vec<Ending> {
        self.endings.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.data.lock().unwrap().clone()).unwrap()
    }
}

type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// One poll.
pub(crate) fn frame<B: Body + Unpin>(body: &mut B) -> Polled<B> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// All there is, as a short text: data as it is, `|` between frames, `T` trailers, `!` error.
pub(crate) fn play<B: Body<Data = Bytes> + Unpin>(mut body: B) -> String {
    let mut frames = Vec::new();
    loop {
        match frame(&mut body) {
            Poll::Pending => {}
            Poll::Ready(None) => return frames.join("|"),
            Poll::Ready(Some(Err(_))) => frames.push("!".to_owned()),
            Poll::Ready(Some(Ok(frame))) => frames.push(match frame.into_data() {
                Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                Err(_) => "T".to_owned(),
            }),
        }
    }
}
