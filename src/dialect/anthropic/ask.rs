//! What an Anthropic request asks for, and what the router may look at.

use crate::{
    dialect::{
        Ask, Operation, Prompt, ask,
        json::{self, Fields},
    },
    error::Error,
};
use serde_json::value::RawValue;

pub(super) fn ask(operation: Operation, body: &[u8]) -> Result<Ask, Error> {
    if operation == Operation::Other && body.trim_ascii().is_empty() {
        return Ok(Ask::default());
    }
    let scan = ask::scan(body, false)?;
    let model = scan.model.filter(|model| !model.is_empty());
    if matches!(operation, Operation::Chat | Operation::Count) && model.is_none() {
        // The API's own words for a field that is missing.
        return Err(Error::BadRequest("model: Field required".into()));
    }
    let streams = matches!(operation, Operation::Chat | Operation::Other);
    Ok(Ask { model: model.map(Into::into), stream: streams && scan.stream.unwrap_or(false) })
}

pub(super) fn prompt(operation: Operation, body: &[u8]) -> Option<Prompt> {
    if !matches!(operation, Operation::Chat | Operation::Count) {
        return None;
    }
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).ok()?;
    let mut prompt = Prompt::default();
    let mut system = Text::default();
    system.read(fields.raw("system"));
    prompt.bytes += system.bytes;
    for message in fields.objects("messages").ok()? {
        prompt.messages += 1;
        let mut text = Text::default();
        text.read(message.raw("content"));
        prompt.bytes += text.bytes;
        prompt.images |= text.images;
        // A turn of nothing but tool results is no word of the user's.
        let user = message.raw("role").and_then(json::text).as_deref() == Some("user");
        if user && !text.said.is_empty() {
            prompt.text = text.said;
        }
    }
    let tools = fields.list("tools").unwrap_or_default();
    prompt.tools = !tools.is_empty();
    prompt.bytes += tools.iter().map(|tool| tool.get().len()).sum::<usize>();
    let kind = fields.object("thinking").ok().flatten();
    let kind = kind.and_then(|thinking| thinking.raw("type").and_then(json::text));
    prompt.thinking = match kind {
        Some(kind) => kind != "disabled",
        None => fields.object("output_config").ok().flatten().is_some_and(|c| c.has("effort")),
    };
    prompt.cut();
    Some(prompt)
}

/// What a content says.
#[derive(Default)]
struct Text {
    /// Its text, without that of tool results.
    said: String,
    /// Bytes of all its text, that of tool calls and results included.
    bytes: usize,
    images: bool,
}

impl Text {
    fn read(&mut self, raw: Option<&RawValue>) {
        let Some(raw) = raw else { return };
        if let Some(text) = json::text(raw) {
            return self.add(&text);
        }
        let blocks = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
        for block in blocks {
            let Ok(block) = Fields::of(block, String::new(), false) else { continue };
            match block.raw("type").and_then(json::text).as_deref() {
                Some("text") => {
                    self.add(&block.raw("text").and_then(json::text).unwrap_or_default());
                }
                Some("tool_use") => self.bytes += block.raw("input").map_or(0, |i| i.get().len()),
                Some("tool_result") => {
                    let mut result = Self::default();
                    result.read(block.raw("content"));
                    self.bytes += result.bytes;
                    self.images |= result.images;
                }
                Some("thinking") => {
                    let text = block.raw("thinking").and_then(json::text);
                    self.bytes += text.map_or(0, |text| text.len());
                }
                Some("image" | "document") => self.images = true,
                _ => {}
            }
        }
    }

    fn add(&mut self, text: &str) {
        if !self.said.is_empty() {
            self.said.push('\n');
        }
        self.said.push_str(text);
        self.bytes += text.len();
    }
}

pub(super) fn deterministic(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    let Ok(fields) = Fields::body(&body) else { return false };
    fields.number("temperature").ok().flatten().is_some_and(|number| number.value() == 0.0)
}
