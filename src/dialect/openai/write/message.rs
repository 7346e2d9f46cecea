//! Writes the messages of a conversation as OpenAI takes them, every tool result beside its call.

use crate::{
    chat::{self, Media, Message, Source},
    dialect::{Quirks, alike, media},
    error::Error,
};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeSet};

#[derive(Serialize)]
pub(super) struct Said<'a> {
    role: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    None,
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Url },
    InputAudio { input_audio: Audio<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct File<'a> {
    filename: &'a str,
    file_data: String,
}

#[derive(Serialize)]
struct Url {
    url: String,
}

#[derive(Serialize)]
struct Audio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Serialize)]
struct Called<'a> {
    id: String,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// A call that waits for its result.
struct Open<'a> {
    id: String,
    /// Whether the client gave it that id.
    given: bool,
    name: &'a str,
}

pub(super) fn write(messages: &[Message], quirks: Quirks) -> Result<Vec<Said<'_>>, Error> {
    let mut open = Vec::new();
    let mut known = BTreeSet::new();
    messages
        .iter()
        .enumerate()
        .map(|(index, message)| {
            alike::known_role(index, message)?;
            let tool_calls = called(index, message);
            if message.role != "tool" {
                open = tool_calls
                    .iter()
                    .zip(&message.calls)
                    .map(|(call, said)| Open {
                        id: call.id.clone(),
                        given: said.id.is_some(),
                        name: call.function.name,
                    })
                    .collect();
                known.extend(tool_calls.iter().map(|call| call.id.clone()));
            }
            Ok(Said {
                role: &message.role,
                content: content(message),
                // Who understands the other extras shows its own reasoning again; OpenAI refuses it.
                reasoning: message.thinking.as_deref().filter(|_| quirks.sampling_extras),
                tool_call_id: answered(message, &mut open, &known)?,
                tool_calls,
            })
        })
        .collect()
}

fn content(message: &Message) -> Content<'_> {
    if message.media().next().is_none() {
        let text = alike::told(message);
        return match &*text {
            "" if !message.calls.is_empty() => Content::None,
            _ => Content::Text(text),
        };
    }
    let parts = message.content.iter().filter_map(|part| match part {
        chat::Part::Text(text) => (!text.is_empty()).then_some(Part::Text { text }),
        chat::Part::Media(media) => Some(shown(media)),
    });
    Content::Parts(parts.collect())
}

fn shown(media: &Media) -> Part<'_> {
    match (&media.source, media.mime.split_once('/')) {
        (Source::Base64(data), Some(("audio", format))) => {
            Part::InputAudio { input_audio: Audio { data, format } }
        }
        (Source::Base64(_), Some(("application" | "text", _))) => Part::File {
            file: File {
                filename: media.name.as_deref().unwrap_or("document"),
                file_data: media::url(media),
            },
        },
        _ => Part::ImageUrl { image_url: Url { url: media::url(media) } },
    }
}

fn called(index: usize, message: &Message) -> Vec<Called<'_>> {
    let calls = message.calls.iter().enumerate();
    calls
        .map(|(number, call)| Called {
            // From its place alone, so that the next turn names it the same; nine letters and
            // digits, because Mistral takes nothing else.
            id: call.id.clone().unwrap_or_else(|| format!("call{index:03}{number:02}")),
            r#type: "function",
            function: Function { name: &call.name, arguments: &call.arguments },
        })
        .collect()
}

/// The id of the call that a tool's message answers: by its id; else by the function's name, or in order, where the
/// call had no id of its own.
fn answered(
    message: &Message,
    open: &mut Vec<Open<'_>>,
    known: &BTreeSet<String>,
) -> Result<Option<String>, Error> {
    if message.role != "tool" {
        return Ok(None);
    }
    if let Some(id) = message.call_id.as_ref().filter(|id| known.contains(*id)) {
        open.retain(|call| call.id != *id);
        return Ok(Some(id.clone()));
    }
    // Source: ollama docs/capabilities/tool-calling.mdx: results come with the function's name, or in order.
    let named = |call: &Open<'_>| message.tool_name.as_deref().is_none_or(|name| call.name == name);
    let at = open.iter().position(|call| {
        let waits = message.call_id.is_none() || !call.given;
        waits && named(call)
    });
    match at {
        Some(at) => Ok(Some(open.remove(at).id)),
        None => Err(Error::BadRequest("tool message without matching tool call".into())),
    }
}
