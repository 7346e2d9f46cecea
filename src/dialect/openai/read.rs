//! Reads OpenAI requests into the common tongue.

mod message;

use crate::{
    chat::{
        Choice, Completion, Conversation, Effort, Embedding, Format, Message, Native, Number, Raw,
        Request, Sampling, Schema, Task, Think, Tool,
    },
    dialect::{
        Operation,
        alike::{self, untranslatable},
        json::{self, Fields},
    },
    error::Error,
};
use serde_json::value::RawValue;
use std::collections::HashSet;

pub(super) fn request(operation: Operation, body: &[u8]) -> Result<Request, Error> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body)?;
    let mut dropped = Vec::new();
    let task = match operation {
        Operation::Chat => {
            refuse(&fields)?;
            Task::Chat(conversation(&fields)?)
        }
        Operation::Generate => {
            refuse(&fields)?;
            Task::Complete(completion(&fields)?)
        }
        Operation::Embed => Task::Embed(embedding(&fields)?),
        _ => return Err(Error::Unsupported("this operation has no translation".into())),
    };
    let speaks = !matches!(task, Task::Embed(_));
    if speaks {
        dropped.extend(
            ["logit_bias", "web_search_options"].into_iter().filter(|name| weighs(&fields, name)),
        );
    }
    // Dropped by name, because they change no answer: metadata, store, stream_options, service_tier,
    // safety_identifier, prompt_cache_key, prompt_cache_options, prompt_cache_retention, moderation, verbosity,
    // prediction, and whatever is not known here.
    Ok(Request {
        model: fields.string("model")?.unwrap_or_default(),
        stream: speaks && fields.bool("stream")?.unwrap_or(false),
        task,
        sampling: if speaks { sampling(&fields)? } else { Sampling::default() },
        native: Native {
            keep_alive: fields.raw("keep_alive").map(ToOwned::to_owned),
            truncate: fields.bool("truncate")?,
            shift: None,
            options: options(&fields)?,
        },
        choices: if speaks { choices(&fields)? } else { 1 },
        user: match fields.string("safety_identifier")? {
            None => fields.string("user")?,
            user => user,
        },
        dropped,
    })
}

/// Most answers to one request. More would hold an Ollama, which gives one at a time, for too long.
const MAX_CHOICES: f64 = 8.0;

fn choices(fields: &Fields<'_>) -> Result<usize, Error> {
    let expected = "a whole number from 1 to 8";
    match fields.number("n")?.map(|count| count.value()) {
        None => Ok(1),
        Some(count) if count.fract() == 0.0 && (1.0..=MAX_CHOICES).contains(&count) => {
            Ok(count as usize)
        }
        Some(_) => Err(fields.wrong("n", expected)),
    }
}

/// What would change the answer and has no translation.
fn refuse(fields: &Fields<'_>) -> Result<(), Error> {
    if fields.number("best_of")?.is_some_and(|count| count.value() > 1.0) {
        return Err(untranslatable(
            "best_of",
            "ask for as many answers with n, and choose yourself",
        ));
    }
    if fields.raw("echo").is_some_and(|echo| echo.get() == "true") {
        return Err(untranslatable("echo", "send the prompt's text yourself before the answer's"));
    }
    if fields.has("audio") {
        return Err(untranslatable("audio", "the model answers in text only"));
    }
    let modalities = fields.list("modalities")?;
    if modalities.iter().any(|modality| modality.get() != "\"text\"") {
        return Err(untranslatable("modalities", "the model answers in text only"));
    }
    Ok(())
}

/// Whether a field has any weight: it is there, and not an empty object.
fn weighs(fields: &Fields<'_>, name: &str) -> bool {
    fields.raw(name).is_some_and(|raw| json::compact(raw.get()) != "{}")
}

fn conversation(fields: &Fields<'_>) -> Result<Conversation, Error> {
    let messages =
        fields.objects("messages")?.iter().map(message::read).collect::<Result<Vec<_>, _>>()?;
    if messages.is_empty() {
        // Ollama would take this for "load the model". Source: ollama middleware/openai.go, the same words.
        return Err(Error::BadRequest("[] is too short - 'messages'".into()));
    }
    paired(&messages)?;
    let mut tools = fields.objects("tools")?.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
    for function in fields.objects("functions")? {
        tools.push(alike::function(&function)?);
    }
    Ok(Conversation {
        messages,
        tools,
        format: format(fields)?,
        think: think(fields)?,
        tool_choice: choice(fields)?,
        parallel_tools: fields.bool("parallel_tool_calls")?,
    })
}

/// A result answers a call before it. OpenAI refuses one that answers none, as does every upstream that pairs them by id.
fn paired(messages: &[Message]) -> Result<(), Error> {
    let mut made = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        if let Some(id) = message.call_id.as_deref().filter(|id| !made.contains(id)) {
            return Err(Error::BadRequest(format!(
                "messages[{index}].tool_call_id must be the id of a call before it, and no call has the id {id:?}"
            )));
        }
        made.extend(message.calls.iter().filter_map(|call| call.id.as_deref()));
    }
    Ok(())
}

fn tool(fields: &Fields<'_>) -> Result<Tool, Error> {
    match fields.string("type")?.as_deref() {
        None | Some("function") => alike::tool(fields),
        Some(kind) => Err(untranslatable(
            &fields.path("type"),
            &format!("tools of the type {kind:?} have no translation, functions have"),
        )),
    }
}

fn completion(fields: &Fields<'_>) -> Result<Completion, Error> {
    let one = || fields.wrong("prompt", "one string; lists and tokens have no translation");
    let prompt = match fields.raw("prompt") {
        None => String::new(),
        Some(raw) if json::is_list(raw) => match fields.list("prompt")?[..] {
            [only] => json::text(only).ok_or_else(one)?,
            _ => return Err(one()),
        },
        Some(raw) => json::text(raw).ok_or_else(one)?,
    };
    Ok(Completion {
        prompt,
        suffix: fields.string("suffix")?.filter(|suffix| !suffix.is_empty()),
        verbatim: true,
        format: format(fields)?,
        think: think(fields)?,
        ..Completion::default()
    })
}

fn embedding(fields: &Fields<'_>) -> Result<Embedding, Error> {
    if let Some(encoding) = fields.string("encoding_format")? {
        // Source: ollama middleware/openai.go: these two, in any case.
        if !["float", "base64"].iter().any(|known| encoding.eq_ignore_ascii_case(known)) {
            return Err(fields.wrong("encoding_format", "\"float\" or \"base64\""));
        }
    }
    let wrong = || fields.wrong("input", "a string or a list of strings, with at least one");
    let input = match fields.raw("input") {
        Some(raw) if json::is_list(raw) => fields
            .list("input")?
            .into_iter()
            .map(|raw| json::text(raw).ok_or_else(wrong))
            .collect::<Result<Vec<_>, _>>()?,
        Some(raw) => vec![json::text(raw).ok_or_else(wrong)?],
        None => Vec::new(),
    };
    if input.is_empty() {
        return Err(wrong());
    }
    Ok(Embedding { input, dimensions: fields.number("dimensions")? })
}

fn sampling(fields: &Fields<'_>) -> Result<Sampling, Error> {
    // OpenAI's own defaults, said aloud because Ollama's differ; Ollama's /v1 does the same.
    // Source: ollama openai/openai.go FromChatRequest.
    let one = |number: Option<Number>| number.or_else(|| Number::literal("1.0"));
    Ok(Sampling {
        temperature: one(fields.number("temperature")?),
        top_p: one(fields.number("top_p")?),
        top_k: fields.number("top_k")?,
        min_p: fields.number("min_p")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        repeat_penalty: fields.number("repetition_penalty")?,
        seed: fields.number("seed")?,
        max_tokens: match limit(fields, "max_completion_tokens")? {
            None => limit(fields, "max_tokens")?,
            most => most,
        },
        stop: alike::stop(fields)?,
        logprobs: logprobs(fields)?,
    })
}

/// Chats say `logprobs: true` and `top_logprobs: 5`, completions `logprobs: 5`.
fn logprobs(fields: &Fields<'_>) -> Result<Option<u8>, Error> {
    let others = |name: &str| match fields.number(name)?.map(|count| count.value()) {
        None => Ok(None),
        Some(count) if count.fract() == 0.0 && (0.0..=20.0).contains(&count) => {
            Ok(Some(count as u8))
        }
        Some(_) => Err(fields.wrong(name, "a whole number from 0 to 20")),
    };
    let top = others("top_logprobs")?;
    match fields.raw("logprobs").map(RawValue::get) {
        Some("true") => Ok(Some(top.unwrap_or(0))),
        None | Some("false") => match top {
            None | Some(0) => Ok(None),
            Some(_) => Err(fields.wrong("logprobs", "true where top_logprobs is given")),
        },
        // Source: ollama openai/openai.go FromCompleteRequest: above 0 only.
        Some(_) => Ok(others("logprobs")?.filter(|count| *count > 0)),
    }
}

fn choice(fields: &Fields<'_>) -> Result<Option<Choice>, Error> {
    let name = if fields.has("tool_choice") { "tool_choice" } else { "function_call" };
    let expected = "none, auto, required, or an object that names a function";
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    if let Some(word) = json::text(raw) {
        return match &*word {
            "auto" => Ok(Some(Choice::Auto)),
            "none" => Ok(Some(Choice::None)),
            "required" | "any" => Ok(Some(Choice::Required)),
            _ => Err(fields.wrong(name, expected)),
        };
    }
    let wrong = || fields.wrong(name, expected);
    let object = fields.object(name)?.ok_or_else(wrong)?;
    let named = |object: &Fields<'_>| object.string("name");
    if let Some(allowed) = object.object("allowed_tools")? {
        let required = allowed.string("mode")?.as_deref() == Some("required");
        let mut names = Vec::new();
        for tool in allowed.objects("tools")? {
            let function = tool.object("function")?;
            names.extend(function.as_ref().map(named).transpose()?.flatten());
        }
        if names.is_empty() {
            return Err(allowed.wrong("tools", "a list of functions, with at least one"));
        }
        return Ok(Some(Choice::Allowed { required, names }));
    }
    let function = object.object("function")?;
    let name = named(function.as_ref().unwrap_or(&object))?.filter(|name| !name.is_empty());
    Ok(Some(Choice::Named(name.ok_or_else(wrong)?)))
}

fn limit(fields: &Fields<'_>, name: &str) -> Result<Option<Number>, Error> {
    match fields.number(name)? {
        Some(limit) if limit.value() < 1.0 || limit.value().fract() != 0.0 => {
            Err(fields.wrong(name, "a whole number, at least 1"))
        }
        limit => Ok(limit),
    }
}

fn format(fields: &Fields<'_>) -> Result<Option<Format>, Error> {
    let Some(wanted) = fields.object("response_format")? else { return alike::format(fields) };
    match wanted.string("type")?.as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => {
            let wrong = || wanted.wrong("json_schema.schema", "a JSON schema object");
            let named = wanted.object("json_schema")?.ok_or_else(wrong)?;
            let schema = named.raw("schema").filter(|schema| schema.get().starts_with('{'));
            Ok(Some(Format::Schema(Schema {
                schema: schema.ok_or_else(wrong)?.to_owned(),
                name: named.string("name")?,
                description: named.string("description")?,
                strict: named.bool("strict")?,
            })))
        }
        _ => Err(wanted.wrong("type", "\"text\", \"json_object\" or \"json_schema\"")),
    }
}

fn think(fields: &Fields<'_>) -> Result<Option<Think>, Error> {
    if fields.has("think") {
        return alike::think(fields);
    }
    let nested = fields.object("reasoning")?;
    let nested = nested.map(|reasoning| reasoning.string("effort")).transpose()?.flatten();
    let Some(effort) = nested.map_or_else(|| fields.string("reasoning_effort"), |e| Ok(Some(e)))?
    else {
        return Ok(None);
    };
    if effort == "none" {
        return Ok(Some(Think::Off));
    }
    let effort = Effort::named(&effort).ok_or_else(|| {
        fields.wrong("reasoning_effort", "none, minimal, low, medium, high, xhigh or max")
    })?;
    Ok(Some(Think::Effort(effort)))
}

/// Options that Ollama refuses where they are no numbers.
// Source: ollama api/types.go Options.FromMap.
const NUMBERS: [&str; 10] = [
    "num_ctx",
    "num_predict",
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
];

/// Ollama's options as extensions of the request: `options`, and `num_ctx` at the top.
fn options(fields: &Fields<'_>) -> Result<Vec<(String, Raw)>, Error> {
    let mut options = Vec::new();
    if let Some(context) = fields.number("num_ctx")? {
        options.push(("num_ctx".to_owned(), context.as_raw().to_owned()));
    }
    if let Some(more) = fields.object("options")? {
        for name in NUMBERS {
            more.number(name)?;
        }
        alike::stop(&more)?;
        let more = more.iter().filter(|(_, raw)| raw.get() != "null");
        options.extend(more.map(|(name, raw)| (name.to_owned(), raw.to_owned())));
    }
    Ok(options)
}
