//! Reads one message of an OpenAI conversation.

use crate::{
    chat::{Call, Media, Message, Part},
    dialect::{
        alike::untranslatable,
        json::{self, Fields},
        media,
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
    message.content = content(fields)?;
    if message.text().is_empty() {
        message.content.extend(fields.string("refusal")?.map(Part::Text));
    }
    let thinking = ["reasoning", "reasoning_content"].map(|name| fields.raw(name));
    message.thinking = thinking.into_iter().flatten().find_map(json::text);
    sealed(fields, &mut message)?;
    for call in fields.objects("tool_calls")? {
        message.calls.push(called(&call)?);
    }
    if let Some(function) = fields.object("function_call")? {
        message.calls.push(function_called(&function, None)?);
    }
    Ok(message)
}

/// What was thought and the seal on it, as [`super::super::say`] told them.
fn sealed(fields: &Fields<'_>, message: &mut Message) -> Result<(), Error> {
    let mut text = String::new();
    for detail in fields.objects("reasoning_details")? {
        text.extend(detail.string("text")?);
        message.signature = detail.string("signature")?.or(message.signature.take());
    }
    if message.thinking.is_none() && !text.is_empty() {
        message.thinking = Some(text);
    }
    Ok(())
}

fn content(fields: &Fields<'_>) -> Result<Vec<Part>, Error> {
    match fields.raw("content") {
        None => Ok(Vec::new()),
        Some(raw) if json::is_list(raw) => fields.objects("content")?.iter().map(part_of).collect(),
        Some(raw) => {
            let text = json::text(raw);
            let text =
                text.ok_or_else(|| fields.wrong("content", "a string or a list of parts"))?;
            Ok(vec![Part::Text(text)])
        }
    }
}

fn part_of(part: &Fields<'_>) -> Result<Part, Error> {
    const KINDS: [&str; 5] = ["text", "image_url", "input_audio", "file", "refusal"];
    let kind = part.string("type")?;
    // Some clients leave the type out.
    let kind = kind.as_deref().or_else(|| KINDS.into_iter().find(|name| part.has(name)));
    match kind {
        Some(name @ ("text" | "refusal")) => Ok(Part::Text(part.string(name)?.unwrap_or_default())),
        Some("image_url") => shown(part, image(part)?),
        Some("input_audio") => shown(part, media::audio(part)?),
        Some("file") => shown(part, file(part)?),
        Some(kind) => {
            let why = "only text, image_url, input_audio and file parts have a translation";
            Err(untranslatable(&format!("{} {kind:?}", part.path("type")), why))
        }
        None => Err(part.wrong("type", "text, image_url, input_audio or file")),
    }
}

fn shown(part: &Fields<'_>, media: Media) -> Result<Part, Error> {
    Ok(Part::Media(media.at(part.place())))
}

fn image(part: &Fields<'_>) -> Result<Media, Error> {
    let url = match part.raw("image_url").map(RawValue::get) {
        Some(raw) if raw.starts_with('"') => part.string("image_url")?,
        _ => part.object("image_url")?.map(|image| image.string("url")).transpose()?.flatten(),
    };
    let url = url.ok_or_else(|| part.wrong("image_url", "an object with a url"))?;
    media::image(url).ok_or_else(|| {
        part.wrong("image_url", "a data: URL with a PNG, JPEG, GIF, WebP or BMP in base64")
    })
}

/// A document in the request itself; one that was uploaded before is only an id, which means nothing elsewhere.
fn file(part: &Fields<'_>) -> Result<Media, Error> {
    let invalid = || part.wrong("file", "an object with file_data: a data: URL of a PDF or text");
    let file = part.object("file")?.ok_or_else(invalid)?;
    if file.has("file_id") {
        let why = "files live at the upstream that they were sent to; send the bytes as file_data";
        return Err(untranslatable(&file.path("file_id"), why));
    }
    let data = file.string("file_data")?.ok_or_else(invalid)?;
    media::document(&data, file.string("filename")?).ok_or_else(invalid)
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
