//! Answers that were kept: whether they are whole, and how they look in their other form.

use super::{Pair, State};
use crate::{
    dialect::{Dialect, Framing, Operation, Reply, Usage},
    wire::{Events, Lines},
};
use bytes::Bytes;
use std::sync::Arc;

/// The tokens of an answer that is worth keeping: it is whole, its terminal was seen, it says why it ended
/// and reports no error. `None` for every other answer.
pub fn complete(
    dialect: &'static dyn Dialect,
    operation: Operation,
    streamed: bool,
    body: &[u8],
) -> Option<Usage> {
    let pair = Pair { client: dialect, upstream: dialect, operation };
    let nobody: Arc<str> = "".into();
    let state = if streamed {
        let reply = Reply::new(nobody.clone(), 0, nobody.clone());
        let mut flow = pair.flow(&reply, false);
        flow.feed(Bytes::copy_from_slice(body), 0);
        flow.end(&nobody, 0);
        flow.state().clone()
    } else {
        let answer = dialect.read_answer(operation, body).ok()?;
        State::of(&answer)
    };
    let whole = state.finished && state.fault.is_none() && state.finish.is_some();
    whole.then_some(state.usage)
}

/// An unstreamed answer as the stream that says the same; `None` where something would be lost.
pub fn restream(
    dialect: &'static dyn Dialect,
    operation: Operation,
    body: &[u8],
    reply: &Reply,
) -> Option<Bytes> {
    complete(dialect, operation, false, body)?;
    dialect.restream(operation, body, reply)
}

/// A stream as the unstreamed answer that says the same; `None` where something would be lost.
pub fn unstream(
    dialect: &'static dyn Dialect,
    operation: Operation,
    body: &[u8],
    reply: &Reply,
) -> Option<Bytes> {
    complete(dialect, operation, true, body)?;
    dialect.unstream(operation, &events(dialect.framing(), Bytes::copy_from_slice(body))?, reply)
}

fn events(framing: Framing, body: Bytes) -> Option<Vec<Bytes>> {
    let mut list = Vec::new();
    match framing {
        Framing::Lines => {
            let mut lines = Lines::default();
            lines.push(body);
            while let Some(line) = lines.next() {
                list.push(line.ok()?);
            }
            list.extend(lines.end());
        }
        Framing::Events => {
            let mut events = Events::default();
            events.push(body);
            while let Some(event) = events.next() {
                list.push(event.ok()?.data);
            }
            list.extend(events.end().map(|event| event.data));
        }
    }
    Some(list)
}
