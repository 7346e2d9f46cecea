//! Writes the messages of a conversation as OpenAI takes them, every tool result beside its call.

use crate::{
    chat::{self, Media, Message, Source},
    dialect::{
        History, Quirks,
        alike::{self, untranslatable},
        media,
        openai::detail::Detail,
    },
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
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<[Detail<'a>; 1]>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Extra>,
}

// Source: ai.google.dev/gemini-api/docs/openai and /thought-signatures.
#[derive(Serialize)]
struct Extra {
    google: Google,
}

#[derive(Serialize)]
struct Google {
    thought_signature: &'static str,
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
            let tool_calls = called(index, message, quirks);
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
            let thought = message.thinking.as_deref();
            let seal = message.signature.as_deref().filter(|_| quirks.history == History::Details);
            let plain = match quirks.history {
                History::Reasoning => true,
                History::Details => seal.is_none(),
                History::Never | History::ReasoningContent => false,
            };
            Ok(Said {
                role: &message.role,
                content: content(message)?,
                reasoning: thought.filter(|_| plain),
                reasoning_content: thought.filter(|_| quirks.history == History::ReasoningContent),
                reasoning_details: seal
                    .map(|seal| [Detail::new(thought.unwrap_or_default(), seal)]),
                tool_call_id: answered(message, quirks, &mut open, &known)?,
                tool_calls,
            })
        })
        .collect()
}

fn content(message: &Message) -> Result<Content<'_>, Error> {
    if message.media().next().is_none() {
        let text = alike::told(message);
        return Ok(match &*text {
            "" if !message.calls.is_empty() => Content::None,
            _ => Content::Text(text),
        });
    }
    let parts = message.content.iter().filter_map(|part| match part {
        chat::Part::Text(text) => (!text.is_empty()).then_some(Ok(Part::Text { text })),
        chat::Part::Media(media) => Some(shown(media)),
    });
    Ok(Content::Parts(parts.collect::<Result<_, _>>()?))
}

fn shown(media: &Media) -> Result<Part<'_>, Error> {
    Ok(match (&media.source, media.mime.split_once('/')) {
        // Source: openai-python types/chat/chat_completion_content_part_param.py, FileFile: data, or an id.
        (Source::Url(_), Some(("application" | "text", _))) => {
            let why = "it takes documents as data and no addresses of them; send the bytes";
            return Err(untranslatable(&format!("{} ({})", media.place, media.mime), why));
        }
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
    })
}

fn called(index: usize, message: &Message, quirks: Quirks) -> Vec<Called<'_>> {
    let calls = message.calls.iter().enumerate();
    calls
        .map(|(number, call)| Called {
            // From its place alone, so that the next turn names it the same.
            id: match &call.id {
                Some(id) => suited(id, quirks),
                None => suited(&format!("call{index:03}{number:02}"), quirks),
            },
            r#type: "function",
            function: Function { name: &call.name, arguments: &call.arguments },
            // Only the first call of a turn is looked at.
            extra_content: quirks
                .call_seal
                .filter(|_| number == 0)
                .map(|thought_signature| Extra { google: Google { thought_signature } }),
        })
        .collect()
}

/// An id as this upstream takes it: the same one gives the same, in calls and in results, on every turn.
fn suited(id: &str, quirks: Quirks) -> String {
    const LONG: usize = 9;
    const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let fits = id.len() == LONG && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits || !quirks.short_ids {
        return id.to_owned();
    }
    // FNV-1a: the ids of one conversation are few, and nobody gains by making two of them alike.
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut short = String::with_capacity(LONG);
    for _ in 0..LONG {
        short.push(char::from(SIGNS[(hash % 62) as usize]));
        hash /= 62;
    }
    short
}

/// The id of the call that a tool's message answers: by its id; else by the function's name, or in order, where the
/// call had no id of its own.
fn answered(
    message: &Message,
    quirks: Quirks,
    open: &mut Vec<Open<'_>>,
    known: &BTreeSet<String>,
) -> Result<Option<String>, Error> {
    if message.role != "tool" {
        return Ok(None);
    }
    let id = message.call_id.as_deref().map(|id| suited(id, quirks));
    if let Some(id) = id.filter(|id| known.contains(id)) {
        open.retain(|call| call.id != id);
        return Ok(Some(id));
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
