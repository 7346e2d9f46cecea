//! Writes requests of the common tongue as Ollama requests.

mod forced;
mod options;

use self::{
    forced::{Forced, forced},
    options::Options,
};
use crate::{
    chat::{
        Call, Choice, Completion, Conversation, Effort, Format, Media, Message, Number, Request,
        Source, Task, Think,
    },
    dialect::{
        Operation, Written,
        alike::{self, Offered, untranslatable},
        base64, json,
    },
    error::Error,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offered<'a>>,
    #[serde(flatten)]
    common: Common<'a>,
}

#[derive(Serialize)]
struct Generate<'a> {
    model: &'a str,
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(flatten)]
    common: Common<'a>,
}

#[derive(Serialize)]
struct Embed<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Options::is_empty")]
    options: Options<'a>,
}

#[derive(Serialize)]
struct Common<'a> {
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Shape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Depth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Options::is_empty")]
    options: Options<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shape<'a> {
    Json(&'static str),
    Schema(&'a RawValue),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Depth {
    Switch(bool),
    Level(&'static str),
}

#[derive(Default, Serialize)]
struct Said<'a> {
    role: &'a str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

/// A function call, in requests and in answers.
#[derive(Serialize)]
pub(super) struct Called<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    function: CalledFunction<'a>,
}

#[derive(Serialize)]
struct CalledFunction<'a> {
    index: usize,
    name: &'a str,
    arguments: Box<RawValue>,
}

pub(super) fn request(request: &Request) -> Result<Written, Error> {
    let mut dropped = request.dropped.clone();
    let mut calls_as_text = false;
    let (operation, body) = match &request.task {
        Task::Chat(conversation) => {
            let forced = forced(conversation)?;
            calls_as_text = forced.is_some();
            (Operation::Chat, chat(request, conversation, forced.as_ref(), &mut dropped)?)
        }
        Task::Complete(completion) => (Operation::Generate, generate(request, completion)?),
        Task::Embed(embed) => {
            let embed = Embed {
                model: &request.model,
                input: &embed.input,
                dimensions: embed.dimensions.as_ref(),
                truncate: request.native.truncate,
                keep_alive: request.native.keep_alive.as_deref(),
                options: Options::new(&request.sampling, &request.native),
            };
            (Operation::Embed, json::bytes(&embed))
        }
    };
    Ok(Written { operation, body, dropped, calls_as_text })
}

fn chat(
    request: &Request,
    conversation: &Conversation,
    forced: Option<&Forced>,
    dropped: &mut Vec<&'static str>,
) -> Result<bytes::Bytes, Error> {
    let offers = forced.is_none() && conversation.tool_choice != Some(Choice::None);
    let offered = if offers { alike::offered(conversation) } else { Vec::new() };
    let tools = offered.into_iter().map(Offered::full).collect::<Vec<_>>();
    if conversation.parallel_tools == Some(false) && !tools.is_empty() {
        dropped.push("parallel_tool_calls");
    }
    let mut messages = Vec::with_capacity(conversation.messages.len() + 1);
    for (index, message) in conversation.messages.iter().enumerate() {
        messages.push(said(message, &conversation.messages[..index])?);
    }
    let mut common = common(request, conversation.format.as_ref(), conversation.think.as_ref());
    if let Some(forced) = forced {
        instruct(&mut messages, &forced.words);
        // An answer has one form, and the call is it; its text is none that anybody could look at token by token.
        if common.format.replace(Shape::Schema(&forced.schema)).is_some() {
            dropped.push("response_format");
        }
        if common.logprobs.take().is_some() {
            common.top_logprobs = None;
            dropped.push("logprobs");
        }
    }
    Ok(json::bytes(&Chat { model: &request.model, messages, tools, common }))
}

/// Adds to the first system message, or begins with one.
fn instruct<'a>(messages: &mut Vec<Said<'a>>, words: &'a str) {
    match messages.iter_mut().find(|message| message.role == "system") {
        Some(system) if !system.content.is_empty() => {
            system.content = format!("{}\n\n{words}", system.content).into();
        }
        Some(system) => system.content = words.into(),
        None => {
            let content = words.into();
            messages.insert(0, Said { role: "system", content, ..Said::default() });
        }
    }
}

fn generate(request: &Request, completion: &Completion) -> Result<bytes::Bytes, Error> {
    if completion.prompt.is_empty() {
        // Ollama takes an empty prompt for "load the model".
        return Err(Error::BadRequest("prompt must not be empty".into()));
    }
    Ok(json::bytes(&Generate {
        model: &request.model,
        prompt: &completion.prompt,
        suffix: completion.suffix.as_deref(),
        system: completion.system.as_deref(),
        raw: completion.raw,
        images: completion.media.iter().map(image).collect::<Result<_, _>>()?,
        common: common(request, completion.format.as_ref(), completion.think.as_ref()),
    }))
}

fn common<'a>(
    request: &'a Request,
    format: Option<&'a Format>,
    think: Option<&'a Think>,
) -> Common<'a> {
    Common {
        stream: request.stream,
        format: format.map(|format| match format {
            Format::Json => Shape::Json("json"),
            Format::Schema(schema) => Shape::Schema(&schema.schema),
        }),
        think: think.map(|think| match think {
            Think::Off => Depth::Switch(false),
            Think::On | Think::Budget(_) => Depth::Switch(true),
            // Source: ollama openai/openai.go, the same table.
            Think::Effort(effort) => Depth::Level(match effort {
                Effort::Minimal | Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High => "high",
                Effort::Xhigh | Effort::Max => "max",
            }),
        }),
        keep_alive: request.native.keep_alive.as_deref(),
        truncate: request.native.truncate,
        shift: request.native.shift,
        logprobs: request.sampling.logprobs.map(|_| true),
        top_logprobs: request.sampling.logprobs.filter(|others| *others > 0),
        options: Options::new(&request.sampling, &request.native),
    }
}

fn image(media: &Media) -> Result<&str, Error> {
    match (&media.source, media.mime) {
        (_, mime @ "application/pdf") => Err(untranslatable(
            &format!("{} ({mime})", media.place),
            "its models see pictures and text; send the pages as images",
        )),
        (Source::Base64(base64), _) => Ok(base64),
        // Source: ollama openai/openai.go decodeImageURL, the same words. Fetching it would let a client reach into
        // the gateway's network.
        (Source::Url(_), _) => Err(Error::BadRequest(format!(
            "{}: image URLs are not currently supported, please use base64 encoded data instead",
            media.place
        ))),
    }
}

fn said<'a>(message: &'a Message, before: &'a [Message]) -> Result<Said<'a>, Error> {
    // Source: ollama openai/openai.go FromChatRequest: the name of the last call with this id.
    let looked_up = || {
        let id = message.call_id.as_deref()?;
        let mut calls = before.iter().rev().flat_map(|message| message.calls.iter().rev());
        calls.find(|call| call.id.as_deref() == Some(id)).map(|call| call.name.as_str())
    };
    let calls = message.calls.iter().enumerate();
    let (mut content, mut images) = (alike::told(message), Vec::new());
    for media in message.media() {
        match (&media.source, media.mime) {
            // Text is text, though it comes as a file.
            (Source::Base64(base64), "text/plain") => {
                let bytes = base64::decode(base64).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                content = if content.is_empty() {
                    text.into_owned()
                } else {
                    format!("{content}\n{text}")
                }
                .into();
            }
            _ => images.push(image(media)?),
        }
    }
    Ok(Said {
        role: &message.role,
        content,
        thinking: message.thinking.as_deref(),
        images,
        tool_calls: calls
            .map(|(index, call)| {
                Called::new(index, call)
                    .ok_or_else(|| Error::BadRequest("invalid tool call arguments".into()))
            })
            .collect::<Result<_, _>>()?,
        tool_name: message.tool_name.as_deref().or_else(looked_up),
        tool_call_id: message.call_id.as_deref(),
    })
}

// === impl Called ===

impl<'a> Called<'a> {
    /// `None` when the arguments are no JSON object.
    pub(super) fn new(index: usize, call: &'a Call) -> Option<Self> {
        let arguments = call.arguments.trim();
        let arguments = if arguments.is_empty() { "{}" } else { arguments };
        let valid: &RawValue = serde_json::from_str(arguments).ok()?;
        if !valid.get().starts_with('{') {
            return None;
        }
        let arguments = RawValue::from_string(json::compact(valid.get())).ok()?;
        let function = CalledFunction { index, name: &call.name, arguments };
        Some(Self { id: call.id.as_deref(), function })
    }
}
