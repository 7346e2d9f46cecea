//! What someone hears who reads a stream to its end, and whether two have heard the same.

use crate::frame;
use serde::de::IgnoredAny;
use std::collections::HashSet;
use unigate::{
    chat::{Call, Delta, Finish, Said},
    dialect::{Dialect, Operation},
};

/// How a stream ended for whoever read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was whole.
    End,
    /// It said that it failed.
    Error,
    /// It stopped.
    Cut,
}

/// What was heard.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) said: Said,
    /// Whether it can be told to anyone as it is: with one reason to finish, since of several readers keep different
    /// ones, and with the id and the name of each call at its beginning, and no id twice.
    pub(crate) plain: bool,
    finishes: usize,
    pub(crate) ending: Ending,
}

impl Heard {
    pub(crate) fn new(dialect: &dyn Dialect, operation: Operation, stream: &[u8]) -> Self {
        let mut heard =
            Self { said: Said::default(), plain: true, finishes: 0, ending: Ending::Cut };
        let mut reader = dialect.reader(operation);
        let mut deltas = Vec::new();
        for (event, closed) in frame::cut(dialect.framing(), stream) {
            if event.error {
                heard.ending = Ending::Error;
            } else if closed || whole(&event.data) {
                reader.read(&event.data, &mut deltas);
                heard.add(&mut deltas);
            }
            if heard.ending != Ending::Cut {
                return heard.done();
            }
        }
        reader.end(&mut deltas);
        heard.add(&mut deltas);
        heard.done()
    }

    fn done(mut self) -> Self {
        let mut ids = HashSet::new();
        let once =
            self.said.calls.iter().filter_map(|call| call.id.as_ref()).all(|id| ids.insert(id));
        self.plain &= self.finishes == 1 && once;
        self
    }

    fn add(&mut self, deltas: &mut Vec<Delta>) {
        for delta in deltas.drain(..) {
            match delta {
                _ if self.ending != Ending::Cut => {}
                Delta::End => self.ending = Ending::End,
                Delta::Error(_) => self.ending = Ending::Error,
                delta => {
                    self.finishes += usize::from(matches!(delta, Delta::Finish(_)));
                    if let Delta::Tool(piece) = &delta {
                        let known = self.said.calls.get(piece.index);
                        let late = known.is_some_and(|call| {
                            call.id.is_none() && piece.id.is_some()
                                || call.name.is_empty() && piece.name.is_some()
                        });
                        self.plain &= !late;
                    }
                    self.said.add(delta);
                }
            }
        }
    }
}

/// Whether a last event without its end is all there.
fn whole(data: &[u8]) -> bool {
    data.starts_with(b"[DONE]") || serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// Holds that a client hears what the upstream said.
pub(crate) fn same(operation: Operation, up: &Said, down: &Said, usage: bool) {
    assert_eq!(up.text, down.text, "the text");
    assert_eq!(up.thinking, down.thinking, "the thinking");
    // Completions have no place for calls.
    if operation == Operation::Chat {
        let cut = up.finish == Some(Finish::Length);
        let (said, heard) = (calls(&up.calls, cut), calls(&down.calls, cut));
        assert_eq!(said.len(), heard.len(), "the calls: {said:?} {heard:?}");
        for (said, heard) in said.iter().zip(&heard) {
            assert_eq!((&said.name, &said.arguments), (&heard.name, &heard.arguments));
            assert!(said.id.is_none() || said.id == heard.id, "{said:?} {heard:?}");
        }
    }
    // Not every dialect has them, nor their bytes and the others at their place.
    let tokens = |said: &Said| {
        said.tokens.iter().map(|t| (t.text.clone(), t.logprob.clone())).collect::<Vec<_>>()
    };
    assert!(down.tokens.is_empty() || tokens(up) == tokens(down), "the tokens: {down:?}");
    assert_eq!(down.finish.is_some(), up.finish.is_some(), "whether it finished");
    let length = |said: &Said| said.finish == Some(Finish::Length);
    assert_eq!(length(up), length(down), "whether it was cut by a limit");
    let cached = up.usage.cached.unwrap_or(0).saturating_add(up.usage.written.unwrap_or(0));
    // Some count the cached ones apart: there can be no more of them than of all.
    if usage && cached <= up.usage.prompt.unwrap_or(0) {
        let counts =
            |said: &Said| (said.usage.prompt.unwrap_or(0), said.usage.completion.unwrap_or(0));
        assert_eq!(counts(up), counts(down), "the usage");
    }
}

/// Calls as they can be compared. Where a limit cut the answer, a call that it cut off may be missing.
fn calls(calls: &[Call], cut: bool) -> Vec<Call> {
    let plain = |call: &Call| Call {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: arguments(&call.arguments),
    };
    let kept = |call: &Call| !cut || frame::object(&call.arguments);
    calls.iter().map(plain).filter(kept).collect()
}

/// Arguments without the spaces between their tokens; order and numbers as they were written.
pub(crate) fn arguments(json: &str) -> String {
    if json.trim().is_empty() {
        return "{}".into();
    }
    if serde_json::from_str::<IgnoredAny>(json).is_err() {
        return json.into();
    }
    let (mut out, mut inside, mut escaped) = (String::new(), false, false);
    for c in json.chars() {
        if !inside && c.is_ascii_whitespace() {
            continue;
        }
        inside ^= c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
        match c {
            // They leave as escapes.
            '\u{85}' | '\u{2028}' | '\u{2029}' => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out
}
