//! A kept answer of Ollama in its other form: unstreamed as a stream, and back.
//!
//! Works on the JSON itself, so that durations, `context` and whatever else the answer says stay as they were.

use crate::{
    chat::Raw,
    dialect::{
        Operation,
        json::{self, Fields},
    },
};
use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// An object whose fields are JSON already.
struct Object<'a>(Vec<(&'a str, Cow<'a, RawValue>)>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, &**value)))
    }
}

impl<'a> Object<'a> {
    fn of(fields: &'a Fields<'_>) -> Self {
        Self(fields.iter().map(|(name, raw)| (name, Cow::Borrowed(raw))).collect())
    }

    fn put(&mut self, name: &'a str, value: Raw) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = Cow::Owned(value),
            None => self.0.push((name, Cow::Owned(value))),
        }
    }
}

fn raw(value: &impl Serialize) -> Option<Raw> {
    let mut out = Vec::new();
    json::write(&mut out, value);
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

/// Whether there are words in the other operation's form, which readers find all the same.
fn mixed(operation: Operation, fields: &Fields<'_>) -> bool {
    fields.any(match operation {
        Operation::Chat => &["response", "thinking", "tool_calls"],
        _ => &["message"],
    })
}

/// Fields that say something and belong to the lines before the last. The rest is the last line's.
const SAID: [&str; 2] = ["response", "thinking"];

pub(super) fn restream(operation: Operation, body: &[u8]) -> Option<Bytes> {
    let body = std::str::from_utf8(body).ok()?;
    let body = json::compact(body);
    let fields = Fields::body(&body).ok()?;
    if fields.raw("done")?.get() != "true" || fields.has("error") || mixed(operation, &fields) {
        return None;
    }
    let mut first = Object(Vec::new());
    let mut last = Object::of(&fields);
    for name in ["model", "created_at", "message", "logprobs"].iter().chain(&SAID) {
        first.0.extend(fields.raw(name).map(|raw| (*name, Cow::Borrowed(raw))));
    }
    first.put("done", raw(&false)?);
    match operation {
        Operation::Chat => {
            fields.raw("message")?;
            last.put("message", raw(&Silent::default())?);
            last.0.retain(|(name, _)| *name != "logprobs");
        }
        Operation::Generate => {
            fields.raw("response")?;
            last.put("response", raw(&"")?);
            // Tool calls stay: /api/generate has them in its last line.
            last.0.retain(|(name, _)| *name != "thinking" && *name != "logprobs");
        }
        _ => return None,
    }
    let mut out = Vec::with_capacity(body.len() + 256);
    for object in [first, last] {
        json::write(&mut out, &object);
        out.push(b'\n');
    }
    Some(out.into())
}

#[derive(Serialize)]
struct Silent {
    role: &'static str,
    content: &'static str,
}

impl Default for Silent {
    fn default() -> Self {
        Self { role: "assistant", content: "" }
    }
}

/// What the lines say, put together.
#[derive(Default)]
struct Joined {
    text: String,
    thinking: String,
    calls: Vec<Raw>,
    logprobs: Vec<Raw>,
}

impl Joined {
    fn add(&mut self, fields: &Fields<'_>, name: &str) -> Option<()> {
        let text = |name| match fields.raw(name) {
            None => Some(String::new()),
            Some(raw) => json::text(raw),
        };
        self.text.push_str(&text(name)?);
        self.thinking.push_str(&text("thinking")?);
        let calls = fields.list("tool_calls").ok()?;
        self.calls.extend(calls.into_iter().map(ToOwned::to_owned));
        Some(())
    }
}

struct Spoken<'a>(&'a Joined);

impl Serialize for Spoken<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", "assistant")?;
        map.serialize_entry("content", &self.0.text)?;
        if !self.0.thinking.is_empty() {
            map.serialize_entry("thinking", &self.0.thinking)?;
        }
        if !self.0.calls.is_empty() {
            map.serialize_entry("tool_calls", &self.0.calls)?;
        }
        map.end()
    }
}

pub(super) fn unstream(operation: Operation, events: &[Bytes]) -> Option<Bytes> {
    let mut joined = Joined::default();
    let lines =
        events.iter().map(|line| std::str::from_utf8(line).ok()).collect::<Option<Vec<_>>>()?;
    let mut last = None;
    for line in lines {
        if last.is_some() {
            break;
        }
        let fields = Fields::body(line).ok()?;
        if fields.has("error") || mixed(operation, &fields) {
            return None;
        }
        match operation {
            Operation::Chat => joined.add(&fields.object("message").ok()??, "content")?,
            Operation::Generate => joined.add(&fields, "response")?,
            _ => return None,
        }
        let logprobs = fields.list("logprobs").ok()?;
        joined.logprobs.extend(logprobs.into_iter().map(ToOwned::to_owned));
        if fields.raw("done").is_some_and(|done| done.get() == "true") {
            last = Some(fields);
        }
    }
    let last = last?;
    let mut whole = Object::of(&last);
    if operation == Operation::Chat {
        whole.put("message", raw(&Spoken(&joined))?);
    } else {
        whole.put("response", raw(&joined.text)?);
        if !joined.thinking.is_empty() {
            whole.put("thinking", raw(&joined.thinking)?);
        }
        if !joined.calls.is_empty() {
            whole.put("tool_calls", raw(&joined.calls)?);
        }
    }
    if !joined.logprobs.is_empty() {
        whole.put("logprobs", raw(&joined.logprobs)?);
    }
    Some(json::bytes(&whole))
}
