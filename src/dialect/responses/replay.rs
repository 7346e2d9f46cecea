//! A kept answer in its other form: unstreamed as a stream, and back.
//!
//! Works on the JSON itself, so that ids, annotations and items that are not known here stay as they were. The last
//! event of a stream is the unstreamed answer.

use super::{event::frame, object::Object};
use crate::dialect::json::{self, Fields};
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

/// The events so far.
#[derive(Default)]
struct Tape {
    out: BytesMut,
    next: u64,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Event<'a> {
    r#type: &'static str,
    sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotation: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a Object<'a>>,
}

const NONE: [(); 0] = [];

pub(super) fn restream(body: &[u8]) -> Option<Bytes> {
    let body = json::compact(std::str::from_utf8(body).ok()?.trim());
    let fields = Fields::body(&body).ok()?;
    let text = |name| fields.raw(name).and_then(json::text);
    let last = match text("status").as_deref() {
        Some("completed") => "response.completed",
        Some("incomplete") => "response.incomplete",
        _ => return None,
    };
    let whole = Object::of(&fields);
    let mut begun = whole.clone();
    begun.put("status", "in_progress");
    begun.put("output", NONE);
    begun.put("usage", ());
    for name in ["completed_at", "incomplete_details"] {
        begun.replace(name, ());
    }
    let mut tape = Tape::default();
    for r#type in ["response.created", "response.in_progress"] {
        tape.put(Event { r#type, response: Some(&begun), ..Event::default() });
    }
    for (index, item) in fields.objects("output").ok()?.iter().enumerate() {
        tape.item(index, item)?;
    }
    tape.put(Event { r#type: last, response: Some(&whole), ..Event::default() });
    Some(tape.out.freeze())
}

impl Tape {
    fn put(&mut self, event: Event<'_>) {
        let event = Event { sequence_number: self.next, ..event };
        self.next += 1;
        frame(event.r#type, &event, &mut self.out);
    }

    fn item(&mut self, index: usize, fields: &Fields<'_>) -> Option<()> {
        let kind = json::text(fields.raw("type")?)?;
        let whole = Object::of(fields);
        let mut begun = whole.clone();
        begun.replace("status", "in_progress");
        match &*kind {
            "message" => begun.put("content", NONE),
            "reasoning" => begun.put("summary", NONE),
            "function_call" => begun.put("arguments", ""),
            // Tools that ran upstream: what they did is in the item.
            _ => {}
        }
        let bare = Event { output_index: Some(index), ..Event::default() };
        let r#type = "response.output_item.added";
        self.put(Event { r#type, item: Some(&begun), ..bare });
        let about = Event { item_id: fields.raw("id"), ..bare };
        match &*kind {
            "message" => {
                for (place, part) in fields.objects("content").ok()?.iter().enumerate() {
                    self.part(Event { content_index: Some(place), ..about }, part)?;
                }
            }
            "reasoning" => {
                for (place, part) in fields.objects("summary").ok()?.iter().enumerate() {
                    self.summary(Event { summary_index: Some(place), ..about }, part)?;
                }
            }
            "function_call" => {
                let (name, arguments) = (fields.raw("name"), fields.raw("arguments"));
                let r#type = "response.function_call_arguments.delta";
                self.put(Event { r#type, delta: arguments, ..about });
                let r#type = "response.function_call_arguments.done";
                self.put(Event { r#type, name, arguments, ..about });
            }
            _ => {}
        }
        let r#type = "response.output_item.done";
        self.put(Event { r#type, item: Some(&whole), ..bare });
        Some(())
    }

    /// A part of a message; `None` for one that is neither text nor a refusal.
    fn part(&mut self, about: Event<'_>, part: &Fields<'_>) -> Option<()> {
        let kind = json::text(part.raw("type")?)?;
        let whole = Object::of(part);
        let mut begun = whole.clone();
        let r#type = "response.content_part.added";
        match &*kind {
            "output_text" => {
                begun.put("text", "");
                begun.replace("annotations", NONE);
                begun.replace("logprobs", NONE);
                self.put(Event { r#type, part: Some(&begun), ..about });
                let none = serde_json::from_str("[]").ok();
                let (text, logprobs) = (part.raw("text"), part.raw("logprobs").or(none));
                let r#type = "response.output_text.delta";
                self.put(Event { r#type, delta: text, logprobs, ..about });
                let annotations = part.list("annotations").ok()?;
                for (place, annotation) in annotations.into_iter().enumerate() {
                    let r#type = "response.output_text.annotation.added";
                    let annotation_index = Some(place);
                    let annotation = Some(annotation);
                    self.put(Event { r#type, annotation_index, annotation, ..about });
                }
                let r#type = "response.output_text.done";
                self.put(Event { r#type, text, logprobs, ..about });
            }
            "refusal" => {
                begun.put("refusal", "");
                self.put(Event { r#type, part: Some(&begun), ..about });
                let refusal = part.raw("refusal");
                let r#type = "response.refusal.delta";
                self.put(Event { r#type, delta: refusal, ..about });
                self.put(Event { r#type: "response.refusal.done", refusal, ..about });
            }
            _ => return None,
        }
        let r#type = "response.content_part.done";
        self.put(Event { r#type, part: Some(&whole), ..about });
        Some(())
    }

    fn summary(&mut self, about: Event<'_>, part: &Fields<'_>) -> Option<()> {
        let whole = Object::of(part);
        let mut begun = whole.clone();
        begun.put("text", "");
        let text = Some(part.raw("text")?);
        let r#type = "response.reasoning_summary_part.added";
        self.put(Event { r#type, part: Some(&begun), ..about });
        let r#type = "response.reasoning_summary_text.delta";
        self.put(Event { r#type, delta: text, ..about });
        self.put(Event { r#type: "response.reasoning_summary_text.done", text, ..about });
        let r#type = "response.reasoning_summary_part.done";
        self.put(Event { r#type, part: Some(&whole), ..about });
        Some(())
    }
}

pub(super) fn unstream(events: &[Bytes]) -> Option<Bytes> {
    let mut items = 0;
    for event in events {
        let event = std::str::from_utf8(event).ok()?.trim();
        if event.starts_with("[DONE]") {
            continue;
        }
        let fields = Fields::body(event).ok()?;
        let response = || fields.object("response").ok().flatten();
        match json::text(fields.raw("type")?)?.as_str() {
            "response.output_item.done" => items += 1,
            "response.completed" | "response.incomplete" => {
                let response = response()?;
                // What nobody would read as an answer is none.
                if json::text(response.raw("object")?)? != "response" {
                    return None;
                }
                // Some leave the items out where they came before.
                let whole = response.list("output").ok()?.len() >= items;
                return whole.then(|| json::bytes(&Object::of(&response)));
            }
            "error" => return None,
            _ => {}
        }
    }
    None
}
