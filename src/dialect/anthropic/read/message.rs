//! Reads one message of an Anthropic conversation, which may be several in the common tongue.

use crate::{
    chat::{Call, Media, Message, Part},
    dialect::{
        alike::untranslatable,
        base64,
        json::{self, Fields},
        media,
    },
    error::Error,
};
use serde_json::value::RawValue;

/// The calls so far, by id: a result must answer one of them.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Made>);

#[derive(Debug)]
struct Made {
    id: String,
    name: String,
    answered: bool,
}

const KNOWN: &str = "text, image, document, tool_use, tool_result, thinking or redacted_thinking; \
    blocks of tools that ran at Anthropic have no translation";

pub(super) fn read(
    fields: &Fields<'_>,
    calls: &mut Calls,
    out: &mut Vec<Message>,
    dropped: &mut Vec<&'static str>,
) -> Result<(), Error> {
    let role = fields.string("role")?.unwrap_or_default();
    if !matches!(&*role, "user" | "assistant" | "system") {
        return Err(fields.wrong("role", "user, assistant or system"));
    }
    let mut turn = Turn::new(role);
    match fields.raw("content") {
        None => {
            return Err(Error::BadRequest(format!("{}: Field required", fields.path("content"))));
        }
        Some(raw) if json::is_list(raw) => {
            for block in fields.objects("content")? {
                turn.block(&block, calls, dropped)?;
            }
        }
        Some(raw) => {
            let expected = || fields.wrong("content", "a string or a list of blocks");
            turn.said.content.push(Part::Text(json::text(raw).ok_or_else(expected)?));
        }
    }
    turn.end(out);
    Ok(())
}

/// One message on its way to several: results of tools, what they show, and what was said.
struct Turn {
    results: Vec<Message>,
    shown: Vec<Part>,
    said: Message,
    thoughts: usize,
}

impl Turn {
    fn new(role: String) -> Self {
        let said = Message { role, ..Message::default() };
        Self { results: Vec::new(), shown: Vec::new(), said, thoughts: 0 }
    }

    fn block(
        &mut self,
        block: &Fields<'_>,
        calls: &mut Calls,
        dropped: &mut Vec<&'static str>,
    ) -> Result<(), Error> {
        let (user, assistant) = (self.said.role == "user", self.said.role == "assistant");
        let kind = block.string("type")?.unwrap_or_default();
        match &*kind {
            "text" => self.said.content.push(Part::Text(text(block)?)),
            "image" => self.said.content.push(Part::Media(image(block)?.at(block.place()))),
            "document" => document(block, &mut self.said.content, dropped)?,
            "tool_use" if assistant => {
                let call = called(block)?;
                calls.made(&call);
                self.said.calls.push(call);
            }
            "tool_result" if user => {
                let result = self.result(block, calls, dropped)?;
                self.results.push(result);
            }
            "thinking" if assistant => self.thought(block)?,
            // Nobody but Anthropic can read it.
            "redacted_thinking" if assistant => {}
            "tool_use" | "thinking" | "redacted_thinking" => {
                return Err(block.wrong("type", &format!("no {kind}: only an assistant has one")));
            }
            "tool_result" => {
                return Err(block.wrong("type", "no tool_result: only a user has one"));
            }
            _ => return Err(block.wrong("type", KNOWN)),
        }
        Ok(())
    }

    /// Several blocks become one text, which no seal is on.
    fn thought(&mut self, block: &Fields<'_>) -> Result<(), Error> {
        self.thoughts += 1;
        let text = block.string("thinking")?.unwrap_or_default();
        let seal = block.string("signature")?.filter(|seal| !seal.is_empty());
        self.said.signature = seal.filter(|_| self.thoughts == 1);
        match &mut self.said.thinking {
            Some(before) if !before.is_empty() => before.extend(["\n", &text]),
            thinking => *thinking = Some(text),
        }
        Ok(())
    }

    fn result(
        &mut self,
        block: &Fields<'_>,
        calls: &mut Calls,
        dropped: &mut Vec<&'static str>,
    ) -> Result<Message, Error> {
        let id = block.string("tool_use_id")?.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| block.wrong("tool_use_id", "the id of a tool_use"))?;
        let name = calls.answer(&id, block)?;
        let mut result = Message {
            role: "tool".into(),
            call_id: Some(id),
            tool_name: Some(name),
            failed: block.bool("is_error")?.unwrap_or(false),
            ..Message::default()
        };
        match block.raw("content") {
            None => {}
            Some(raw) if json::is_list(raw) => {
                for inner in block.objects("content")? {
                    match inner.string("type")?.as_deref() {
                        Some("text") => result.content.push(Part::Text(text(&inner)?)),
                        // Other dialects let only users show something.
                        Some("image") => {
                            self.shown.push(Part::Media(image(&inner)?.at(inner.place())));
                        }
                        Some("document") => document(&inner, &mut self.shown, dropped)?,
                        _ => return Err(inner.wrong("type", "text, image or document")),
                    }
                }
            }
            Some(raw) => {
                let expected = || block.wrong("content", "a string or a list of blocks");
                result.content.push(Part::Text(json::text(raw).ok_or_else(expected)?));
            }
        }
        Ok(result)
    }

    /// Results come first, so that each stands behind its call.
    fn end(mut self, out: &mut Vec<Message>) {
        let alone = self.results.is_empty();
        out.append(&mut self.results);
        self.shown.append(&mut self.said.content);
        self.said.content = self.shown;
        if alone || !self.said.content.is_empty() {
            out.push(self.said);
        }
    }
}

impl Calls {
    /// Ids that are used again mean the newest call.
    fn made(&mut self, call: &Call) {
        let id = call.id.clone().unwrap_or_default();
        self.0.push(Made { id, name: call.name.clone(), answered: false });
    }

    /// The name of the function whose call this id answers.
    fn answer(&mut self, id: &str, block: &Fields<'_>) -> Result<String, Error> {
        let path = block.path("tool_use_id");
        let Some(made) = self.0.iter_mut().rfind(|made| made.id == id) else {
            let why = format!("{path}: no tool_use before it has the id {id:?}");
            return Err(Error::BadRequest(why));
        };
        if std::mem::replace(&mut made.answered, true) {
            let why = format!("{path}: the tool_use with the id {id:?} has a tool_result already");
            return Err(Error::BadRequest(why));
        }
        Ok(made.name.clone())
    }
}

fn text(block: &Fields<'_>) -> Result<String, Error> {
    block.string("text")?.ok_or_else(|| block.wrong("text", "a string"))
}

fn called(block: &Fields<'_>) -> Result<Call, Error> {
    let filled = |name: &str| {
        let text = block.string(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| block.wrong(name, "a string that is not empty"))
    };
    let arguments = match block.raw("input").map(RawValue::get) {
        None => "{}",
        Some(input) if input.starts_with('{') => input,
        Some(_) => return Err(block.wrong("input", "an object")),
    };
    Ok(Call { id: Some(filled("id")?), name: filled("name")?, arguments: json::compact(arguments) })
}

fn source<'a>(block: &Fields<'a>) -> Result<(Fields<'a>, String), Error> {
    let source = block.object("source")?.ok_or_else(|| block.wrong("source", "an object"))?;
    let kind = source.string("type")?.unwrap_or_default();
    if kind == "file" {
        let why = "files live at the upstream that they were sent to; send the bytes as base64";
        return Err(untranslatable(&source.path("type"), why));
    }
    Ok((source, kind))
}

/// A source that is an address.
fn web(source: &Fields<'_>) -> Result<String, Error> {
    let url = source.string("url")?.filter(|url| media::is_web(url));
    url.ok_or_else(|| source.wrong("url", "an http or https address"))
}

fn image(block: &Fields<'_>) -> Result<Media, Error> {
    let (source, kind) = source(block)?;
    match &*kind {
        "base64" => {
            let mime = source.string("media_type")?.unwrap_or_default();
            let mime = media::known(&mime).filter(|mime| mime.starts_with("image/"));
            let known = "image/jpeg, image/png, image/gif or image/webp";
            let mime = mime.ok_or_else(|| source.wrong("media_type", known))?;
            let data = source.string("data")?.unwrap_or_default();
            media::here(mime, &data).ok_or_else(|| source.wrong("data", "an image in base64"))
        }
        "url" => Ok(Media::there("image/*", web(&source)?)),
        _ => Err(source.wrong("type", "\"base64\" or \"url\"")),
    }
}

fn document(
    block: &Fields<'_>,
    out: &mut Vec<Part>,
    dropped: &mut Vec<&'static str>,
) -> Result<(), Error> {
    let (source, kind) = source(block)?;
    let data = || Ok::<_, Error>(source.string("data")?.unwrap_or_default());
    let mut media = match &*kind {
        "base64" => media::here("application/pdf", &data()?)
            .ok_or_else(|| source.wrong("data", "a PDF in base64"))?,
        "text" => Media::here("text/plain", base64::encode(data()?.as_bytes())),
        "url" => Media::there("application/pdf", web(&source)?),
        _ => return Err(source.wrong("type", "\"base64\", \"text\" or \"url\"")),
    };
    media.name = block.string("title")?;
    let cites = block.object("citations")?.map(|c| c.bool("enabled")).transpose()?.flatten();
    if cites == Some(true) && !dropped.contains(&"citations") {
        dropped.push("citations");
    }
    out.extend(block.string("context")?.map(Part::Text));
    out.push(Part::Media(media.at(block.place())));
    Ok(())
}
