//! What a request for a response asks for, and what the router may look at.

use crate::{
    dialect::{
        Ask, Prompt, ask,
        json::{self, Fields},
    },
    error::Error,
};
use serde_json::value::RawValue;

pub(super) fn ask(body: &[u8]) -> Result<Ask, Error> {
    let scan = ask::scan(body, false)?;
    let model = scan.model.filter(|model| !model.is_empty());
    // A template that is kept upstream may name the model.
    if model.is_none() && !has(body, "prompt") {
        return Err(Error::BadRequest("model is required".into()));
    }
    Ok(Ask { model: model.map(Into::into), stream: scan.stream.unwrap_or(false) })
}

fn has(body: &[u8], name: &str) -> bool {
    let body = String::from_utf8_lossy(body);
    Fields::body(&body).is_ok_and(|fields| fields.has(name))
}

/// Whether this changes something upstream, so that asking twice is not the same as asking once.
pub(super) fn acts(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    let Ok(fields) = Fields::body(&body) else { return false };
    fields.has("conversation") || fields.raw("background").is_some_and(|on| on.get() == "true")
}

pub(super) fn deterministic(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    let Ok(fields) = Fields::body(&body) else { return false };
    let temperature = fields.number("temperature").ok().flatten();
    temperature.is_some_and(|temperature| temperature.value() == 0.0)
}

pub(super) fn prompt(body: &[u8]) -> Option<Prompt> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).ok()?;
    let mut prompt = Prompt::default();
    let instructions = fields.raw("instructions").and_then(json::text);
    prompt.bytes += instructions.map_or(0, |text| text.len());
    match fields.raw("input") {
        Some(raw) if json::is_list(raw) => {
            for item in fields.objects("input").ok()? {
                read(&item, &mut prompt);
            }
        }
        Some(raw) => {
            prompt.messages = 1;
            prompt.text = json::text(raw)?;
            prompt.bytes += prompt.text.len();
        }
        None => {}
    }
    let tools = fields.list("tools").unwrap_or_default();
    prompt.tools = !tools.is_empty();
    prompt.bytes += tools.iter().map(|tool| tool.get().len()).sum::<usize>();
    let reasoning = fields.object("reasoning").ok().flatten();
    let effort = reasoning.and_then(|reasoning| reasoning.raw("effort").and_then(json::text));
    prompt.thinking = effort.is_some_and(|effort| effort != "none");
    prompt.cut();
    Some(prompt)
}

fn read(item: &Fields<'_>, prompt: &mut Prompt) {
    prompt.messages += 1;
    let role = item.raw("role").and_then(json::text);
    for name in ["content", "output", "arguments", "summary"] {
        let Some(raw) = item.raw(name) else { continue };
        let text = text(raw, &mut prompt.images);
        prompt.bytes += text.len();
        if name == "content" && role.as_deref() == Some("user") {
            prompt.text = text;
        }
    }
}

/// The text of an item, its parts joined; notes whether there is anything to see or hear.
fn text(raw: &RawValue, images: &mut bool) -> String {
    if let Some(text) = json::text(raw) {
        return text;
    }
    let parts = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
    let mut texts = Vec::new();
    for part in parts {
        let Ok(part) = Fields::of(part, String::new(), false) else { continue };
        let kind = part.raw("type").and_then(json::text).unwrap_or_default();
        *images |= matches!(&*kind, "input_image" | "input_audio" | "input_file");
        texts.extend(part.raw("text").and_then(json::text));
    }
    texts.join("\n")
}
