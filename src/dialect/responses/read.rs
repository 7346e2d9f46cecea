//! Reads requests for a response into the common tongue.

mod content;
mod item;

use crate::{
    chat::{
        Choice, Conversation, Effort, Format, Message, Native, Number, Request, Sampling, Schema,
        Task, Think, Tool,
    },
    dialect::{
        alike::{self, untranslatable},
        json::{self, Fields},
    },
    error::Error,
};
use serde_json::value::RawValue;

pub(super) fn request(body: &[u8]) -> Result<Request, Error> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body)?;
    refuse(&fields)?;
    let mut dropped = Vec::new();
    let task = Task::Chat(conversation(&fields, &mut dropped)?);
    // Dropped by name, because they change no answer: metadata, store, stream_options, service_tier, truncation,
    // prompt_cache_key, prompt_cache_options, prompt_cache_retention, moderation, text.verbosity, reasoning.summary,
    // max_tool_calls (which counts tools that run upstream), context_management, and whatever is not known here.
    Ok(Request {
        model: fields.string("model")?.unwrap_or_default(),
        stream: fields.bool("stream")?.unwrap_or(false),
        task,
        sampling: sampling(&fields)?,
        native: defaults(&fields),
        choices: 1,
        user: match fields.string("safety_identifier")? {
            None => fields.string("user")?,
            user => user,
        },
        dropped,
    })
}

/// What needs somebody who keeps answers.
fn refuse(fields: &Fields<'_>) -> Result<(), Error> {
    let kept = "the upstream of this model keeps no answers; send the whole conversation in input";
    for name in ["previous_response_id", "conversation"] {
        if fields.has(name) {
            return Err(untranslatable(name, kept));
        }
    }
    if fields.has("prompt") {
        let why = "templates are kept by OpenAI; send their text in instructions and input";
        return Err(untranslatable("prompt", why));
    }
    if fields.bool("background")? == Some(true) {
        let why = "the upstream of this model keeps no answers; leave it out, and wait";
        return Err(untranslatable("background", why));
    }
    Ok(())
}

fn conversation(
    fields: &Fields<'_>,
    dropped: &mut Vec<&'static str>,
) -> Result<Conversation, Error> {
    let mut messages = Vec::new();
    if let Some(instructions) = fields.string("instructions")? {
        messages.push(Message::new("system", &instructions));
    }
    item::all(fields, &mut messages, dropped)?;
    let mut tools = Vec::new();
    for fields in fields.objects("tools")? {
        match tool(&fields)? {
            Some(tool) => tools.push(tool),
            None if dropped.contains(&WEB_SEARCH) => {}
            None => dropped.push(WEB_SEARCH),
        }
    }
    let reasoning = fields.object("reasoning")?;
    Ok(Conversation {
        messages,
        tools,
        format: format(fields)?,
        think: reasoning.as_ref().map(think).transpose()?.flatten(),
        tool_choice: choice(fields)?,
        parallel_tools: fields.bool("parallel_tool_calls")?,
    })
}

/// The one tool of OpenAI's own that may be left out: an answer without it is an answer still.
const WEB_SEARCH: &str = "web_search";

/// A tool; `None` for a search of the web.
fn tool(fields: &Fields<'_>) -> Result<Option<Tool>, Error> {
    match fields.string("type")?.as_deref() {
        None | Some("function") => {
            let tool = alike::function(fields)?;
            // Here it has to be said; elsewhere it is the default.
            let strict = tool.strict.filter(|strict| strict.get() != "false");
            Ok(Some(Tool { strict, ..tool }))
        }
        // `web_search`, `web_search_preview`, and each with a date behind it. Codex offers it without being told to.
        Some(kind) if kind.starts_with(WEB_SEARCH) => Ok(None),
        Some(kind) => Err(no_function(&fields.path("type"), kind)),
    }
}

fn no_function(path: &str, kind: &str) -> Error {
    let why = format!("tools of the type {kind:?} have no translation, functions have");
    untranslatable(path, &why)
}

fn choice(fields: &Fields<'_>) -> Result<Option<Choice>, Error> {
    let wrong = || {
        let expected = "none, auto, required, or an object that names a function";
        fields.wrong("tool_choice", expected)
    };
    let Some(raw) = fields.raw("tool_choice") else { return Ok(None) };
    if let Some(word) = json::text(raw) {
        return match &*word {
            "auto" => Ok(Some(Choice::Auto)),
            "none" => Ok(Some(Choice::None)),
            "required" => Ok(Some(Choice::Required)),
            _ => Err(wrong()),
        };
    }
    let object = fields.object("tool_choice")?.ok_or_else(wrong)?;
    match object.string("type")?.as_deref() {
        Some("function") => {
            let name = object.string("name")?.filter(|name| !name.is_empty());
            Ok(Some(Choice::Named(name.ok_or_else(wrong)?)))
        }
        Some("allowed_tools") => {
            let required = object.string("mode")?.as_deref() == Some("required");
            let mut names = Vec::new();
            for tool in object.objects("tools")? {
                match tool.string("type")?.as_deref() {
                    None | Some("function") => names.extend(tool.string("name")?),
                    Some(kind) => return Err(no_function(&tool.path("type"), kind)),
                }
            }
            if names.is_empty() {
                return Err(object.wrong("tools", "a list of functions, with at least one"));
            }
            Ok(Some(Choice::Allowed { required, names }))
        }
        Some(kind) => Err(no_function(&object.path("type"), kind)),
        None => Err(wrong()),
    }
}

fn format(fields: &Fields<'_>) -> Result<Option<Format>, Error> {
    let Some(text) = fields.object("text")? else { return Ok(None) };
    let Some(format) = text.object("format")? else { return Ok(None) };
    match format.string("type")?.as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => {
            let schema = format.raw("schema").filter(|schema| schema.get().starts_with('{'));
            let wrong = || format.wrong("schema", "a JSON schema object");
            Ok(Some(Format::Schema(Schema {
                schema: schema.ok_or_else(wrong)?.to_owned(),
                name: format.string("name")?,
                description: format.string("description")?,
                strict: format.bool("strict")?,
            })))
        }
        _ => Err(format.wrong("type", "\"text\", \"json_object\" or \"json_schema\"")),
    }
}

fn think(reasoning: &Fields<'_>) -> Result<Option<Think>, Error> {
    let Some(effort) = reasoning.string("effort")? else { return Ok(None) };
    if effort == "none" {
        return Ok(Some(Think::Off));
    }
    let expected = "none, minimal, low, medium, high, xhigh or max";
    let effort = Effort::named(&effort).ok_or_else(|| reasoning.wrong("effort", expected))?;
    Ok(Some(Think::Effort(effort)))
}

fn sampling(fields: &Fields<'_>) -> Result<Sampling, Error> {
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        max_tokens: match fields.number("max_output_tokens")? {
            Some(limit) if limit.value() < 1.0 || limit.value().fract() != 0.0 => {
                return Err(fields.wrong("max_output_tokens", "a whole number, at least 1"));
            }
            limit => limit,
        },
        logprobs: logprobs(fields)?,
        ..Sampling::default()
    })
}

/// OpenAI's own defaults where the client says nothing, said aloud to an Ollama alone: its own are others.
fn defaults(fields: &Fields<'_>) -> Native {
    let absent = ["temperature", "top_p"].into_iter().filter(|name| !fields.has(name));
    let one = absent.filter_map(|name| {
        let one = Number::literal("1.0")?;
        Some((name.to_owned(), one.as_raw().to_owned()))
    });
    Native { options: one.collect(), ..Native::default() }
}

/// They are asked for by name, or by a number of others at each place.
fn logprobs(fields: &Fields<'_>) -> Result<Option<u8>, Error> {
    let top = match fields.number("top_logprobs")?.map(|count| count.value()) {
        None => None,
        Some(count) if count.fract() == 0.0 && (0.0..=20.0).contains(&count) => Some(count as u8),
        Some(_) => return Err(fields.wrong("top_logprobs", "a whole number from 0 to 20")),
    };
    let included = |raw: &&RawValue| raw.get() == "\"message.output_text.logprobs\"";
    let asked = fields.list("include")?.iter().any(included);
    Ok(top.filter(|count| asked || *count > 0).or(asked.then_some(0)))
}
