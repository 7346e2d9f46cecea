//! Writes requests of the common tongue as OpenAI requests.

mod message;

use crate::{
    chat::{
        Choice, Completion, Conversation, Effort, Format, Message, Number, Part, Request, Sampling,
        Task, Think,
    },
    dialect::{
        Operation, Quirks, Written,
        alike::{self, Offered, untranslatable},
        json,
    },
    error::Error,
};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<message::Said<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Chosen<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Shape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(flatten)]
    common: Common<'a>,
}

#[derive(Serialize)]
struct Complete<'a> {
    model: &'a str,
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u8>,
    #[serde(flatten)]
    common: Common<'a>,
}

#[derive(Serialize)]
struct Embed<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<&'a Number>,
    encoding_format: &'static str,
}

// No field is ever null: some upstreams refuse an explicit null (portkey 10536).
#[derive(Serialize)]
struct Common<'a> {
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a Number>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Shape<'a> {
    JsonObject,
    JsonSchema { json_schema: NamedSchema<'a> },
}

#[derive(Serialize)]
struct NamedSchema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Chosen<'a> {
    Mode(&'static str),
    Function(Function<'a>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Function<'a> {
    Function { function: Named<'a> },
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

pub(super) fn request(request: &Request, quirks: Quirks) -> Result<Written, Error> {
    let mut dropped = request.dropped.clone();
    let (operation, body) = match &request.task {
        Task::Chat(conversation) => {
            (Operation::Chat, chat(request, conversation, quirks, &mut dropped)?)
        }
        Task::Complete(completion) if completion.verbatim => {
            (Operation::Generate, complete(request, completion, quirks, &mut dropped)?)
        }
        // Ollama puts a plain prompt into the model's template, and so does a chat.
        Task::Complete(completion) => {
            let conversation = conversation(completion);
            (Operation::Chat, chat(request, &conversation, quirks, &mut dropped)?)
        }
        Task::Embed(embed) if embed.input.is_empty() => {
            // Ollama answers with no vectors; OpenAI does not answer.
            return Err(Error::BadRequest("input must not be empty".into()));
        }
        Task::Embed(embed) => {
            let embed = Embed {
                model: &request.model,
                input: &embed.input,
                dimensions: embed.dimensions.as_ref(),
                encoding_format: "float",
            };
            (Operation::Embed, json::bytes(&embed))
        }
    };
    // Dropped by name, because they say how Ollama runs a model and not what it answers: keep_alive, truncate,
    // shift, and the options num_ctx, num_keep, typical_p, repeat_last_n, mirostat*, num_gpu and the like.
    Ok(Written { operation, body, dropped, calls_as_text: false })
}

fn conversation(completion: &Completion) -> Conversation {
    let mut messages = Vec::with_capacity(2);
    messages.extend(completion.system.as_deref().map(|system| Message::new("system", system)));
    let mut user = Message::new("user", &completion.prompt);
    user.content.extend(completion.media.iter().cloned().map(Part::Media));
    messages.push(user);
    Conversation {
        messages,
        format: completion.format.clone(),
        think: completion.think,
        ..Conversation::default()
    }
}

fn chat(
    request: &Request,
    conversation: &Conversation,
    quirks: Quirks,
    dropped: &mut Vec<&'static str>,
) -> Result<bytes::Bytes, Error> {
    Ok(json::bytes(&Chat {
        model: &request.model,
        messages: message::write(&conversation.messages, quirks)?,
        tools: alike::offered(conversation).into_iter().map(Offered::new).collect(),
        tool_choice: conversation.tool_choice.as_ref().map(|choice| match choice {
            Choice::Auto | Choice::Allowed { required: false, .. } => Chosen::Mode("auto"),
            Choice::None => Chosen::Mode("none"),
            Choice::Required | Choice::Allowed { required: true, .. } => Chosen::Mode("required"),
            Choice::Named(name) => {
                Chosen::Function(Function::Function { function: Named { name } })
            }
        }),
        parallel_tool_calls: conversation.parallel_tools,
        response_format: conversation.format.as_ref().map(|format| match format {
            Format::Json => Shape::JsonObject,
            Format::Schema(schema) => Shape::JsonSchema {
                json_schema: NamedSchema {
                    name: schema.name.as_deref().unwrap_or("response"),
                    description: schema.description.as_deref(),
                    schema: &schema.schema,
                    strict: schema.strict,
                },
            },
        }),
        logprobs: request.sampling.logprobs.map(|_| true),
        top_logprobs: request.sampling.logprobs.filter(|others| *others > 0),
        user: request.user.as_deref(),
        reasoning_effort: effort(conversation.think, quirks, dropped),
        common: common(request, quirks, dropped)?,
    }))
}

fn complete(
    request: &Request,
    completion: &Completion,
    quirks: Quirks,
    dropped: &mut Vec<&'static str>,
) -> Result<bytes::Bytes, Error> {
    let why = "a raw or fill-in-the-middle prompt goes out as a plain completion, which has no such thing";
    for (name, there) in [
        ("format", completion.format.is_some()),
        ("images", !completion.media.is_empty()),
        ("system", completion.system.is_some()),
    ] {
        if there {
            return Err(untranslatable(name, why));
        }
    }
    if completion.think.as_ref().is_some_and(|think| *think != Think::Off) {
        dropped.push("think");
    }
    Ok(json::bytes(&Complete {
        model: &request.model,
        prompt: &completion.prompt,
        suffix: completion.suffix.as_deref(),
        // Here the number alone says both, and 1 is the least.
        logprobs: request.sampling.logprobs.map(|others| others.max(1)),
        // Completions know only the older name of the limit.
        common: common(request, Quirks { max_completion_tokens: false, ..quirks }, dropped)?,
    }))
}

fn effort(
    think: Option<Think>,
    quirks: Quirks,
    dropped: &mut Vec<&'static str>,
) -> Option<&'static str> {
    let effort = think?.effort().map_or("none", Effort::as_str);
    if !quirks.reasoning_effort {
        dropped.push("think");
        return None;
    }
    Some(effort)
}

fn common<'a>(
    request: &'a Request,
    quirks: Quirks,
    dropped: &mut Vec<&'static str>,
) -> Result<Common<'a>, Error> {
    let Sampling { temperature, top_p, top_k, min_p, repeat_penalty, .. } = &request.sampling;
    for (name, set) in [
        ("top_k", top_k.is_some()),
        ("min_p", min_p.is_some()),
        ("repeat_penalty", repeat_penalty.is_some()),
    ] {
        if set && !quirks.sampling_extras {
            dropped.push(name);
        }
    }
    let extra = |number: &'a Option<Number>| number.as_ref().filter(|_| quirks.sampling_extras);
    let limit = request.sampling.max_tokens.as_ref();
    Ok(Common {
        stream: request.stream,
        stream_options: request.stream.then_some(StreamOptions { include_usage: true }),
        max_completion_tokens: limit.filter(|_| quirks.max_completion_tokens),
        max_tokens: limit.filter(|_| !quirks.max_completion_tokens),
        temperature: match temperature {
            // OpenAI refuses what Ollama takes.
            Some(number) if number.value() > 2.0 => serde_json::from_str("2").ok(),
            number => number.as_ref().map(Number::as_raw),
        },
        top_p: top_p.as_ref(),
        top_k: extra(top_k),
        min_p: extra(min_p),
        repetition_penalty: extra(repeat_penalty),
        frequency_penalty: request.sampling.frequency_penalty.as_ref(),
        presence_penalty: request.sampling.presence_penalty.as_ref(),
        seed: request.sampling.seed.as_ref(),
        stop: &request.sampling.stop,
    })
}
