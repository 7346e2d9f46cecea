//! Reads OpenAI requests into the common tongue.

mod message;

use crate::{
    chat::{
        Completion, Conversation, Embedding, Format, Native, Number, Raw, Request, Sampling, Task,
        Think, Tool,
    },
    dialect::{
        Operation,
        json::{self, Fields},
        ollama::{self, untranslatable},
    },
    error::Error,
};
use serde_json::value::RawValue;

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
    // Dropped by name, because they change no answer: user, metadata, store, stream_options, service_tier,
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
        dropped,
    })
}

/// What would change the answer and has no translation.
fn refuse(fields: &Fields<'_>) -> Result<(), Error> {
    let one = "one choice is all that can be translated";
    for name in ["n", "best_of"] {
        if fields.number(name)?.is_some_and(|count| count.value() > 1.0) {
            return Err(untranslatable(name, one));
        }
    }
    let probabilities = "token probabilities are not translated yet";
    match fields.raw("logprobs").map(RawValue::get) {
        None | Some("false") => {}
        Some(_) => return Err(untranslatable("logprobs", probabilities)),
    }
    if fields.number("top_logprobs")?.is_some_and(|count| count.value() > 0.0) {
        return Err(untranslatable("top_logprobs", probabilities));
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
    let mut tools = fields.objects("tools")?.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
    for function in fields.objects("functions")? {
        tools.push(ollama::function(&function)?);
    }
    Ok(Conversation {
        messages,
        tools,
        format: format(fields)?,
        think: think(fields)?,
        tool_choice: fields
            .raw("tool_choice")
            .or(fields.raw("function_call"))
            .map(ToOwned::to_owned),
        parallel_tools: fields.bool("parallel_tool_calls")?,
    })
}

fn tool(fields: &Fields<'_>) -> Result<Tool, Error> {
    match fields.string("type")?.as_deref() {
        None | Some("function") => ollama::tool(fields),
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
        stop: ollama::stop(fields)?,
    })
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
    let Some(wanted) = fields.object("response_format")? else { return ollama::format(fields) };
    match wanted.string("type")?.as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => {
            let schema = wanted.object("json_schema")?;
            let schema = schema.as_ref().and_then(|schema| schema.raw("schema"));
            let schema = schema.filter(|schema| schema.get().starts_with('{'));
            let wrong = || wanted.wrong("json_schema.schema", "a JSON schema object");
            Ok(Some(Format::Schema(schema.ok_or_else(wrong)?.to_owned())))
        }
        _ => Err(wanted.wrong("type", "\"text\", \"json_object\" or \"json_schema\"")),
    }
}

fn think(fields: &Fields<'_>) -> Result<Option<Think>, Error> {
    if fields.has("think") {
        return ollama::think(fields);
    }
    let nested = fields.object("reasoning")?;
    let nested = nested.map(|reasoning| reasoning.string("effort")).transpose()?.flatten();
    let Some(effort) = nested.map_or_else(|| fields.string("reasoning_effort"), |e| Ok(Some(e)))?
    else {
        return Ok(None);
    };
    // Source: ollama openai/openai.go, the same table.
    Ok(Some(match &*effort {
        "none" => Think::Off,
        "minimal" | "low" => Think::Level("low"),
        "medium" => Think::Level("medium"),
        "high" => Think::Level("high"),
        "xhigh" | "ultra" | "max" => Think::Level("max"),
        _ => {
            let expected = "none, minimal, low, medium, high, xhigh or max";
            return Err(fields.wrong("reasoning_effort", expected));
        }
    }))
}

/// Ollama's options as extensions of the request: `options`, and `num_ctx` at the top.
fn options(fields: &Fields<'_>) -> Result<Vec<(String, Raw)>, Error> {
    let mut options = Vec::new();
    if let Some(context) = fields.number("num_ctx")? {
        options.push(("num_ctx".to_owned(), context.as_raw().to_owned()));
    }
    if let Some(more) = fields.object("options")? {
        let more = more.iter().filter(|(_, raw)| raw.get() != "null");
        options.extend(more.map(|(name, raw)| (name.to_owned(), raw.to_owned())));
    }
    Ok(options)
}
