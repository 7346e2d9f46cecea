//! What several dialects say alike: tools, stop texts, formats, thinking.

use super::json::{self, Fields};
use crate::{
    chat::{Choice, Conversation, Effort, Format, Message, Schema, Think, Tool},
    error::Error,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A tool on offer, in the shape that Ollama and OpenAI share.
#[derive(Serialize)]
pub(super) struct Offered<'a> {
    r#type: &'static str,
    function: OfferedFunction<'a>,
}

#[derive(Serialize)]
struct OfferedFunction<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<&'a RawValue>,
}

/// The error for what the target cannot be told.
pub(super) fn untranslatable(what: &str, why: &str) -> Error {
    // Whoever translates knows the target and fills it in.
    // Some of the words are the client's own.
    let short = |words: &str| {
        let mut words = words.to_owned();
        json::cut(&mut words, 256);
        words
    };
    Error::Untranslatable { what: short(what), to: "", why: short(why) }
}

/// What is told of a call whose arguments are no object, or are more than one.
pub(super) fn invalid_call(name: &str) -> String {
    let mut name = name.to_owned();
    json::cut(&mut name, 64);
    format!("upstream returned invalid tool call arguments for {name:?}")
}

/// Refuses a role that only the template of a model knows, and calls by anybody but the assistant: Ollama hands both to it.
// Source: openai-python types/chat/chat_completion_message_param.py; `function` has no calls to answer any more.
pub(super) fn known_role(index: usize, message: &Message) -> Result<(), Error> {
    match &*message.role {
        "assistant" => Ok(()),
        "system" | "developer" | "user" | "tool" if message.calls.is_empty() => Ok(()),
        role @ ("system" | "developer" | "user" | "tool") => Err(untranslatable(
            &format!("messages[{index}].tool_calls"),
            &format!("its assistant calls tools, its {role} does not"),
        )),
        role => Err(untranslatable(
            &format!("messages[{index}].role"),
            &format!("it has no role {role:?}"),
        )),
    }
}

/// A tool in the shape that Ollama and OpenAI share.
pub(super) fn tool(fields: &Fields<'_>) -> Result<Tool, Error> {
    let nested = fields.object("function")?;
    function(&nested.ok_or_else(|| fields.wrong("function", "an object"))?)
}

pub(super) fn function(function: &Fields<'_>) -> Result<Tool, Error> {
    let name = function.string("name")?.filter(|name| !name.is_empty());
    Ok(Tool {
        name: name.ok_or_else(|| function.wrong("name", "a string that is not empty"))?,
        description: function.string("description")?,
        parameters: function.raw("parameters").map(ToOwned::to_owned),
        strict: function.raw("strict").map(ToOwned::to_owned),
    })
}

pub(super) fn format(fields: &Fields<'_>) -> Result<Option<Format>, Error> {
    match fields.raw("format") {
        None => Ok(None),
        Some(raw) if raw.get().starts_with('{') => {
            let schema = raw.to_owned();
            Ok(Some(Format::Schema(Schema { schema, name: None, description: None, strict: None })))
        }
        Some(raw) => match json::text(raw).as_deref() {
            Some("") => Ok(None),
            Some("json") => Ok(Some(Format::Json)),
            _ => Err(fields.wrong("format", "\"json\" or a JSON schema object")),
        },
    }
}

pub(super) fn think(fields: &Fields<'_>) -> Result<Option<Think>, Error> {
    let Some(raw) = fields.raw("think") else { return Ok(None) };
    let level = match raw.get() {
        "true" => return Ok(Some(Think::On)),
        "false" => return Ok(Some(Think::Off)),
        _ => json::text(raw),
    };
    // Source: ollama api/types.go ThinkValue.
    match level.as_deref() {
        Some(word @ ("low" | "medium" | "high" | "max")) => {
            Ok(Effort::named(word).map(Think::Effort))
        }
        _ => Err(fields.wrong("think", "true, false, \"low\", \"medium\", \"high\" or \"max\"")),
    }
}

/// One text or a list of them. Ollama itself takes only the list; OpenAI takes both.
pub(super) fn stop(fields: &Fields<'_>) -> Result<Vec<String>, Error> {
    let wrong = || fields.wrong("stop", "a string or a list of strings");
    match fields.raw("stop") {
        None => Ok(Vec::new()),
        Some(raw) if json::is_list(raw) => {
            fields.list("stop")?.into_iter().map(|raw| json::text(raw).ok_or_else(wrong)).collect()
        }
        Some(raw) => Ok(vec![json::text(raw).ok_or_else(wrong)?]),
    }
}

/// What a message says, with the mark of a tool that failed in it: only Anthropic has a place of its own for that.
pub(super) fn told(message: &Message) -> Cow<'_, str> {
    let text = message.text();
    match message.failed && !text.to_ascii_lowercase().starts_with("error") {
        true if text.is_empty() => Cow::Borrowed("Error"),
        true => Cow::Owned(format!("Error: {text}")),
        false => text,
    }
}

/// The tools on offer: all of them, unless only some are allowed.
pub(super) fn offered(conversation: &Conversation) -> Vec<&Tool> {
    let allowed = match &conversation.tool_choice {
        Some(Choice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let is_allowed = |tool: &&Tool| allowed.is_none_or(|names| names.contains(&tool.name));
    conversation.tools.iter().filter(is_allowed).collect()
}

// === impl Offered ===

impl<'a> Offered<'a> {
    /// As OpenAI takes it.
    pub(super) fn new(tool: &'a Tool) -> Self {
        let function = OfferedFunction {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_deref(),
            strict: tool.strict.as_deref(),
        };
        Self { r#type: "function", function }
    }

    /// As Ollama takes it: with parameters, and without `strict`.
    pub(super) fn full(tool: &'a Tool) -> Self {
        let mut offered = Self::new(tool);
        offered.function.strict = None;
        if offered.function.parameters.is_none() {
            offered.function.parameters =
                serde_json::from_str(r#"{"type":"object","properties":{}}"#).ok();
        }
        offered
    }
}
