//! What a stream says, step by step, however its text is cut; and whether it says it as the dialect's clients demand.
//!
//! These readers are the clients: they know the wire from the SDKs, not from this crate, and they are strict where an
//! SDK would break.

mod anthropic;
mod ollama;
mod openai;
mod responses;

use crate::json::Json;

pub(crate) use self::{
    anthropic::read as anthropic, ollama::read as ollama, openai::read as openai,
    responses::read as responses,
};

/// The steps of a stream: text and thinking joined, calls whole, and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    list: Vec<Json>,
    kind: &'static str,
    text: String,
}

impl Steps {
    /// More of a text of this kind. Nothing where there is none.
    fn text(&mut self, kind: &'static str, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.kind != kind {
            self.flush();
            self.kind = kind;
        }
        self.text.push_str(text);
    }

    fn push(&mut self, kind: &'static str, value: Json) {
        self.flush();
        self.list.push(Json::object([(kind, value)]));
    }

    fn call(&mut self, id: &Json, name: &str, arguments: &str) {
        let arguments = match Json::read(arguments.as_bytes()) {
            Ok(arguments) => arguments,
            Err(_) => Json::text(arguments),
        };
        let call = [("id", id.clone()), ("name", Json::text(name)), ("arguments", arguments)];
        self.push("call", Json::object(call));
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = Json::Text(std::mem::take(&mut self.text));
            self.list.push(Json::object([(self.kind, text)]));
        }
        self.kind = "";
    }

    fn done(mut self) -> Json {
        self.flush();
        Json::List(self.list)
    }
}

/// One server-sent event: its name, where it has one, and its data.
fn events(stream: &str) -> Result<Vec<(Option<&str>, &str)>, String> {
    let body = stream.strip_suffix("\n\n").ok_or("the last event has no end")?;
    body.split("\n\n")
        .map(|event| {
            let (mut name, mut data) = (None, None);
            for line in event.split('\n') {
                match line.split_once(": ") {
                    Some(("event", value)) => name = Some(value),
                    Some(("data", value)) if data.is_none() => data = Some(value),
                    _ => return Err(format!("no client expects the line {line:?}")),
                }
            }
            Ok((name, data.ok_or("an event without data")?))
        })
        .collect()
}

/// Fails unless it holds.
fn must(holds: bool, what: &str, of: &Json) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {of}")) }
}
