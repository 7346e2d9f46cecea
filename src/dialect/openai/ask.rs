//! What an OpenAI request asks for, and what the router may look at.

use crate::{
    dialect::{
        Ask, Operation, Prompt, Wishes, ask,
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
    let required = matches!(operation, Operation::Chat | Operation::Generate | Operation::Embed);
    if required && model.is_none() {
        return Err(Error::BadRequest("model is required".into()));
    }
    let streams = matches!(operation, Operation::Chat | Operation::Generate | Operation::Other);
    Ok(Ask { model: model.map(Into::into), stream: streams && scan.stream.unwrap_or(false) })
}

pub(super) fn wishes(operation: Operation, body: &[u8]) -> Option<Wishes> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).ok()?;
    Some(match operation {
        Operation::Embed => {
            let encoding = fields.raw("encoding_format").and_then(json::text);
            let base64 = encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"));
            Wishes { base64, ..Wishes::default() }
        }
        _ => {
            let options = fields.object("stream_options").ok()??;
            let usage = options.bool("include_usage").ok().flatten() == Some(true);
            Wishes { usage, ..Wishes::default() }
        }
    })
}

pub(super) fn prompt(operation: Operation, body: &[u8]) -> Option<Prompt> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).ok()?;
    let mut prompt = Prompt::default();
    match operation {
        Operation::Chat => {
            for message in fields.objects("messages").ok()? {
                prompt.messages += 1;
                let text = content(message.raw("content"), &mut prompt.images);
                prompt.bytes += text.len();
                if message.raw("role").and_then(json::text).as_deref() == Some("user") {
                    prompt.text = text;
                }
            }
            for name in ["tools", "functions"] {
                let tools = fields.list(name).unwrap_or_default();
                prompt.tools |= !tools.is_empty();
                prompt.bytes += tools.iter().map(|tool| tool.get().len()).sum::<usize>();
            }
            let effort = fields.raw("reasoning_effort").and_then(json::text);
            let think = fields.raw("think").is_some_and(|think| think.get() != "false");
            prompt.thinking =
                effort.is_some_and(|effort| effort != "none") || think || fields.has("reasoning");
        }
        Operation::Generate => {
            let suffix = fields.raw("suffix").and_then(json::text).unwrap_or_default();
            let text = fields.raw("prompt").map(strings).unwrap_or_default();
            prompt.messages = 1;
            prompt.bytes = text.len() + suffix.len();
            prompt.verbatim = !suffix.is_empty();
            prompt.text = text;
        }
        Operation::Embed => {
            let input = fields.raw("input")?;
            prompt.messages = 1;
            prompt.bytes = input.get().len();
            prompt.text = strings(input);
        }
        _ => return None,
    }
    prompt.cut();
    Some(prompt)
}

/// The text of a message, its parts joined; notes whether there is anything to see or hear.
fn content(raw: Option<&RawValue>, images: &mut bool) -> String {
    let Some(raw) = raw else { return String::new() };
    if let Some(text) = json::text(raw) {
        return text;
    }
    let parts = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
    let mut texts = Vec::new();
    for part in parts {
        let Ok(part) = Fields::of(part, String::new(), false) else { continue };
        *images |= ["image_url", "input_audio", "file"].iter().any(|name| part.has(name));
        texts.extend(part.raw("text").and_then(json::text));
    }
    texts.join("\n")
}

fn strings(raw: &RawValue) -> String {
    json::text(raw)
        .or_else(|| serde_json::from_str::<Vec<String>>(raw.get()).ok().map(|all| all.join("\n")))
        .unwrap_or_default()
}

pub(super) fn deterministic(operation: Operation, body: &[u8]) -> bool {
    if operation == Operation::Embed {
        return true;
    }
    let body = String::from_utf8_lossy(body);
    let Ok(fields) = Fields::body(&body) else { return false };
    let value = |name| fields.number(name).ok().flatten().map(|number| number.value());
    value("temperature") == Some(0.0) || value("seed").is_some()
}
