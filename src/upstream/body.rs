//! The body of an answer on its way from an upstream to the client: watched or translated, timed, never collected.

use super::{Permit, choices::Several, timer::Timer};
use crate::{
    dialect::Reply,
    error::Error,
    record::{Record, now_ms},
    translate::{Flow, Pair, State},
};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// What a body's failure is told as.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
///
/// The upstream's own body lives inside, and so does the permit: when the client leaves, both go.
pub struct AnswerBody {
    /// Bytes that go out before anything else is read.
    ready: Bytes,
    /// `None` once the upstream has nothing more to say.
    inner: Option<Incoming>,
    watch: Watch,
    timer: Option<Timer>,
    /// Bytes that may come, and how many of them have not.
    limit: usize,
    room: usize,
    upstream: Arc<str>,
    record: Option<Record>,
    /// What is known of an answer that is whole in `ready`.
    state: Option<State>,
    _permit: Permit,
}

/// What is to be learnt from the bytes that pass.
pub(super) enum Watch {
    /// Nothing: not a dialect's answer.
    Nothing,
    /// A stream, watched or translated event by event.
    Flow(Box<Flow>),
    /// An unstreamed answer that passes unchanged; read at its end, unless it grew beyond `room`.
    Whole { pair: Pair, reply: Reply, seen: Vec<Bytes>, room: usize },
    /// Several streams that are told as one.
    Several(Box<Several>),
}

// === impl AnswerBody ===

impl AnswerBody {
    pub(super) fn whole(bytes: Bytes, upstream: Arc<str>) -> Self {
        Self {
            ready: bytes,
            inner: None,
            watch: Watch::Nothing,
            timer: None,
            limit: usize::MAX,
            room: usize::MAX,
            upstream,
            record: None,
            state: None,
            _permit: None,
        }
    }

    pub(super) fn several(several: Several, upstream: Arc<str>) -> Self {
        Self { watch: Watch::Several(Box::new(several)), ..Self::whole(Bytes::new(), upstream) }
    }

    /// The same, of an answer of which this is known.
    pub(super) fn knowing(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// What has been seen of the answer, where it was looked at.
    pub(super) fn state(&self) -> Option<&State> {
        match &self.watch {
            Watch::Flow(flow) => Some(flow.state()),
            Watch::Nothing | Watch::Whole { .. } | Watch::Several(_) => self.state.as_ref(),
        }
    }

    /// What is here already, taken out.
    pub(super) fn take_ready(&mut self) -> Bytes {
        std::mem::take(&mut self.ready)
    }

    pub(super) fn new(
        ready: Bytes,
        inner: Option<Incoming>,
        watch: Watch,
        upstream: Arc<str>,
        record: Option<Record>,
        permit: Permit,
    ) -> Self {
        let whole = Self::whole(ready, upstream);
        Self { inner, watch, record, _permit: permit, ..whole }
    }

    /// Gives up after `idle` without a frame, and at `total` after `started`.
    pub(super) fn timed(mut self, idle: Duration, total: Duration, started: Instant) -> Self {
        self.timer = Some(Timer::new(idle, total, started));
        self
    }

    /// Ends with an error after this many bytes.
    pub(super) fn bounded(mut self, limit: usize) -> Self {
        (self.limit, self.room) = (limit, limit);
        self
    }

    fn fault(&self, code: &'static str, message: &str) {
        if let Some(record) = &self.record {
            let _ = record.fault.set((code, message.to_owned()));
        }
    }

    /// What the watch has learnt so far goes to the record.
    fn learn(&self) {
        let Watch::Flow(flow) = &self.watch else { return };
        let state = flow.state();
        if let Some(fault) = &state.fault {
            self.fault("upstream_error", fault);
        }
        if state.finished
            && let Some(record) = &self.record
            && state.usage.is_known()
        {
            let _ = record.usage.set(state.usage);
        }
    }

    /// The upstream's body ended; what the watch still has to say.
    fn finish(&mut self) -> Bytes {
        self.inner = None;
        let upstream = self.upstream.clone();
        match &mut self.watch {
            Watch::Nothing | Watch::Several(_) => Bytes::new(),
            Watch::Flow(flow) => {
                let tail = flow.end(&upstream, now_ms());
                if let Some(fault) = flow.state().fault.clone() {
                    self.fault("upstream_incomplete", &fault);
                }
                self.learn();
                tail
            }
            Watch::Whole { pair, reply, seen, .. } => {
                let body = join(seen);
                if !body.is_empty() {
                    let read = pair.answer(&upstream, &body, reply, now_ms());
                    match read {
                        Ok((_, state)) => {
                            if let Some(record) = &self.record {
                                let _ = record.usage.set(state.usage);
                            }
                            if !state.finished {
                                let error = Error::Incomplete { upstream };
                                self.fault(error.code(), &error.to_string());
                            }
                        }
                        Err(error) => self.fault(error.code(), &error.to_string()),
                    }
                }
                Bytes::new()
            }
        }
    }

    /// Something broke after the answer had begun: told in the client's dialect where it has words for it.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.inner = None;
        self.timer = None;
        if let Watch::Flow(flow) = &mut self.watch {
            let tail = flow.fail(&error);
            // A finished stream cannot fail any more.
            if flow.state().finished {
                self.learn();
            } else {
                self.fault(error.code(), &error.to_string());
            }
            return Poll::Ready((!tail.is_empty()).then(|| Ok(Frame::data(tail))));
        }
        self.fault(error.code(), &error.to_string());
        Poll::Ready(Some(Err(Box::new(error))))
    }

    /// The error, once more has come than may.
    fn count(&mut self, bytes: usize) -> Option<Error> {
        let Some(room) = self.room.checked_sub(bytes) else {
            let (limit, setting) = (self.limit, "server.max_stream_bytes");
            return Some(Error::TooMuch { upstream: self.upstream.clone(), limit, setting });
        };
        self.room = room;
        None
    }

    fn pass(&mut self, data: Bytes) -> Bytes {
        match &mut self.watch {
            Watch::Nothing | Watch::Several(_) => data,
            Watch::Flow(flow) => {
                let out = flow.feed(data, now_ms());
                if flow.state().finished || flow.state().fault.is_some() {
                    self.learn();
                }
                out
            }
            Watch::Whole { seen, room, .. } => {
                if data.len() <= *room {
                    *room -= data.len();
                    seen.push(data.clone());
                } else {
                    *room = 0;
                    seen.clear();
                }
                data
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if !this.ready.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.ready)))));
        }
        if let Watch::Several(several) = &mut this.watch {
            return several.poll_data(cx).map(|data| data.map(|data| Ok(Frame::data(data))));
        }
        while let Some(inner) = &mut this.inner {
            match Pin::new(inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(timer) = &mut this.timer {
                        timer.heard();
                    }
                    match frame.into_data() {
                        Ok(data) => {
                            if let Some(error) = this.count(data.len()) {
                                return this.fail(error);
                            }
                            let out = this.pass(data);
                            if !out.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::data(out))));
                            }
                        }
                        // Nothing in them is for the client.
                        Err(_trailers) => {}
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let why = reason(&error);
                    return this.fail(Error::Broken { upstream: this.upstream.clone(), why });
                }
                Poll::Ready(None) => {
                    let tail = this.finish();
                    if !tail.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(tail))));
                    }
                }
                // Nobody waits for bytes after a terminal: a client that reads to the end would hang on them.
                Poll::Pending if matches!(&this.watch, Watch::Flow(flow) if flow.state().finished) =>
                {
                    this.inner = None;
                }
                Poll::Pending => {
                    let Some(timer) = &mut this.timer else { return Poll::Pending };
                    let Some(error) = timer.poll(cx, &this.upstream) else { return Poll::Pending };
                    return this.fail(error);
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty()
            && match (&self.inner, &self.watch) {
                (None, Watch::Several(several)) => several.is_over(),
                (None, _) => true,
                (Some(inner), Watch::Nothing) => inner.is_end_stream(),
                (Some(_), _) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let ready = self.ready.len() as u64;
        match (&self.inner, &self.watch) {
            (_, Watch::Several(_)) | (Some(_), Watch::Flow(_)) => SizeHint::default(),
            (None, _) => SizeHint::with_exact(ready),
            (Some(inner), Watch::Nothing | Watch::Whole { .. }) => inner
                .size_hint()
                .exact()
                .map_or_else(SizeHint::default, |rest| SizeHint::with_exact(ready + rest)),
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody")
            .field("upstream", &self.upstream)
            .field("ended", &self.inner.is_none())
            .finish_non_exhaustive()
    }
}

/// One buffer of several; without a copy when it is one already.
pub(super) fn join(parts: &mut Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let mut all = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts.drain(..) {
        all.extend_from_slice(&part);
    }
    all.freeze()
}

/// The reason at the bottom of an error, as a person says it: `connection refused`.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        // `Connection`, but not `EOF`.
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
