//! Streamed answers: from an upstream of one dialect to clients of all of them.

use crate::{
    NOW, ROWS, Row, SPOKEN,
    cut::{pieces, places},
    frame,
    heard::{Ending, Heard, same},
    reply,
};
use bytes::Bytes;
use std::sync::Arc;
use unigate::{
    chat::Answer,
    dialect::Operation,
    error::Error,
    translate::{Pair, State, restream, unstream},
};

/// One way of a stream from an upstream to a client.
#[derive(Clone, Copy)]
struct Way<'a> {
    client: &'a Row,
    upstream: &'a Row,
    operation: Operation,
    /// Whether the client asked for usage; in the same dialect, whether it did not but we did.
    usage: bool,
}

/// What came out of it.
struct Passed {
    out: Vec<u8>,
    state: State,
}

/// How it stopped.
#[derive(Clone, Copy)]
enum Stop {
    /// The body ended.
    End,
    /// The connection broke.
    Fail,
}

/// Everything that must hold when an upstream of this dialect streams these bytes.
pub(crate) fn check(upstream: &Row, data: &[u8]) {
    for operation in SPOKEN {
        let up = Heard::new(upstream.dialect, operation, data);
        for client in ROWS.iter().filter(|client| client.asks(operation)) {
            for &usage in usages(data) {
                let way = Way { client, upstream, operation, usage };
                let whole = way.pass([data], Stop::End);
                way.holds(data, &whole, Stop::End);
                if !way.same() {
                    way.heard(&up, &whole);
                }
                way.any_pieces(data, &whole);
                let [at] = places(data);
                way.stopped(&data[..at % (data.len() + 1)]);
            }
        }
        kept(upstream, operation, data, &up);
    }
}

/// Both; the fuzzer, which has many more streams than time, tries one of them with each.
fn usages(data: &[u8]) -> &'static [bool] {
    let [which] = places(data);
    match (cfg!(fuzzing), which & 1) {
        (false, _) => &[false, true],
        (true, 0) => &[false],
        (true, _) => &[true],
    }
}

/// Cut at these places, in two and off, and into these pieces. With usage at every other place, without at the rest.
pub(crate) fn check_cuts(upstream: &Row, data: &[u8], cuts: &[usize]) {
    for operation in SPOKEN {
        for client in ROWS.iter().filter(|client| client.asks(operation)) {
            for usage in [false, true] {
                let way = Way { client, upstream, operation, usage };
                let whole = way.pass([data], Stop::End);
                way.equal(data, &whole, &way.pass(pieces(data, cuts), Stop::End));
                for at in cuts.iter().filter(|at| (*at % 2 == 0) == usage) {
                    let (first, second) = data.split_at(at % (data.len() + 1));
                    way.equal(data, &whole, &way.pass([first, second], Stop::End));
                    way.stopped(first);
                }
            }
        }
    }
}

impl Way<'_> {
    fn same(&self) -> bool {
        self.client.dialect.name() == self.upstream.dialect.name()
    }

    fn pair(&self) -> Pair {
        let (client, upstream) = (self.client.dialect, self.upstream.dialect);
        Pair { client, upstream, operation: self.operation }
    }

    fn pass<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>, stop: Stop) -> Passed {
        let name: Arc<str> = "up".into();
        let mut flow = self.pair().flow(&reply(self.usage, false), self.usage && self.same());
        let mut out = Vec::new();
        for piece in pieces {
            let over = flow.state().finished || flow.state().fault.is_some();
            let more = flow.feed(Bytes::copy_from_slice(piece), NOW);
            assert!(!over || more.is_empty(), "something follows the end: {more:?}");
            out.extend_from_slice(&more);
        }
        let before = flow.state().clone();
        let last = match stop {
            Stop::End => flow.end(&name, NOW),
            Stop::Fail => flow.fail(&Error::Incomplete { upstream: name.clone() }),
        };
        let over = before.finished || before.fault.is_some();
        assert!(!over || last.is_empty(), "something follows the end: {last:?}");
        out.extend_from_slice(&last);
        let state = flow.state().clone();
        let late = Bytes::from_static(b"{\"error\":\"late\"}\n\ndata: {\"error\":\"late\"}\n\n");
        assert_eq!(flow.feed(late, NOW), "");
        assert_eq!(flow.end(&name, NOW), "");
        assert_eq!(flow.fail(&Error::Internal("late".into())), "");
        assert_eq!(*flow.state(), state, "nothing changes after the end");
        Passed { out, state }
    }

    /// What holds for every stream that has stopped.
    fn holds(&self, data: &[u8], passed: &Passed, stop: Stop) {
        let Passed { out, state } = passed;
        assert!(state.finished != state.fault.is_some(), "either whole or failed: {state:?}");
        let words = state.fault.as_ref().map_or(0, String::len);
        assert!(words < 8192, "a failure is told in few words, not in {words} bytes");
        // Few bytes can begin many calls, each of which is an event for some.
        let most = 256 * data.len() + (1 << 17);
        assert!(out.len() <= most, "{} bytes out of {}", out.len(), data.len());
        let upstream = self.upstream.dialect;
        if state.finished {
            assert!(state.meaningful, "an answer that is whole means something");
            let events = frame::cut(upstream.framing(), data);
            let mut events = events.iter().filter(|(event, _)| !event.error);
            assert!(
                events.any(|(event, _)| frame::ends(self.upstream, &event.data)),
                "no terminal"
            );
        }
        if self.same() {
            let passed = out.iter().zip(data).take_while(|(out, data)| out == data).count();
            assert!(self.usage || out.len() - passed <= 16 * 1024, "bytes pass as they are");
            return;
        }
        let payloads = frame::written(self.client, out);
        let client = Heard::new(self.client.dialect, self.operation, out);
        let ending = if state.finished { Ending::End } else { Ending::Error };
        assert_eq!(client.ending, ending, "the client hears how it ended");
        if state.fault.is_some() {
            let ends = |payload: &&str| frame::ends(self.client, payload.as_bytes());
            let last = payloads.last().expect("a failure is told");
            assert!(!ends(last), "no terminal was sent: {last}");
            if matches!(stop, Stop::End) {
                let terminal = self.client.dialect.terminal();
                assert!(terminal.is_empty() || !out.ends_with(terminal));
            }
        }
    }

    /// The client hears what the upstream said.
    fn heard(&self, up: &Heard, passed: &Passed) {
        let down = Heard::new(self.client.dialect, self.operation, &passed.out);
        if passed.state.finished {
            assert_eq!(up.ending, Ending::End, "nobody else made up an end");
            if up.plain {
                let usage = self.usage || self.client.lines.is_empty();
                same(self.operation, &up.said, &down.said, usage);
            }
        }
        // What waited for its turn when the stream failed is not told any more.
        let (said, heard) = (&up.said, &down.said);
        assert!(said.text.starts_with(&heard.text), "the text: {said:?} {heard:?}");
        assert!(said.thinking.starts_with(&heard.thinking), "the thinking: {said:?} {heard:?}");
    }

    fn any_pieces(&self, data: &[u8], whole: &Passed) {
        let parts = self.pass(pieces(data, &places::<3>(data)), Stop::End);
        self.equal(data, whole, &parts);
        self.equal(data, whole, &self.pass(data.chunks(1), Stop::End));
    }

    /// The same bytes come out, or at least the same events: where an end of line was cut, its half may stay away.
    fn equal(&self, data: &[u8], one: &Passed, other: &Passed) {
        assert_eq!(one.state, other.state, "{:?}", String::from_utf8_lossy(data));
        if one.out == other.out {
            return;
        }
        assert!(self.same(), "the same bytes come out however they came in");
        let framing = self.client.dialect.framing();
        assert_eq!(frame::cut(framing, &one.out), frame::cut(framing, &other.out));
    }

    /// The stream stops here.
    fn stopped(&self, data: &[u8]) {
        for stop in [Stop::End, Stop::Fail] {
            self.holds(data, &self.pass([data], stop), stop);
        }
    }
}

/// A stream that was kept says the same in its other form.
fn kept(row: &Row, operation: Operation, data: &[u8], up: &Heard) {
    let dialect = row.dialect;
    let Some(body) = unstream(dialect, operation, data, &reply(true, false)) else { return };
    assert_eq!(up.ending, Ending::End, "only what is whole is kept");
    let said = match dialect.read_answer(operation, &body) {
        Ok(Answer::Said(said)) => said,
        other => panic!("{other:?} was read from {body:?}"),
    };
    if up.plain && !row.repeats {
        same(operation, &up.said, &said, true);
    }
    if let Some(stream) = restream(dialect, operation, &body, &reply(true, false)) {
        let again = Heard::new(dialect, operation, &stream);
        assert_eq!(again.ending, Ending::End);
        same(operation, &said, &again.said, true);
    }
}
