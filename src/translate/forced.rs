//! Reads an answer's text as the function call that it is, where the upstream has no other way to make one.

use crate::{
    chat::{Call, Delta, Finish, Piece, Said},
    wire::MAX_EVENT,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Stands between the reader of a stream and its writer. What was thought, and the tokens' counts, pass.
#[derive(Debug, Default)]
pub(super) struct Forced {
    text: String,
    /// Calls that the upstream made in its own form all the same.
    called: usize,
    failed: bool,
}

/// What the model was told to write; see [`Written`](crate::dialect::Written).
#[derive(Deserialize)]
struct Written<'a> {
    name: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

impl Forced {
    /// Whether the answer was no call.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Takes a step of the answer, and adds what it becomes: nothing while the call is not complete.
    pub(super) fn read(&mut self, delta: Delta, out: &mut Vec<Delta>) {
        match delta {
            Delta::Text(text) if self.text.len() + text.len() <= MAX_EVENT => {
                self.text.push_str(&text);
            }
            Delta::Text(_) => {
                self.failed = true;
                let why =
                    format!("the upstream wrote a function call of more than {MAX_EVENT} bytes");
                out.push(Delta::Error(why));
            }
            // They belong to a text that nobody sees.
            Delta::Tokens(_) => {}
            Delta::Finish(finish) => self.finish(finish, out),
            Delta::Tool(piece) => {
                self.called = self.called.max(piece.index + 1);
                out.push(Delta::Tool(piece));
            }
            delta => out.push(delta),
        }
    }

    fn finish(&mut self, finish: Finish, out: &mut Vec<Delta>) {
        let text = std::mem::take(&mut self.text);
        match call(&text) {
            Some(call) => out.push(Delta::Tool(Piece {
                index: self.called,
                id: call.id,
                name: Some(call.name),
                arguments: call.arguments,
            })),
            // The limit came before the end of the call: half a call is none.
            None if matches!(finish, Finish::Length | Finish::Filter) => {
                return out.push(Delta::Finish(finish));
            }
            None if self.called > 0 => {}
            None => {
                self.failed = true;
                return out.push(Delta::Error(NO_CALL.to_owned()));
            }
        }
        out.push(Delta::Finish(match finish {
            Finish::Length => Finish::Length,
            _ => Finish::Tools,
        }));
    }
}

/// What is said where the model wrote something else. Ollama's grammar forbids it; a model elsewhere, behind an
/// Ollama, may not heed the form.
const NO_CALL: &str = "the model was to call a function and wrote something else";

/// The same for a whole answer.
///
/// # Errors
/// The reason, where its text is no call.
pub(super) fn whole(said: Said) -> Result<Said, String> {
    let (mut forced, mut deltas) = (Forced::default(), Vec::new());
    let mut read = Said::default();
    for delta in said.deltas() {
        forced.read(delta, &mut deltas);
    }
    for delta in deltas {
        match delta {
            Delta::Error(why) => return Err(why),
            delta => read.add(delta),
        }
    }
    Ok(read)
}

fn call(text: &str) -> Option<Call> {
    let written: Written<'_> = serde_json::from_str(text.trim()).ok()?;
    let arguments = written.arguments.get();
    arguments.starts_with('{').then(|| Call {
        id: None,
        name: written.name,
        arguments: crate::dialect::compact(arguments),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str], finish: Finish) -> Vec<Delta> {
        let (mut forced, mut out) = (Forced::default(), Vec::new());
        for piece in pieces {
            forced.read(Delta::Text((*piece).to_owned()), &mut out);
            assert!(out.is_empty(), "nothing is told of half a call");
        }
        forced.read(Delta::Finish(finish), &mut out);
        out
    }

    #[test]
    fn text_becomes_one_call_with_its_arguments_in_their_order() {
        let out = read(
            &["{\"name\" :\"f\", \"arg", "uments\": { \"b\" : 1, \"a\":12345678901234567890 }} "],
            Finish::Stop,
        );
        let Delta::Tool(piece) = &out[0] else { panic!("{out:?}") };
        assert_eq!(piece.name.as_deref(), Some("f"));
        assert_eq!(piece.arguments, r#"{"b":1,"a":12345678901234567890}"#);
        assert_eq!(out[1..], [Delta::Finish(Finish::Tools)]);
    }

    #[test]
    fn half_a_call_is_none_and_the_limit_is_still_told() {
        assert_eq!(
            read(&["{\"name\":\"f\",\"argum"], Finish::Length),
            [Delta::Finish(Finish::Length)]
        );
    }

    #[test]
    fn what_is_no_call_is_an_error_and_never_text() {
        for text in
            ["hello", "", "{}", "{\"name\":\"f\"}", "{\"name\":\"f\",\"arguments\":[]}", "[1]"]
        {
            assert_eq!(read(&[text], Finish::Stop), [Delta::Error(NO_CALL.into())], "{text}");
        }
    }

    #[test]
    fn a_call_of_any_size_is_not_held() {
        let (mut forced, mut out) = (Forced::default(), Vec::new());
        let piece = "x".repeat(MAX_EVENT / 2 + 1);
        forced.read(Delta::Text(piece.clone()), &mut out);
        forced.read(Delta::Text(piece), &mut out);
        assert!(matches!(&out[..], [Delta::Error(_)]));
    }

    #[test]
    fn a_whole_answer_is_read_alike() {
        let said = Said {
            text: "{\"name\":\"f\",\"arguments\":{}}".into(),
            thinking: "hm".into(),
            finish: Some(Finish::Stop),
            ..Said::default()
        };
        let read = whole(said).unwrap();
        assert_eq!((&*read.text, &*read.thinking, read.calls.len()), ("", "hm", 1));
        assert_eq!(read.finish, Some(Finish::Tools));
    }
}
