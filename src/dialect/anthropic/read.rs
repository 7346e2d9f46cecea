//! Reads Anthropic requests into the common tongue.

mod message;

use crate::{
    chat::{
        Choice, Conversation, Effort, Format, Message, Native, Number, Request, Sampling, Schema,
        Task, Think, Tool,
    },
    dialect::{
        Operation,
        alike::untranslatable,
        json::{self, Fields},
    },
    error::Error,
};

pub(super) fn request(operation: Operation, body: &[u8]) -> Result<Request, Error> {
    if operation != Operation::Chat {
        return Err(Error::Unsupported("this operation has no translation".into()));
    }
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body)?;
    if !fields.list("mcp_servers")?.is_empty() {
        let why = "Anthropic would call these servers itself; call them yourself, and offer their tools as functions";
        return Err(untranslatable("mcp_servers", why));
    }
    let mut dropped = Vec::new();
    // They change the answer a little. Dropped by name, because they change none: cache_control anywhere,
    // service_tier, speed, diagnostics, metadata but for its user_id, and whatever is not known here.
    for name in ["container", "context_management", "inference_geo"] {
        if fields.has(name) {
            dropped.push(name);
        }
    }
    let conversation = conversation(&fields, &mut dropped)?;
    Ok(Request {
        model: fields.string("model")?.unwrap_or_default(),
        stream: fields.bool("stream")?.unwrap_or(false),
        task: Task::Chat(conversation),
        sampling: sampling(&fields)?,
        native: Native::default(),
        choices: 1,
        user: match fields.object("metadata")? {
            Some(metadata) => metadata.string("user_id")?.filter(|user| user.len() <= MAX_USER),
            None => None,
        },
        dropped,
    })
}

/// Longest name of a user that is handed on. Claude Code's has 150 letters; OpenAI takes 64, OpenRouter 128, and both
/// refuse the whole request for a longer one.
///
/// Source: bifrost pull request 1000, claude-code-provider-proxy pull request 11.
const MAX_USER: usize = 64;

/// The API's own words for a field that is missing.
fn required(name: &str) -> Error {
    Error::BadRequest(format!("{name}: Field required"))
}

fn conversation(
    fields: &Fields<'_>,
    dropped: &mut Vec<&'static str>,
) -> Result<Conversation, Error> {
    if !fields.has("messages") {
        return Err(required("messages"));
    }
    let mut messages = Vec::new();
    let system = system(fields)?;
    messages.extend(system.map(|text| Message::new("system", &text)));
    let said = fields.objects("messages")?;
    if said.is_empty() {
        return Err(Error::BadRequest("messages: at least one message is required".into()));
    }
    let mut calls = message::Calls::default();
    for message in &said {
        message::read(message, &mut calls, &mut messages, dropped)?;
    }
    let tools = fields.objects("tools")?.iter().map(|t| tool(t, dropped)).collect::<Result<_, _>>();
    let (tool_choice, parallel_tools) = choice(fields)?;
    Ok(Conversation {
        messages,
        tools: tools?,
        format: format(fields)?,
        think: think(fields)?,
        tool_choice,
        parallel_tools,
    })
}

fn system(fields: &Fields<'_>) -> Result<Option<String>, Error> {
    let Some(raw) = fields.raw("system") else { return Ok(None) };
    let text = if json::is_list(raw) {
        let mut texts = Vec::new();
        for block in fields.objects("system")? {
            match block.string("type")?.as_deref() {
                Some("text") => texts.extend(block.string("text")?),
                _ => return Err(block.wrong("type", "\"text\"")),
            }
        }
        texts.join("\n")
    } else {
        json::text(raw)
            .ok_or_else(|| fields.wrong("system", "a string or a list of text blocks"))?
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn tool(fields: &Fields<'_>, dropped: &mut Vec<&'static str>) -> Result<Tool, Error> {
    match fields.string("type")?.as_deref() {
        None | Some("custom") => {}
        Some(kind) => {
            let what = format!("{} {kind:?}", fields.path("type"));
            let why = "this tool is Anthropic's own; leave it out, or offer a function with an input_schema";
            return Err(untranslatable(&what, why));
        }
    }
    if fields.has("input_examples") && !dropped.contains(&"input_examples") {
        dropped.push("input_examples");
    }
    let name = fields.string("name")?.filter(|name| !name.is_empty());
    let schema = fields.raw("input_schema").filter(|schema| schema.get().starts_with('{'));
    Ok(Tool {
        name: name.ok_or_else(|| fields.wrong("name", "a string that is not empty"))?,
        description: fields.string("description")?,
        parameters: match (schema, fields.has("input_schema")) {
            (None, true) => return Err(fields.wrong("input_schema", "a JSON schema object")),
            (schema, _) => schema.map(ToOwned::to_owned),
        },
        strict: fields.raw("strict").map(ToOwned::to_owned),
    })
}

fn choice(fields: &Fields<'_>) -> Result<(Option<Choice>, Option<bool>), Error> {
    let Some(choice) = fields.object("tool_choice")? else { return Ok((None, None)) };
    let one = choice.bool("disable_parallel_tool_use")?.unwrap_or(false);
    let choice = match choice.string("type")?.as_deref() {
        Some("auto") => Choice::Auto,
        Some("any") => Choice::Required,
        Some("none") => Choice::None,
        Some("tool") => {
            let name = choice.string("name")?.filter(|name| !name.is_empty());
            Choice::Named(name.ok_or_else(|| choice.wrong("name", "the name of a tool"))?)
        }
        _ => return Err(choice.wrong("type", "\"auto\", \"any\", \"tool\" or \"none\"")),
    };
    Ok((Some(choice), one.then_some(false)))
}

/// The form of the answer, in its place of today or in that of the beta before it.
fn format(fields: &Fields<'_>) -> Result<Option<Format>, Error> {
    let config = fields.object("output_config")?;
    let format = config.map(|config| config.object("format")).transpose()?.flatten();
    let Some(format) = format.map_or_else(|| fields.object("output_format"), |f| Ok(Some(f)))?
    else {
        return Ok(None);
    };
    if format.string("type")?.as_deref() != Some("json_schema") {
        return Err(format.wrong("type", "\"json_schema\""));
    }
    let schema = format.raw("schema").filter(|schema| schema.get().starts_with('{'));
    let schema = schema.ok_or_else(|| format.wrong("schema", "a JSON schema object"))?.to_owned();
    // Not strict, although Anthropic holds to it: what OpenAI calls strict allows no field to be left out.
    Ok(Some(Format::Schema(Schema { schema, name: None, description: None, strict: None })))
}

fn think(fields: &Fields<'_>) -> Result<Option<Think>, Error> {
    let config = fields.object("output_config")?;
    let effort = match config.map(|config| config.string("effort")).transpose()?.flatten() {
        None => None,
        Some(word) => Some(Effort::named(&word).map(Think::Effort).ok_or_else(|| {
            fields.wrong("output_config.effort", "low, medium, high, xhigh or max")
        })?),
    };
    let Some(thinking) = fields.object("thinking")? else { return Ok(effort) };
    match thinking.string("type")?.as_deref() {
        Some("disabled") => Ok(Some(Think::Off)),
        Some("adaptive" | "between_tools") => Ok(Some(effort.unwrap_or(Think::On))),
        Some("enabled") => {
            let budget = thinking.number("budget_tokens")?.map(|budget| budget.value());
            let wrong = || thinking.wrong("budget_tokens", "a whole number, at least 1024");
            let budget = budget.filter(|budget| *budget >= 1024.0 && budget.fract() == 0.0);
            Ok(Some(Think::Budget(budget.ok_or_else(wrong)? as u64)))
        }
        _ => Err(thinking.wrong("type", "\"enabled\", \"adaptive\" or \"disabled\"")),
    }
}

fn sampling(fields: &Fields<'_>) -> Result<Sampling, Error> {
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.number("top_k")?,
        max_tokens: Some(limit(fields)?),
        stop: fields
            .list("stop_sequences")?
            .into_iter()
            .map(|raw| {
                json::text(raw).ok_or_else(|| fields.wrong("stop_sequences", "a list of strings"))
            })
            .collect::<Result<_, _>>()?,
        ..Sampling::default()
    })
}

fn limit(fields: &Fields<'_>) -> Result<Number, Error> {
    let limit = fields.number("max_tokens")?.ok_or_else(|| required("max_tokens"))?;
    // 0 fills Anthropic's own cache and answers nothing, which nobody else can.
    if limit.value() < 1.0 || limit.value().fract() != 0.0 {
        return Err(fields.wrong("max_tokens", "a whole number, at least 1"));
    }
    Ok(limit)
}
