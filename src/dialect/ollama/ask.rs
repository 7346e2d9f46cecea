//! What an Ollama request asks for, and what the router may look at.

use crate::{
    dialect::{
        Ask, Operation, Prompt, ask,
        json::{self, Fields},
    },
    error::Error,
};

pub(super) fn ask(operation: Operation, body: &[u8]) -> Result<Ask, Error> {
    // Source: ollama server/routes.go: show, pull, push, create and delete take the older `name` as well.
    let named = matches!(operation, Operation::Model | Operation::Pull | Operation::Manage);
    let scan = ask::scan(body, named)?;
    let filled = |name: &std::borrow::Cow<'_, str>| !name.is_empty();
    let model = scan.model.filter(filled).or(scan.name.filter(filled));
    let required = operation.asks_a_model();
    if required && model.is_none() {
        return Err(Error::BadRequest("model is required".into()));
    }
    // Source: ollama api/types.go: `stream` is absent or null by default, and then true.
    let streams = matches!(
        operation,
        Operation::Chat | Operation::Generate | Operation::Pull | Operation::Manage
    );
    Ok(Ask { model: model.map(Into::into), stream: streams && scan.stream.unwrap_or(true) })
}

pub(super) fn prompt(operation: Operation, body: &[u8]) -> Option<Prompt> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).ok()?.folded();
    let mut prompt = Prompt::default();
    let text = |fields: &Fields<'_>, name| fields.raw(name).and_then(json::text);
    prompt.thinking = fields.raw("think").is_some_and(|think| think.get() != "false");
    prompt.images = fields.has("images");
    match operation {
        Operation::Chat => {
            for message in fields.objects("messages").ok()? {
                let content = text(&message, "content").unwrap_or_default();
                prompt.messages += 1;
                prompt.bytes += content.len();
                prompt.images |= !message.list("images").unwrap_or_default().is_empty();
                if message.raw("role").and_then(json::text).as_deref() == Some("user") {
                    prompt.text = content;
                }
            }
            let tools = fields.list("tools").unwrap_or_default();
            prompt.tools = !tools.is_empty();
            prompt.bytes += tools.iter().map(|tool| tool.get().len()).sum::<usize>();
        }
        Operation::Generate => {
            let parts = ["prompt", "suffix", "system"].map(|name| text(&fields, name));
            prompt.messages = 1;
            prompt.bytes = parts.iter().flatten().map(String::len).sum();
            let [text, suffix, _] = parts;
            prompt.text = text.unwrap_or_default();
            prompt.verbatim = suffix.is_some_and(|suffix| !suffix.is_empty())
                || fields.raw("raw").is_some_and(|raw| raw.get() == "true");
        }
        Operation::Embed | Operation::EmbedOne => {
            let name = if operation == Operation::Embed { "input" } else { "prompt" };
            let input = fields.raw(name)?;
            prompt.messages = 1;
            prompt.bytes = input.get().len();
            prompt.text = json::text(input).unwrap_or_default();
        }
        _ => return None,
    }
    prompt.cut();
    Some(prompt)
}

pub(super) fn deterministic(operation: Operation, body: &[u8]) -> bool {
    if matches!(operation, Operation::Embed | Operation::EmbedOne) {
        return true;
    }
    let body = String::from_utf8_lossy(body);
    let Ok(Some(options)) =
        Fields::body(&body).and_then(|fields| fields.folded().object("options"))
    else {
        return false;
    };
    let value = |name| options.number(name).ok().flatten().map(|number| number.value());
    // Source: ollama docs/api.md; a negative seed is a random one.
    value("temperature") == Some(0.0) || value("seed").is_some_and(|seed| seed >= 0.0)
}
