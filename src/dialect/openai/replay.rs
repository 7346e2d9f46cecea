//! A kept answer of OpenAI in its other form: unstreamed as a stream, and back.
//!
//! Works on the JSON itself, so that every choice, log probabilities and whatever else stay as they were.

use super::say::DONE;
use crate::{
    chat::Raw,
    dialect::{
        Operation,
        json::{self, Fields},
    },
};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An object whose fields are JSON already.
#[derive(Default)]
pub(super) struct Object(Vec<(String, Raw)>);

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Object {
    pub(super) fn put(&mut self, name: &str, value: impl Serialize) -> Option<()> {
        let value = raw(&value)?;
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Some(())
    }

    /// The fields that every chunk of a stream shares with the whole answer.
    fn head(fields: &Fields<'_>, object: &str) -> Option<Self> {
        let mut head = Self::default();
        for (name, value) in fields.iter() {
            if !matches!(name, "choices" | "usage" | "object" | "obfuscation") {
                head.0.push((name.to_owned(), value.to_owned()));
            }
        }
        head.put("object", object)?;
        Some(head)
    }
}

fn raw(value: &impl Serialize) -> Option<Raw> {
    let mut out = Vec::new();
    json::write(&mut out, value);
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

pub(super) fn restream(operation: Operation, body: &[u8], usage: bool) -> Option<Bytes> {
    let body = json::compact(std::str::from_utf8(body).ok()?.trim());
    let fields = Fields::body(&body).ok()?;
    let (whole, chunk) = objects(operation)?;
    if fields.has("error") || json::text(fields.raw("object")?)? != whole {
        return None;
    }
    let head = Object::head(&fields, chunk)?;
    let mut out = Vec::with_capacity(body.len() + 1024);
    let mut event = |choices: &[Object], counts: Option<&RawValue>| {
        let mut object = Object(head.0.clone());
        object.put("choices", choices)?;
        if usage {
            object.put("usage", counts)?;
        }
        out.extend_from_slice(b"data: ");
        json::write(&mut out, &object);
        out.extend_from_slice(b"\n\n");
        Some(())
    };
    for choice in fields.objects("choices").ok()? {
        let index = choice.raw("index")?;
        let mut said = Object::default();
        said.put("index", index)?;
        let mut end = Object::default();
        end.put("index", index)?;
        match operation {
            // Readers find words in the other form, too.
            Operation::Chat if choice.any(&["delta", "text", "reasoning"]) => return None,
            Operation::Generate if choice.any(&["delta", "message"]) => return None,
            Operation::Chat => {
                said.put("delta", delta(&choice.object("message").ok()??)?)?;
                end.put("delta", Object::default())?;
            }
            _ => {
                said.put("text", choice.raw("text")?)?;
                if let Some(reasoning) = choice.raw("reasoning") {
                    said.put("reasoning", reasoning)?;
                }
                end.put("text", "")?;
            }
        }
        if let Some(logprobs) = choice.raw("logprobs") {
            said.put("logprobs", logprobs)?;
        }
        said.put("finish_reason", ())?;
        end.put("finish_reason", choice.raw("finish_reason")?)?;
        event(&[said], None)?;
        event(&[end], None)?;
    }
    if usage {
        event(&[], Some(fields.raw("usage")?))?;
    }
    out.extend_from_slice(DONE);
    Some(out.into())
}

/// The names of the whole answer and of a chunk.
fn objects(operation: Operation) -> Option<(&'static str, &'static str)> {
    match operation {
        Operation::Chat => Some(("chat.completion", "chat.completion.chunk")),
        Operation::Generate => Some(("text_completion", "text_completion")),
        _ => None,
    }
}

/// A message as a delta: the same, but that calls have a place.
fn delta(message: &Fields<'_>) -> Option<Object> {
    let mut delta = Object::default();
    for (name, value) in message.iter() {
        if name != "tool_calls" {
            delta.0.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut calls = Vec::new();
    for (index, call) in message.objects("tool_calls").ok()?.iter().enumerate() {
        let mut placed = Object::default();
        placed.put("index", index)?;
        for (name, value) in call.iter().filter(|(name, _)| *name != "index") {
            placed.0.push((name.to_owned(), value.to_owned()));
        }
        calls.push(placed);
    }
    if !calls.is_empty() {
        delta.put("tool_calls", calls)?;
    }
    Some(delta)
}

/// One choice, put together.
#[derive(Default)]
struct Choice {
    texts: Vec<(String, String)>,
    calls: Vec<Call>,
    content: Vec<Raw>,
    refusal: Vec<Raw>,
    finish: Option<Raw>,
}

#[derive(Default)]
struct Call {
    id: Option<String>,
    name: String,
    arguments: String,
}

pub(super) fn unstream(operation: Operation, events: &[Bytes]) -> Option<Bytes> {
    let (whole, chunk) = objects(operation)?;
    let mut head: Option<Object> = None;
    let mut choices: Vec<Choice> = Vec::new();
    let mut counts: Option<Raw> = None;
    for event in events {
        let event = std::str::from_utf8(event).ok()?.trim();
        if event.starts_with("[DONE]") {
            break;
        }
        let fields = Fields::body(event).ok()?;
        let named = fields.raw("object").and_then(json::text);
        // Azure's first chunk names nothing.
        if fields.has("error") || named.is_some_and(|name| !name.is_empty() && name != chunk) {
            return None;
        }
        // Groq counts beside the rest.
        let groq = fields.object("x_groq").ok().flatten();
        let own = fields.raw("usage").or(groq.and_then(|groq| groq.raw("usage")));
        counts = own.map(ToOwned::to_owned).or(counts);
        for choice in fields.objects("choices").ok()? {
            let index = choice.raw("index")?.get().parse::<usize>().ok().filter(|i| *i < 128)?;
            while choices.len() <= index {
                choices.push(Choice::default());
            }
            choices[index].add(operation, &choice)?;
            if head.is_none() {
                head = Object::head(&fields, whole);
            }
        }
    }
    let choices = choices
        .into_iter()
        .enumerate()
        .map(|(index, choice)| choice.whole(operation, index))
        .collect::<Option<Vec<_>>>()?;
    let mut answer = head?;
    answer.put("choices", choices)?;
    if let Some(counts) = counts {
        answer.put("usage", counts)?;
    }
    Some(json::bytes(&answer))
}

impl Choice {
    /// `None` for what cannot be put together without knowing what it is: sound, annotations, and words in
    /// the other operation's form, which readers find all the same.
    fn add(&mut self, operation: Operation, choice: &Fields<'_>) -> Option<()> {
        let other: &[&str] = match operation {
            Operation::Chat => &["message", "text", "reasoning"],
            _ => &["message", "delta"],
        };
        if choice.any(other) {
            return None;
        }
        if operation == Operation::Chat {
            if let Some(delta) = choice.object("delta").ok()? {
                for (name, value) in delta.iter().filter(|(_, value)| value.get() != "null") {
                    match name {
                        "role" => {}
                        "content" | "refusal" | "reasoning" | "reasoning_content" => {
                            self.text(name, &json::text(value)?);
                        }
                        "tool_calls" => self.calls(&delta)?,
                        _ if value.get() == "[]" => {}
                        _ => return None,
                    }
                }
            }
            if let Some(logprobs) = choice.object("logprobs").ok()? {
                let list = |name| logprobs.list(name).ok();
                self.content.extend(list("content")?.into_iter().map(ToOwned::to_owned));
                self.refusal.extend(list("refusal")?.into_iter().map(ToOwned::to_owned));
            }
        } else {
            if choice.has("logprobs") {
                return None;
            }
            for name in ["text", "reasoning"] {
                self.text(name, &choice.string(name).ok()?.unwrap_or_default());
            }
        }
        self.finish = choice.raw("finish_reason").map(ToOwned::to_owned).or(self.finish.take());
        Some(())
    }

    fn text(&mut self, name: &str, more: &str) {
        match self.texts.iter_mut().find(|(known, _)| known == name) {
            Some((_, text)) => text.push_str(more),
            None => self.texts.push((name.to_owned(), more.to_owned())),
        }
    }

    fn calls(&mut self, delta: &Fields<'_>) -> Option<()> {
        for piece in delta.objects("tool_calls").ok()? {
            let index = piece.raw("index")?.get().parse::<usize>().ok();
            let index = index.filter(|index| *index < crate::chat::Call::MAX)?;
            while self.calls.len() <= index {
                self.calls.push(Call::default());
            }
            let call = &mut self.calls[index];
            if piece.string("type").ok()?.is_some_and(|kind| kind != "function") {
                return None;
            }
            let id = piece.string("id").ok()?;
            call.id = call.id.take().or(id);
            if let Some(function) = piece.object("function").ok()? {
                // Some say it again with every piece.
                if call.name.is_empty() {
                    call.name = function.string("name").ok()?.unwrap_or_default();
                }
                call.arguments.push_str(&function.string("arguments").ok()?.unwrap_or_default());
            }
        }
        Some(())
    }

    fn whole(self, operation: Operation, index: usize) -> Option<Object> {
        let mut whole = Object::default();
        whole.put("index", index)?;
        if operation == Operation::Chat {
            let mut message = Object::default();
            message.put("role", "assistant")?;
            message.put("content", ())?;
            for (name, text) in &self.texts {
                if !text.is_empty() || (name == "content" && self.calls.is_empty()) {
                    message.put(name, text)?;
                }
            }
            if !self.calls.is_empty() {
                let calls = self.calls.iter().map(Call::whole).collect::<Option<Vec<_>>>()?;
                message.put("tool_calls", calls)?;
            }
            whole.put("message", message)?;
            let mut logprobs = Object::default();
            for (name, list) in [("content", &self.content), ("refusal", &self.refusal)] {
                logprobs.put(name, (!list.is_empty()).then_some(list))?;
            }
            let any = !self.content.is_empty() || !self.refusal.is_empty();
            whole.put("logprobs", any.then_some(logprobs))?;
        } else {
            let filled = |(name, text): &&(String, String)| name == "text" || !text.is_empty();
            for (name, text) in self.texts.iter().filter(filled) {
                whole.put(name, text)?;
            }
            whole.put("logprobs", ())?;
        }
        whole.put("finish_reason", self.finish?)?;
        Some(whole)
    }
}

impl Call {
    fn whole(&self) -> Option<Object> {
        let mut function = Object::default();
        function.put("name", &self.name)?;
        function.put("arguments", &self.arguments)?;
        let mut call = Object::default();
        call.put("id", self.id.as_ref()?)?;
        call.put("type", "function")?;
        call.put("function", function)?;
        Some(call)
    }
}
