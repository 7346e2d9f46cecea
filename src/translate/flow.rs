//! A stream on its way from the upstream to the client: translated, or passed on and watched.

mod frames;

use self::frames::Frames;
use super::{Pair, State, forced::Forced};
use crate::{
    chat::Delta,
    dialect::{Framing, ReadAnswer, Reply, WriteAnswer},
    error::Error,
    wire::{Event, Events, Lines, TooLong},
};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde::de::IgnoredAny;
use std::sync::Arc;

/// One stream. Give it what comes with [`Flow::feed`], then call [`Flow::end`] or [`Flow::fail`] once.
#[derive(Debug)]
pub struct Flow {
    pair: Pair,
    frames: Frames,
    reader: Box<dyn ReadAnswer>,
    /// Where the text is a function call.
    forced: Option<Forced>,
    way: Way,
    deltas: Vec<Delta>,
    /// Where the next event is written; what has gone to the client is handed on, not copied.
    room: BytesMut,
    /// Whether the fault is that of an upstream that speaks another language.
    garbled: bool,
    state: State,
    now_ms: u64,
}

/// Bytes that are made ready for events at a time.
const ROOM: usize = 4096;

/// How bytes get to the client.
#[derive(Debug)]
enum Way {
    /// As they are.
    Pass,
    /// As they are, event by event, but for the one that has usage and nothing else.
    Strip {
        /// What has come and has not been passed on.
        held: BytesMut,
        /// Whether the event that was left out ended with a CR, whose LF may still come.
        carriage: bool,
    },
    /// In the client's dialect.
    Write(Box<dyn WriteAnswer>),
}

impl Flow {
    pub(super) fn new(pair: Pair, reply: &Reply, strip_usage: bool) -> Self {
        let way = match (pair.same(), strip_usage) {
            (true, false) => Way::Pass,
            (true, true) => Way::Strip { held: BytesMut::new(), carriage: false },
            (false, _) => Way::Write(pair.client.writer(pair.operation, reply)),
        };
        Self {
            frames: match pair.upstream.framing() {
                Framing::Lines => Frames::Lines(Lines::default()),
                Framing::Events => Frames::Events(Events::default()),
            },
            reader: pair.upstream.reader(pair.operation),
            forced: (reply.calls_as_text && !pair.same()).then(Forced::default),
            pair,
            way,
            deltas: Vec::new(),
            room: BytesMut::new(),
            garbled: false,
            state: State::default(),
            now_ms: reply.created_ms,
        }
    }

    /// What has been seen so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The error for a fault before anything was told to the client; `None` while there is none.
    pub fn failure(&self, upstream: &Arc<str>) -> Option<Error> {
        let (upstream, message) = (upstream.clone(), self.state.fault.clone()?);
        Some(match &self.forced {
            Some(forced) if forced.failed() => Error::NoCall { upstream, why: message },
            _ if self.garbled => Error::NotUnderstood { upstream, why: message },
            _ => Error::Reported { upstream, message },
        })
    }

    /// Takes what came and gives what goes to the client now, which may be nothing.
    ///
    /// What comes after the terminal or after a fault is ignored. When the upstream reports a failure inside
    /// the stream, the state has a fault and the client is told in its own dialect, without a terminal.
    pub fn feed(&mut self, bytes: Bytes, now_ms: u64) -> Bytes {
        if self.over() {
            return Bytes::new();
        }
        self.now_ms = now_ms;
        // Whether a part of an event has gone to the client already.
        let begun = self.frames.inside();
        let mut out = self.room();
        // Where the bytes before those of this piece end in what is held.
        let mut passed = 0;
        if let Way::Strip { held, .. } = &mut self.way {
            passed = held.len();
            held.extend_from_slice(&bytes);
        }
        self.frames.push(bytes.clone());
        let mut split = 0;
        while !self.over() {
            let event = match self.frames.next() {
                None => break,
                Some(Ok(event)) => event,
                Some(Err(TooLong)) => {
                    let most = crate::wire::MAX_EVENT;
                    self.garbled = true;
                    let message = format!("the upstream sent an event of more than {most} bytes");
                    let error = Error::Reported { upstream: "".into(), message };
                    self.tell(&error, begun, &mut out);
                    break;
                }
            };
            if let Way::Strip { held, carriage } = &mut self.way {
                let end = passed + self.frames.taken();
                let raw = held.split_to(end - split);
                split = end;
                // An LF at the beginning belongs to the event before, and goes where that went.
                let before = usize::from(raw.starts_with(b"\n"));
                let left_out = std::mem::take(carriage);
                if self.pair.upstream.only_usage(&event.data) {
                    *carriage = raw.ends_with(b"\r");
                    out.extend_from_slice(if left_out { b"" } else { &raw[..before] });
                } else {
                    out.extend_from_slice(&raw[if left_out { before } else { 0 }..]);
                }
            }
            self.event(&event, &mut out);
        }
        self.rest(bytes, out)
    }

    /// Room for what this piece becomes: one allocation for many events, where there is anything to write.
    fn room(&mut self) -> BytesMut {
        let mut room = std::mem::take(&mut self.room);
        if matches!(self.way, Way::Write(_)) && room.capacity() < ROOM / 4 {
            room.reserve(ROOM);
        }
        room
    }

    /// What goes to the client when this piece has been read.
    fn rest(&mut self, bytes: Bytes, mut out: BytesMut) -> Bytes {
        let inside = self.frames.inside();
        let over = self.over();
        match &mut self.way {
            Way::Write(_) => {
                let written = out.split().freeze();
                self.room = out;
                written
            }
            Way::Strip { held, carriage } => {
                // Comments and blank lines need not wait for the next event.
                if !inside && !over && !held.is_empty() {
                    let raw = held.split();
                    let left_out = std::mem::take(carriage) && raw.starts_with(b"\n");
                    out.extend_from_slice(&raw[usize::from(left_out)..]);
                }
                out.freeze()
            }
            Way::Pass if !over => bytes,
            Way::Pass => {
                let taken = self.frames.taken().min(bytes.len());
                if out.is_empty() {
                    return bytes.slice(..taken);
                }
                let mut all = BytesMut::from(&bytes[..taken]);
                all.extend_from_slice(&out);
                all.freeze()
            }
        }
    }

    /// The upstream's body has ended. Gives the last bytes for the client.
    ///
    /// Without the dialect's terminal the state then has a fault and the client is told so; a terminal is
    /// never made up. An OpenAI stream of which every choice gave its reason to finish is whole without it.
    pub fn end(&mut self, upstream: &Arc<str>, now_ms: u64) -> Bytes {
        if self.over() {
            return Bytes::new();
        }
        self.now_ms = now_ms;
        self.last(&Error::Incomplete { upstream: upstream.clone() })
    }

    /// The stream broke or fell silent: the error event in the client's dialect.
    ///
    /// A stream that lacks nothing but its terminal, or the end of its last line, is closed properly instead, and is
    /// finished then.
    pub fn fail(&mut self, error: &Error) -> Bytes {
        if self.over() {
            return Bytes::new();
        }
        self.last(error)
    }

    /// What is left over, if it is a whole event; then the terminal that only this was missing, or the error.
    fn last(&mut self, error: &Error) -> Bytes {
        let mut out = BytesMut::new();
        let inside = self.frames.inside();
        let mut cut = false;
        if let Some(event) = self.frames.end() {
            cut = !whole(&event.data) && !event.bare;
            if !cut {
                if let Way::Strip { held, .. } = &mut self.way {
                    let held = held.split();
                    if !self.pair.upstream.only_usage(&event.data) {
                        out.extend_from_slice(&held);
                        out.extend_from_slice(self.separator());
                    }
                }
                self.event(&event, &mut out);
            }
        }
        if self.over() || self.close(inside, cut, &mut out) {
            return out.freeze();
        }
        self.tell(error, inside, &mut out);
        out.freeze()
    }

    fn over(&self) -> bool {
        self.state.finished || self.state.fault.is_some()
    }

    /// Ends a stream that is whole but for its terminal; `false` when it is not.
    fn close(&mut self, inside: bool, cut: bool, out: &mut BytesMut) -> bool {
        // Half an event has gone to the client already, and cannot be taken back.
        if cut && matches!(self.way, Way::Pass) {
            return false;
        }
        self.reader.end(&mut self.deltas);
        self.apply(out);
        if self.state.finished && !matches!(self.way, Way::Write(_)) {
            if inside && matches!(self.way, Way::Pass) {
                out.extend_from_slice(self.separator());
            }
            out.extend_from_slice(self.pair.client.terminal());
        }
        self.over()
    }

    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if event.error {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let (message, _) = self.pair.upstream.read_error(status, &event.data);
            // In the same dialect the client has the event already, if its reader can see it.
            if event.bare || matches!(self.way, Way::Write(_)) {
                self.fault(message, out);
            } else {
                self.state.fault = Some(message);
            }
            return;
        }
        self.reader.read(&event.data, &mut self.deltas);
        self.apply(out);
        if self.state.fault.is_some() {
            self.garbled = !whole(&event.data);
        }
    }

    fn apply(&mut self, out: &mut BytesMut) {
        let mut deltas = std::mem::take(&mut self.deltas);
        if let Some(forced) = &mut self.forced {
            let mut read = Vec::new();
            deltas.drain(..).for_each(|delta| forced.read(delta, &mut read));
            deltas = read;
        }
        for delta in deltas.drain(..) {
            if self.over() {
                break;
            }
            match &delta {
                Delta::Text(_) | Delta::Thinking(_) | Delta::Tool(_) | Delta::Tokens(_) => {
                    self.state.meaningful = true;
                }
                Delta::Finish(finish) => self.state.finish = Some(*finish),
                Delta::Usage(usage) => self.state.usage = *usage,
                Delta::Signature(_) | Delta::End | Delta::Error(_) => {}
            }
            let end = delta == Delta::End;
            let written = match (&mut self.way, delta) {
                (Way::Write(_), Delta::Error(message)) => Err(message),
                (Way::Write(writer), delta) => writer.write(delta, self.now_ms, out),
                (_, Delta::Error(message)) => {
                    self.state.fault = Some(message);
                    Ok(())
                }
                (_, _) => Ok(()),
            };
            match written {
                Err(message) => self.fault(message, out),
                Ok(()) if end => {
                    self.state.meaningful = true;
                    self.state.finished = true;
                }
                Ok(()) => {}
            }
        }
        deltas.clear();
        self.deltas = deltas;
    }

    /// The upstream failed, in these words.
    fn fault(&mut self, message: String, out: &mut BytesMut) {
        let error = Error::Reported { upstream: "".into(), message };
        self.tell(&error, false, out);
    }

    fn tell(&mut self, error: &Error, inside: bool, out: &mut BytesMut) {
        self.state.fault = Some(error.to_string());
        if inside && matches!(self.way, Way::Pass) {
            out.extend_from_slice(self.separator());
        }
        let event = match &mut self.way {
            Way::Write(writer) => writer.fail(error),
            Way::Pass | Way::Strip { .. } => self.reader.fail(error),
        };
        out.extend_from_slice(&event.unwrap_or_else(|| self.pair.client.error_event(error)));
    }

    /// What ends an event that was cut short, so that the next one stands alone.
    fn separator(&self) -> &'static [u8] {
        match self.frames {
            Frames::Lines(_) => b"\n",
            Frames::Events(_) => b"\n\n",
        }
    }
}

/// Whether a last event without its end is all there: JSON says so by itself, and so does the terminal.
fn whole(data: &[u8]) -> bool {
    data.starts_with(b"[DONE]") || serde_json::from_slice::<IgnoredAny>(data).is_ok()
}
