//! A kept answer of Anthropic in its other form: unstreamed as a stream, and back.
//!
//! Works on the JSON itself, so that ids, stop texts, counts and whatever else stay as they were. What cannot be taken
//! apart without knowing what it is (citations, thinking that nobody may read, tools that ran at Anthropic) is not.

use super::say::STOP;
use crate::{
    chat::Raw,
    dialect::json::{self, Fields},
};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// An object whose fields are JSON already.
struct Object<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, &**value)))
    }
}

impl<'a> Object<'a> {
    fn of(fields: &Fields<'a>) -> Self {
        let own = |name: &str| Cow::Owned(name.to_owned());
        Self(fields.iter().map(|(name, raw)| (own(name), Cow::Borrowed(raw))).collect())
    }

    fn put(&mut self, name: &'static str, value: impl Serialize) -> Option<()> {
        self.set(name.into(), Cow::Owned(raw(&value)?));
        Some(())
    }

    fn set(&mut self, name: Cow<'a, str>, value: Cow<'a, RawValue>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name, value)),
        }
    }
}

fn raw(value: &impl Serialize) -> Option<Raw> {
    let mut out = Vec::new();
    json::write(&mut out, value);
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

/// What the last event but one says, and the first one does not.
const ENDING: [&str; 3] = ["stop_reason", "stop_sequence", "stop_details"];

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_block: Option<&'a Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a RawValue>,
}

impl Event<'_> {
    const NONE: Event<'static> = Event {
        r#type: "",
        message: None,
        index: None,
        content_block: None,
        delta: None,
        usage: None,
    };

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(self.r#type.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        json::write(out, self);
        out.extend_from_slice(b"\n\n");
    }
}

pub(super) fn restream(body: &[u8]) -> Option<Bytes> {
    let body = json::compact(std::str::from_utf8(body).ok()?.trim());
    let fields = Fields::body(&body).ok()?;
    if json::text(fields.raw("type")?)? != "message" {
        return None;
    }
    let mut message = Object::of(&fields);
    message.put("content", [(); 0])?;
    let mut last = Object(Vec::new());
    for name in ENDING {
        if let Some(value) = fields.raw(name) {
            last.set(name.into(), Cow::Borrowed(value));
        }
        if fields.iter().any(|(known, _)| known == name) {
            message.put(name, ())?;
        }
    }
    let mut out = Vec::with_capacity(body.len() + 1024);
    Event { r#type: "message_start", message: Some(&message), ..Event::NONE }.write(&mut out);
    for (index, block) in fields.objects("content").ok()?.iter().enumerate() {
        let mut start = Object::of(block);
        let mut deltas = Vec::new();
        let mut take = |name: &'static str, kind: &str| {
            let value = block.raw(name).filter(|value| value.get() != "\"\"");
            start.put(name, "")?;
            if let Some(value) = value {
                deltas.push(delta(kind, name, Cow::Borrowed(value))?);
            }
            Some(())
        };
        match &*json::text(block.raw("type")?)? {
            "text" if !block.has("citations") => take("text", "text_delta")?,
            "thinking" => {
                take("thinking", "thinking_delta")?;
                take("signature", "signature_delta")?;
            }
            "tool_use" => {
                let input = block.raw("input")?;
                start.put("input", Object(Vec::new()))?;
                if input.get() != "{}" {
                    let text = Cow::Owned(raw(&input.get())?);
                    deltas.push(delta("input_json_delta", "partial_json", text)?);
                }
            }
            _ => return None,
        }
        let at = Event { index: Some(index), ..Event::NONE };
        Event { r#type: "content_block_start", content_block: Some(&start), ..at }.write(&mut out);
        for delta in &deltas {
            Event { r#type: "content_block_delta", delta: Some(delta), ..at }.write(&mut out);
        }
        Event { r#type: "content_block_stop", ..at }.write(&mut out);
    }
    let usage = fields.raw("usage");
    Event { r#type: "message_delta", delta: Some(&last), usage, ..Event::NONE }.write(&mut out);
    out.extend_from_slice(STOP);
    Some(out.into())
}

fn delta<'a>(kind: &str, name: &'static str, value: Cow<'a, RawValue>) -> Option<Object<'a>> {
    let mut delta = Object(Vec::new());
    delta.put("type", kind)?;
    delta.set(name.into(), value);
    Some(delta)
}

/// A block, put together.
struct Block<'a> {
    start: Fields<'a>,
    kind: String,
    text: String,
    thinking: String,
    signature: String,
    json: String,
}

pub(super) fn unstream(events: &[Bytes]) -> Option<Bytes> {
    let mut message: Option<Fields<'_>> = None;
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut last = Object(Vec::new());
    let mut counts = Object(Vec::new());
    for event in events {
        let fields = Fields::body(std::str::from_utf8(event).ok()?).ok()?;
        match &*json::text(fields.raw("type")?)? {
            "message_start" if message.is_none() => {
                let start = fields.object("message").ok()??;
                // What nobody would read as an answer is none.
                if start.raw("type").is_some_and(|kind| kind.get() != r#""message""#) {
                    return None;
                }
                counts = Object::of(&start.object("usage").ok()??);
                message = Some(start);
            }
            "content_block_start" if index(&fields)? == blocks.len() => {
                blocks.push(Block::new(fields.object("content_block").ok()??)?);
            }
            "content_block_delta" => {
                let delta = fields.object("delta").ok()??;
                blocks.get_mut(index(&fields)?)?.add(&delta)?;
            }
            "message_delta" => {
                for (into, name) in [(&mut last, "delta"), (&mut counts, "usage")] {
                    let Some(more) = fields.object(name).ok()? else { continue };
                    for (name, value) in more.iter().filter(|(_, value)| value.get() != "null") {
                        into.set(Cow::Owned(name.to_owned()), Cow::Borrowed(value));
                    }
                }
            }
            "content_block_stop" | "message_stop" | "ping" => {}
            _ => return None,
        }
    }
    let mut answer = Object::of(&message?);
    answer.put("content", blocks.iter().map(Block::whole).collect::<Option<Vec<_>>>()?)?;
    for (name, value) in last.0 {
        answer.set(name, value);
    }
    answer.put("usage", counts)?;
    Some(json::bytes(&answer))
}

fn index(fields: &Fields<'_>) -> Option<usize> {
    fields.raw("index")?.get().parse().ok()
}

impl<'a> Block<'a> {
    fn new(start: Fields<'a>) -> Option<Self> {
        let text = |name| start.raw(name).and_then(json::text).unwrap_or_default();
        let kind = text("type");
        if !matches!(&*kind, "text" | "thinking" | "tool_use") || start.has("citations") {
            return None;
        }
        Some(Self {
            text: text("text"),
            thinking: text("thinking"),
            signature: text("signature"),
            json: String::new(),
            kind,
            start,
        })
    }

    /// `None` for what belongs to no block of this kind.
    fn add(&mut self, delta: &Fields<'_>) -> Option<()> {
        let kind = json::text(delta.raw("type")?)?;
        let (into, name) = match (&*self.kind, &*kind) {
            ("text", "text_delta") => (&mut self.text, "text"),
            ("thinking", "thinking_delta") => (&mut self.thinking, "thinking"),
            ("thinking", "signature_delta") => (&mut self.signature, "signature"),
            ("tool_use", "input_json_delta") => (&mut self.json, "partial_json"),
            _ => return None,
        };
        into.push_str(&json::text(delta.raw(name)?)?);
        Some(())
    }

    fn whole(&self) -> Option<Object<'_>> {
        let mut whole = Object::of(&self.start);
        match &*self.kind {
            "text" => whole.put("text", &self.text)?,
            "thinking" => {
                whole.put("thinking", &self.thinking)?;
                whole.put("signature", &self.signature)?;
            }
            _ if self.json.trim().is_empty() => {}
            _ => {
                let input = serde_json::from_str::<&RawValue>(&self.json).ok()?;
                whole.set("input".into(), Cow::Borrowed(input));
            }
        }
        Some(whole)
    }
}
