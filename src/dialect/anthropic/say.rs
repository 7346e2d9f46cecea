//! Writes answers as Anthropic gives them: blocks, one after the other.

mod blocks;

use self::blocks::Blocks;
use crate::{
    chat::{Answer, Call, Delta, Finish, Said},
    dialect::{Reply, Usage, WriteAnswer, alike::invalid_call, json},
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

/// Writes the events of `/v1/messages`.
#[derive(Debug)]
pub(super) struct Writer {
    reply: Reply,
    begun: bool,
    blocks: Blocks,
    finish: Option<Finish>,
    usage: Usage,
}

// Source: anthropic-python types/raw_message_stream_event.py and what it names. Its readers pass over events whose
// name does not stand in `event:`, and look at `type` for all others.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: usize, content_block: Block<'a> },
    ContentBlockDelta { index: usize, delta: Change<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: Stop, usage: Counts },
}

#[derive(Serialize)]
struct Message<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    #[serde(flatten)]
    stop: Stop,
    usage: Counts,
}

/// The empty texts of a start must be there: readers add to them.
// Source: anthropic-python lib/streaming/_messages.py accumulate_event.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    Thinking { thinking: &'a str, signature: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: &'a RawValue },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Change<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Serialize)]
struct Stop {
    stop_reason: Option<&'static str>,
    stop_sequence: Option<()>,
}

#[derive(Serialize)]
struct Counts {
    input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<Details>,
}

#[derive(Serialize)]
struct Details {
    thinking_tokens: u64,
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        // Here the three kinds of tokens of a prompt are told apart.
        let beside = usage.cached.unwrap_or(0).saturating_add(usage.written.unwrap_or(0));
        Self {
            input_tokens: usage.prompt.unwrap_or(0).saturating_sub(beside),
            cache_creation_input_tokens: usage.written,
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.completion.unwrap_or(0),
            output_tokens_details: usage
                .reasoning
                .map(|thinking_tokens| Details { thinking_tokens }),
        }
    }
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
        }
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"event: ");
        out.put_slice(self.name().as_bytes());
        out.put_slice(b"\ndata: ");
        json::write(&mut out.writer(), self);
        out.put_slice(b"\n\n");
    }
}

impl Writer {
    pub(super) fn new(reply: Reply) -> Self {
        let blocks = Blocks::new(reply.id.clone());
        Self { reply, begun: false, blocks, finish: None, usage: Usage::default() }
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let stop = Stop { stop_reason: None, stop_sequence: None };
        let message = message(&self.reply, Vec::new(), stop, self.usage);
        Event::MessageStart { message }.write(out);
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), String> {
        let cut = self.finish == Some(Finish::Length);
        self.blocks.settle(cut, out)?;
        let finish = self.finish.unwrap_or(Finish::Other);
        let delta = Stop::new(finish, self.blocks.called());
        Event::MessageDelta { delta, usage: self.usage.into() }.write(out);
        out.put_slice(STOP);
        Ok(())
    }
}

impl WriteAnswer for Writer {
    fn write(&mut self, delta: Delta, _now_ms: u64, out: &mut BytesMut) -> Result<(), String> {
        match delta {
            // Probabilities of tokens have no place here, and nobody can ask for them.
            Delta::Tokens(_) => return Ok(()),
            Delta::Usage(usage) => {
                self.usage = usage;
                return Ok(());
            }
            Delta::Error(message) => return Err(message),
            _ => self.begin(out),
        }
        match delta {
            Delta::Text(text) => self.blocks.text(text, out),
            Delta::Thinking(text) => self.blocks.thinking(text, out),
            Delta::Signature(seal) => self.blocks.seal(seal, out),
            Delta::Tool(piece) => self.blocks.tool(piece, out),
            Delta::Finish(finish) => {
                let finish = *self.finish.get_or_insert(finish);
                // All is said; what waited for its turn need not wait for the terminal.
                self.blocks.settle(finish == Finish::Length, out)
            }
            Delta::End => self.end(out),
            Delta::Tokens(_) | Delta::Usage(_) | Delta::Error(_) => Ok(()),
        }
    }
}

/// The terminal.
pub(super) const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

impl Stop {
    fn new(finish: Finish, called: bool) -> Self {
        let reason = match finish {
            Finish::Length => "max_tokens",
            Finish::Filter => "refusal",
            // Whoever reads `tool_use` looks for a call.
            Finish::Tools | Finish::Stop | Finish::Other if called => "tool_use",
            Finish::Tools | Finish::Stop | Finish::Other => "end_turn",
        };
        Self { stop_reason: Some(reason), stop_sequence: None }
    }
}

fn message<'a>(reply: &'a Reply, content: Vec<Block<'a>>, stop: Stop, usage: Usage) -> Message<'a> {
    Message {
        id: format!("msg_{}", reply.id),
        r#type: "message",
        role: "assistant",
        model: &reply.model,
        content,
        stop,
        usage: usage.into(),
    }
}

/// An id for a call that the upstream gave none: unique, and the same for the same place.
fn call_id(reply_id: &str, index: usize) -> String {
    format!("toolu_{reply_id}{index}")
}

/// The arguments as the object that they must be; `None` where they are none.
fn object(arguments: &str) -> Option<&RawValue> {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments.trim() };
    serde_json::from_str::<&RawValue>(arguments).ok().filter(|raw| raw.get().starts_with('{'))
}

pub(super) fn whole(answer: Answer, reply: &Reply) -> Result<Bytes, String> {
    let Answer::Said(said) = answer else {
        return Err("vectors cannot be told as a message".into());
    };
    let Said { text, thinking, signature, calls, finish, usage, .. } = said;
    let finish = finish.unwrap_or(Finish::Other);
    let mut content = Vec::with_capacity(calls.len() + 2);
    if !thinking.is_empty() || !signature.is_empty() {
        content.push(Block::Thinking { thinking: &thinking, signature: &signature });
    }
    if !text.is_empty() {
        content.push(Block::Text { text: &text });
    }
    let made: Vec<String> = (0..calls.len()).map(|index| call_id(&reply.id, index)).collect();
    let mut called = false;
    for (Call { id, name, arguments }, made) in calls.iter().zip(&made) {
        match object(arguments) {
            Some(input) => {
                called = true;
                content.push(Block::ToolUse { id: id.as_deref().unwrap_or(made), name, input });
            }
            // The limit cut it off.
            None if finish == Finish::Length => {}
            None => return Err(invalid_call(name)),
        }
    }
    let stop = Stop::new(finish, called);
    Ok(json::bytes(&message(reply, content, stop, usage)))
}
