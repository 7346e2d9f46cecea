//! Writes the messages of a conversation as Anthropic takes them: turns of user and assistant, results before all else.

use crate::{
    chat::{self, Call, Media, Message, Source},
    dialect::{
        alike::{self, untranslatable},
        base64,
    },
    error::Error,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeSet};

/// One turn.
#[derive(Serialize)]
pub(super) struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

// Source: anthropic-python types/content_block_param.py and what it names.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Place<'a>,
    },
    Document {
        source: Place<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    ToolUse {
        id: String,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Self>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Place<'a> {
    Base64 { media_type: &'static str, data: &'a str },
    Url { url: &'a str },
    Text { media_type: &'static str, data: String },
}

/// The system prompt, and the turns after it.
///
/// A conversation may begin with an assistant's turn: the API takes it so
/// (source: anthropic-sdk-typescript issue 622), and words of ours before it would be words that nobody said.
pub(super) fn write(messages: &[Message]) -> Result<(Option<String>, Vec<Turn<'_>>), Error> {
    let leading = messages.iter().take_while(|message| message.role == "system").count();
    // Something must be asked.
    let leading = leading.min(messages.len().saturating_sub(1));
    let (system, rest) = messages.split_at(leading);
    let system: Vec<Cow<'_, str>> =
        system.iter().map(Message::text).filter(|text| !text.trim().is_empty()).collect();
    let mut turns = Turns::default();
    for (index, message) in rest.iter().enumerate() {
        turns.add(leading + index, message)?;
    }
    turns.trim();
    if turns.list.is_empty() {
        // Empty texts are none here.
        return Err(Error::BadRequest("messages must say something".into()));
    }
    Ok(((!system.is_empty()).then(|| system.join("\n\n")), turns.list))
}

#[derive(Default)]
struct Turns<'a> {
    list: Vec<Turn<'a>>,
    /// Calls that wait for their results.
    open: Vec<Open<'a>>,
    /// Ids that have been written. No two calls may have the same.
    used: BTreeSet<String>,
    /// Ids that the client gave its calls.
    known: BTreeSet<&'a str>,
}

struct Open<'a> {
    id: Option<&'a str>,
    written: String,
    name: &'a str,
}

impl<'a> Turns<'a> {
    fn add(&mut self, index: usize, message: &'a Message) -> Result<(), Error> {
        alike::known_role(index, message)?;
        match &*message.role {
            "assistant" => {
                self.open.clear();
                let mut blocks = Vec::new();
                if let Some(signature) = message.signature.as_deref().filter(|s| !s.is_empty()) {
                    let thinking = message.thinking.as_deref().unwrap_or_default();
                    blocks.push(Block::Thinking { thinking, signature });
                }
                said(message, &mut blocks)?;
                for (number, call) in message.calls.iter().enumerate() {
                    blocks.push(self.called(index, number, call)?);
                }
                self.push("assistant", blocks);
            }
            "tool" => {
                let tool_use_id = self.answered(message)?;
                let mut content = Vec::new();
                said(message, &mut content)?;
                let result = Block::ToolResult { tool_use_id, content, is_error: message.failed };
                self.push("user", vec![result]);
            }
            // This version of the API has no system message inside of a conversation.
            _ => {
                let mut blocks = Vec::new();
                said(message, &mut blocks)?;
                self.push("user", blocks);
            }
        }
        Ok(())
    }

    /// Messages of one role in a row are one turn, in which results come first.
    fn push(&mut self, role: &'static str, blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            return;
        }
        match self.list.last_mut().filter(|turn| turn.role == role) {
            Some(turn) => {
                let is_result = |block: &Block<'_>| matches!(block, Block::ToolResult { .. });
                let results = turn.content.iter().take_while(|block| is_result(block)).count();
                let at = if blocks.iter().all(is_result) { results } else { turn.content.len() };
                turn.content.splice(at..at, blocks);
            }
            None => self.list.push(Turn { role, content: blocks }),
        }
    }

    fn called(&mut self, index: usize, number: usize, call: &'a Call) -> Result<Block<'a>, Error> {
        let input = serde_json::from_str::<&RawValue>(&call.arguments).ok();
        let input = input.filter(|input| input.get().starts_with('{')).ok_or_else(|| {
            let why = "the arguments of a call are an object";
            untranslatable(&format!("arguments of {:?}", call.name), why)
        })?;
        if call.name.is_empty() {
            let message = format!("messages[{index}]: a call must have the name of a function");
            return Err(Error::BadRequest(message));
        }
        let given = call.id.as_deref().filter(|id| !id.is_empty());
        // From its place alone, so that the next turn names it the same.
        let place = format!("{index:03}{number:02}");
        let mut id = given.map_or_else(|| format!("toolu_{place}"), clean);
        // Some upstreams number their calls anew in each answer.
        if !self.used.insert(id.clone()) {
            id = format!("{id}_{place}");
            self.used.insert(id.clone());
        }
        self.known.extend(given);
        self.open.push(Open { id: given, written: id.clone(), name: &call.name });
        Ok(Block::ToolUse { id, name: &call.name, input })
    }

    /// The id of the call that a tool's message answers: by its id; else by the function's name, or in order, where
    /// the call had no id of its own.
    fn answered(&mut self, message: &Message) -> Result<String, Error> {
        let given = message.call_id.as_deref().filter(|id| !id.is_empty());
        let name = message.tool_name.as_deref();
        let same = |call: &Open<'_>| given.is_some() && call.id == given;
        let lost = given.is_some_and(|id| !self.known.contains(id));
        let waits = |call: &Open<'_>| {
            (given.is_none() || lost && call.id.is_none())
                && name.is_none_or(|name| call.name == name)
        };
        let at = self.open.iter().position(same).or_else(|| self.open.iter().position(waits));
        match at {
            Some(at) => Ok(self.open.remove(at).written),
            None => Err(Error::BadRequest("tool message without matching tool call".into())),
        }
    }

    /// White space at the end of what the model is to go on from is refused.
    // Source: the API's "final assistant content cannot end with trailing whitespace".
    fn trim(&mut self) {
        let Some(last) = self.list.last_mut().filter(|turn| turn.role == "assistant") else {
            return;
        };
        if let Some(Block::Text { text }) = last.content.last_mut() {
            *text = text.trim_end().to_owned().into();
        }
    }
}

/// Letters, digits, `_` and `-` are all that an id may have; each other byte becomes its number, so that two ids never
/// become one. Source: the API's "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'".
fn clean(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => out.push(char::from(byte)),
            _ => out.push_str(&format!("_{byte:02x}")),
        }
    }
    out
}

/// What a message says and shows. Text without a letter is refused by the API, and says nothing.
fn said<'a>(message: &'a Message, out: &mut Vec<Block<'a>>) -> Result<(), Error> {
    for part in &message.content {
        match part {
            chat::Part::Text(text) if text.trim().is_empty() => {}
            chat::Part::Text(text) => out.push(Block::Text { text: text.into() }),
            chat::Part::Media(media) => out.push(shown(media)?),
        }
    }
    Ok(())
}

fn shown(media: &Media) -> Result<Block<'_>, Error> {
    let title = media.name.as_deref();
    let place = match &media.source {
        Source::Url(url) => Place::Url { url },
        Source::Base64(data) if media.mime == "text/plain" => {
            let bytes = base64::decode(data).unwrap_or_default();
            let data = String::from_utf8_lossy(&bytes).into_owned();
            Place::Text { media_type: "text/plain", data }
        }
        Source::Base64(data) => Place::Base64 { media_type: media.mime, data },
    };
    match media.mime {
        "application/pdf" | "text/plain" => Ok(Block::Document { source: place, title }),
        "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/*" => {
            Ok(Block::Image { source: place })
        }
        mime => {
            let why = "it takes pictures (jpeg, png, gif, webp), PDFs and text";
            Err(untranslatable(&format!("{} ({mime})", media.place), why))
        }
    }
}
