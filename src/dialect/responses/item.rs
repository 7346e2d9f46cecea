//! The items of an answer and the object around them, as the API writes them.

use crate::{
    chat::{Finish, Token},
    dialect::{Reply, Usage, json::Fields, tokens},
};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// How far an answer or an item of it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

/// One item of an answer.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) kind: Kind,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Kind {
    /// What was thought, and the upstream's seal on it.
    Reasoning { summary: String, seal: String },
    /// What was said.
    Message { text: String, tokens: Vec<Token> },
    /// A function that was called.
    Call { call_id: String, name: String, arguments: String },
}

/// A piece of an item.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Text { text: &'a str, tokens: &'a [Token] },
    Summary(&'a str),
}

/// An item as it is shown when it begins: without what is yet to come.
#[derive(Debug)]
pub(super) struct Begun<'a>(pub(super) &'a Item);

/// The whole answer, as it stands.
#[derive(Debug)]
pub(super) struct Response<'a> {
    pub(super) reply: &'a Reply,
    pub(super) id: &'a str,
    pub(super) status: Status,
    pub(super) finish: Option<Finish>,
    pub(super) output: &'a [Item],
    /// `None` while the answer is being made.
    pub(super) usage: Option<Usage>,
    /// When it was completed, in milliseconds since 1970.
    pub(super) completed_ms: Option<u64>,
    /// What is repeated of the request; see [`super::echo`].
    pub(super) echo: &'a str,
}

/// Before a seal of Anthropic's, so that it is told from what OpenAI puts into the same field.
const SEAL: &str = "unigate.signature.";

/// The seal in a reasoning item's `encrypted_content`; `None` for one that only its own upstream can read.
pub(super) fn unsealed(encrypted: &str) -> Option<&str> {
    encrypted.strip_prefix(SEAL)
}

/// How an answer that ended like this stands: never completed where it was cut.
pub(super) fn ended(finish: Option<Finish>) -> Status {
    match finish {
        Some(Finish::Length | Finish::Filter) => Status::Incomplete,
        None | Some(Finish::Stop | Finish::Tools | Finish::Other) => Status::Completed,
    }
}

// === impl Status ===

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

// === impl Item ===

impl Item {
    /// An item that has just begun. `index` is its place in the answer.
    pub(super) fn new(reply: &Reply, index: usize, kind: Kind) -> Self {
        let prefix = match kind {
            Kind::Reasoning { .. } => "rs",
            Kind::Message { .. } => "msg",
            Kind::Call { .. } => "fc",
        };
        Self { id: format!("{prefix}_{}{index}", reply.id), status: Status::InProgress, kind }
    }

    // Source: openai-python types/responses/response_reasoning_item.py, response_output_message.py,
    // response_function_tool_call.py.
    fn write<S: Serializer>(&self, serializer: S, begun: bool) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        match &self.kind {
            Kind::Reasoning { summary, seal } => {
                map.serialize_entry("type", "reasoning")?;
                // The API itself leaves it out.
                if self.status == Status::Incomplete {
                    map.serialize_entry("status", &self.status)?;
                }
                let shown = !begun && !summary.is_empty();
                let summary = shown.then(|| Part::Summary(summary));
                map.serialize_entry("summary", &summary.as_slice())?;
                if !begun && !seal.is_empty() {
                    map.serialize_entry("encrypted_content", &format!("{SEAL}{seal}"))?;
                }
            }
            Kind::Message { text, tokens } => {
                map.serialize_entry("type", "message")?;
                map.serialize_entry("status", &self.status)?;
                map.serialize_entry("role", "assistant")?;
                let content = (!begun).then_some(Part::Text { text, tokens });
                map.serialize_entry("content", &content.as_slice())?;
            }
            Kind::Call { call_id, name, arguments } => {
                map.serialize_entry("type", "function_call")?;
                map.serialize_entry("status", &self.status)?;
                map.serialize_entry("call_id", call_id)?;
                map.serialize_entry("name", name)?;
                map.serialize_entry("arguments", if begun { "" } else { arguments.as_str() })?;
            }
        }
        map.end()
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer, false)
    }
}

impl Serialize for Begun<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer, true)
    }
}

// === impl Part ===

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Text { text, tokens } => {
                map.serialize_entry("type", "output_text")?;
                map.serialize_entry("annotations", &[(); 0])?;
                map.serialize_entry("logprobs", &tokens::full(tokens))?;
                map.serialize_entry("text", text)?;
            }
            Self::Summary(text) => {
                map.serialize_entry("type", "summary_text")?;
                map.serialize_entry("text", text)?;
            }
        }
        map.end()
    }
}

// === impl Response ===

impl Serialize for Response<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("object", "response")?;
        map.serialize_entry("created_at", &(self.reply.created_ms / 1000))?;
        map.serialize_entry("completed_at", &self.completed_ms.map(|ms| ms / 1000))?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("error", &())?;
        map.serialize_entry("incomplete_details", &self.why())?;
        map.serialize_entry("model", &*self.reply.model)?;
        map.serialize_entry("output", self.output)?;
        map.serialize_entry("usage", &self.usage.map(Counts::from))?;
        if let Ok(echo) = Fields::body(self.echo) {
            for (name, raw) in echo.iter() {
                map.serialize_entry(name, raw)?;
            }
        }
        map.end()
    }
}

impl Response<'_> {
    fn why(&self) -> Option<Why> {
        match self.finish.filter(|_| self.status == Status::Incomplete)? {
            Finish::Length => Some(Why { reason: "max_output_tokens" }),
            Finish::Filter => Some(Why { reason: "content_filter" }),
            Finish::Stop | Finish::Tools | Finish::Other => None,
        }
    }
}

#[derive(Serialize)]
struct Why {
    reason: &'static str,
}

// Source: openai-python types/responses/response_usage.py.
#[derive(Serialize)]
struct Counts {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let (prompt, completion) = (usage.prompt.unwrap_or(0), usage.completion.unwrap_or(0));
        Self {
            input_tokens: prompt,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached.unwrap_or(0),
                cache_write_tokens: usage.written.unwrap_or(0),
            },
            output_tokens: completion,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning.unwrap_or(0) },
            total_tokens: prompt.saturating_add(completion),
        }
    }
}
