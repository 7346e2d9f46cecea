//! Reads one message of an OpenAI conversation.

use crate::{
    chat::{Call, Media, Message},
    dialect::{
        base64,
        json::{self, Fields},
        ollama::untranslatable,
    },
    error::Error,
};
use serde_json::value::RawValue;

pub(super) fn read(fields: &Fields<'_>) -> Result<Message, Error> {
    let role = fields.string("role")?.unwrap_or_default();
    let mut message = Message { call_id: fields.string("tool_call_id")?, ..Message::default() };
    message.role = match &*role {
        "system" | "user" | "assistant" => role,
        "developer" => "system".into(),
        "tool" | "function" => {
            message.tool_name = fields.string("name")?;
            "tool".into()
        }
        _ => {
            let known = "system, developer, user, assistant, tool or function";
            return Err(fields.wrong("role", known));
        }
    };
    content(fields, &mut message)?;
    if message.text.is_empty() {
        message.text = fields.string("refusal")?.unwrap_or_default();
    }
    let thinking = ["reasoning", "reasoning_content"].map(|name| fields.raw(name));
    message.thinking = thinking.into_iter().flatten().find_map(json::text);
    for call in fields.objects("tool_calls")? {
        message.calls.push(called(&call)?);
    }
    if let Some(function) = fields.object("function_call")? {
        message.calls.push(function_called(&function, None)?);
    }
    Ok(message)
}

fn content(fields: &Fields<'_>, message: &mut Message) -> Result<(), Error> {
    match fields.raw("content") {
        None => {}
        Some(raw) if json::is_list(raw) => {
            let mut texts = Vec::new();
            for part in fields.objects("content")? {
                part_of(&part, &mut texts, &mut message.media)?;
            }
            message.text = texts.join("\n");
        }
        Some(raw) => {
            let text = json::text(raw);
            message.text =
                text.ok_or_else(|| fields.wrong("content", "a string or a list of parts"))?;
        }
    }
    Ok(())
}

fn part_of(
    part: &Fields<'_>,
    texts: &mut Vec<String>,
    media: &mut Vec<Media>,
) -> Result<(), Error> {
    let kind = part.string("type")?;
    // Some clients leave the type out.
    let kind = kind
        .as_deref()
        .or_else(|| ["text", "image_url", "input_audio"].into_iter().find(|name| part.has(name)));
    match kind {
        Some("text") => texts.push(part.string("text")?.unwrap_or_default()),
        Some("refusal") => texts.push(part.string("refusal")?.unwrap_or_default()),
        Some("image_url") => media.push(image(part)?),
        Some("input_audio") => media.push(audio(part)?),
        Some(kind) => {
            let why = "only text, image_url and input_audio parts have a translation";
            return Err(untranslatable(&format!("{} {kind:?}", part.path("type")), why));
        }
        None => return Err(part.wrong("type", "text, image_url or input_audio")),
    }
    Ok(())
}

fn image(part: &Fields<'_>) -> Result<Media, Error> {
    let url = match part.raw("image_url").map(RawValue::get) {
        Some(raw) if raw.starts_with('"') => part.string("image_url")?,
        _ => part.object("image_url")?.map(|image| image.string("url")).transpose()?.flatten(),
    };
    let url = url.ok_or_else(|| part.wrong("image_url", "an object with a url"))?;
    if url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")) {
        // Source: ollama openai/openai.go decodeImageURL, the same words. Fetching it would let a
        // client reach into the gateway's network.
        return Err(Error::BadRequest(
            "image URLs are not currently supported, please use base64 encoded data instead".into(),
        ));
    }
    let invalid = || part.wrong("image_url", "a data: URL with an image in base64");
    let (head, data) = url.split_once(',').ok_or_else(invalid)?;
    let kind = head.strip_prefix("data:").and_then(|head| head.strip_suffix(";base64"));
    let mime = match kind.ok_or_else(invalid)? {
        "image/png" => "image/png",
        "image/webp" => "image/webp",
        "image/gif" => "image/gif",
        "image/jpeg" | "image/jpg" | "" => "image/jpeg",
        _ => return Err(invalid()),
    };
    let bytes = base64::decode(data).filter(|bytes| !bytes.is_empty()).ok_or_else(invalid)?;
    Ok(Media { mime, base64: base64::encode(&bytes) })
}

fn audio(part: &Fields<'_>) -> Result<Media, Error> {
    let invalid = || part.wrong("input_audio", "an object with data in base64 and a format");
    let audio = part.object("input_audio")?.ok_or_else(invalid)?;
    let mime = match audio.string("format")?.as_deref() {
        Some("mp3") => "audio/mp3",
        None | Some("wav") => "audio/wav",
        Some(_) => return Err(audio.wrong("format", "wav or mp3")),
    };
    let bytes = audio.string("data")?.and_then(|data| base64::decode(&data));
    let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(invalid)?;
    Ok(Media { mime, base64: base64::encode(&bytes) })
}

fn called(call: &Fields<'_>) -> Result<Call, Error> {
    match call.string("type")?.as_deref() {
        None | Some("function") => {}
        Some(kind) => {
            let why = format!("calls of the type {kind:?} have no translation, functions have");
            return Err(untranslatable(&call.path("type"), &why));
        }
    }
    let function = call.object("function")?.ok_or_else(|| call.wrong("function", "an object"))?;
    function_called(&function, call.string("id")?.filter(|id| !id.is_empty()))
}

fn function_called(function: &Fields<'_>, id: Option<String>) -> Result<Call, Error> {
    let name = function.string("name")?.unwrap_or_default();
    let text = match function.raw("arguments") {
        None => String::new(),
        // An object instead of its text: not OpenAI's, but clear.
        Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
        Some(_) => function.string("arguments")?.unwrap_or_default(),
    };
    let arguments = if text.trim().is_empty() { "{}" } else { text.trim() };
    // Source: ollama openai/openai.go, "invalid tool call arguments".
    let object = serde_json::from_str::<&RawValue>(arguments)
        .is_ok_and(|arguments| arguments.get().starts_with('{'));
    if !object {
        return Err(Error::BadRequest(format!(
            "invalid tool call arguments: {} must be a JSON object as a string",
            function.path("arguments")
        )));
    }
    Ok(Call { id, name, arguments: json::compact(arguments) })
}
