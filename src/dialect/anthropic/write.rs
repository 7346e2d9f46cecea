//! Writes requests of the common tongue as Anthropic requests.

mod message;
mod think;

use crate::{
    chat::{
        Choice, Completion, Conversation, Format, Message, Number, Part, Request, Sampling, Task,
    },
    dialect::{
        Operation, Quirks, Written,
        alike::{self, untranslatable},
        json::{self, Fields},
    },
    error::Error,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

// Source: anthropic-python 0.125.0 types/message_create_params.py, for `anthropic-version: 2023-06-01`.
#[derive(Serialize)]
struct Messages<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    messages: Vec<message::Turn<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Chosen<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<think::Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

#[derive(Serialize)]
struct Offered<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Cow<'a, RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Chosen<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Shape<'a>>,
}

#[derive(Serialize)]
struct Shape<'a> {
    r#type: &'static str,
    schema: &'a RawValue,
}

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

/// Most letters of `metadata.user_id`. Source: anthropic-python types/metadata_param.py.
const MAX_USER: usize = 256;

pub(super) fn request(request: &Request, quirks: Quirks) -> Result<Written, Error> {
    let mut dropped = request.dropped.clone();
    let body = match &request.task {
        Task::Chat(conversation) => chat(request, conversation, quirks, &mut dropped)?,
        Task::Complete(completion) if completion.verbatim => {
            let why = "Anthropic continues conversations only; ask with messages";
            return Err(untranslatable("a plain prompt", why));
        }
        // Ollama puts a plain prompt into the model's template, and so does a conversation.
        Task::Complete(completion) => {
            chat(request, &conversation(completion), quirks, &mut dropped)?
        }
        Task::Embed(_) => {
            return Err(untranslatable("an embedding", "Anthropic makes none; ask another model"));
        }
    };
    Ok(Written { operation: Operation::Chat, body, dropped, calls_as_text: false })
}

fn conversation(completion: &Completion) -> Conversation {
    let system = completion.system.as_deref().map(|system| Message::new("system", system));
    let mut user = Message::new("user", &completion.prompt);
    user.content.extend(completion.media.iter().cloned().map(Part::Media));
    Conversation {
        messages: system.into_iter().chain([user]).collect(),
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
    let tools = alike::offered(conversation);
    let plan = think::plan(request, conversation, quirks);
    if plan.left_out && !dropped.contains(&"think") {
        dropped.push("think");
    }
    let thinks = plan.thinking.is_some_and(think::Thinking::is_on);
    let chosen = sampling(&request.sampling, thinks, dropped);
    let format = match &conversation.format {
        Some(Format::Schema(schema)) => {
            Some(Shape { r#type: "json_schema", schema: &schema.schema })
        }
        Some(Format::Json) => {
            dropped.push("format");
            None
        }
        None => None,
    };
    let (system, messages) = message::write(&conversation.messages)?;
    // Dropped by name, because they say how Ollama runs a model and not what it answers: keep_alive, truncate, shift,
    // and Ollama's own options.
    Ok(json::bytes(&Messages {
        model: &request.model,
        max_tokens: plan.max_tokens,
        system,
        messages,
        stream: request.stream,
        tool_choice: choice(conversation).filter(|_| !tools.is_empty()),
        tools: tools
            .into_iter()
            .map(|tool| {
                Ok(Offered {
                    name: &tool.name,
                    description: tool.description.as_deref(),
                    input_schema: schema(tool.parameters.as_deref())?,
                    strict: tool.strict.as_deref(),
                })
            })
            .collect::<Result<_, Error>>()?,
        thinking: plan.thinking,
        output_config: (format.is_some() || plan.effort.is_some())
            .then_some(OutputConfig { effort: plan.effort, format }),
        temperature: chosen.temperature,
        top_p: chosen.top_p,
        top_k: chosen.top_k,
        stop_sequences: chosen.stop,
        metadata: request
            .user
            .as_deref()
            .filter(|user| user.chars().count() <= MAX_USER)
            .map(|user_id| Metadata { user_id }),
    }))
}

/// A schema of arguments says that they are an object.
fn schema(parameters: Option<&RawValue>) -> Result<Cow<'_, RawValue>, Error> {
    let written = |text: String| {
        let raw = RawValue::from_string(text);
        raw.map(Cow::Owned).map_err(|error| Error::Internal(format!("a tool's schema: {error}")))
    };
    let Some(parameters) = parameters else {
        return written(r#"{"type":"object","properties":{}}"#.to_owned());
    };
    let fields = Fields::of(parameters, "a tool's parameters".to_owned(), false)?;
    if fields.has("type") {
        return Ok(Cow::Borrowed(parameters));
    }
    let comma = if fields.iter().next().is_some() { "," } else { "" };
    let rest = parameters.get().strip_prefix('{').unwrap_or_default();
    written(format!(r#"{{"type":"object"{comma}{rest}"#))
}

fn choice(conversation: &Conversation) -> Option<Chosen<'_>> {
    let one = (conversation.parallel_tools == Some(false)).then_some(true);
    let chosen = |r#type, name| Chosen { r#type, name, disable_parallel_tool_use: one };
    Some(match &conversation.tool_choice {
        None => return one.map(|_| chosen("auto", None)),
        Some(Choice::Auto | Choice::Allowed { required: false, .. }) => chosen("auto", None),
        Some(Choice::Required | Choice::Allowed { required: true, .. }) => chosen("any", None),
        Some(Choice::Named(name)) => chosen("tool", Some(name)),
        Some(Choice::None) => Chosen { disable_parallel_tool_use: None, ..chosen("none", None) },
    })
}

/// How tokens are chosen, as far as Anthropic can be told.
struct Tokens<'a> {
    temperature: Option<&'a Number>,
    top_p: Option<&'a Number>,
    top_k: Option<&'a Number>,
    stop: Vec<&'a str>,
}

fn sampling<'a>(
    sampling: &'a Sampling,
    thinks: bool,
    dropped: &mut Vec<&'static str>,
) -> Tokens<'a> {
    // 0 changes nothing for a penalty that is added, 1 for one that is multiplied with.
    let weighs =
        |number: &Option<Number>, idle: f64| number.as_ref().is_some_and(|n| n.value() != idle);
    for (name, set) in [
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", weighs(&sampling.frequency_penalty, 0.0)),
        ("presence_penalty", weighs(&sampling.presence_penalty, 0.0)),
        ("repeat_penalty", weighs(&sampling.repeat_penalty, 1.0)),
        ("min_p", weighs(&sampling.min_p, 0.0)),
        ("logprobs", sampling.logprobs.is_some()),
    ] {
        if set {
            dropped.push(name);
        }
    }
    // 1 is the default of both and the most there is; other dialects say it aloud, or more than it. Both at once are
    // refused by newer models.
    // Source: platform.claude.com/docs, "Migrating to Claude 4.5": either temperature or top_p.
    let less = |number: &&Number| number.value() < 1.0;
    let mut temperature = sampling.temperature.as_ref().filter(less);
    let mut top_p = sampling.top_p.as_ref().filter(less);
    let mut top_k = sampling.top_k.as_ref();
    if thinks {
        // Source: platform.claude.com/docs, "Extended thinking": temperature and top_k are not taken beside it, and
        // top_p from 0.95 to 1 only.
        let narrow = |number: &mut &Number| number.value() < 0.95;
        for (name, left_out) in [
            ("temperature", temperature.take().is_some()),
            ("top_k", top_k.take().is_some()),
            ("top_p", top_p.take_if(narrow).is_some()),
        ] {
            if left_out {
                dropped.push(name);
            }
        }
    } else if temperature.is_some() && top_p.take().is_some() {
        dropped.push("top_p");
    }
    Tokens {
        temperature,
        top_p,
        top_k,
        // Source: the API's "stop_sequences: each stop sequence must contain non-whitespace".
        stop: sampling.stop.iter().map(|s| &**s).filter(|stop| !stop.trim().is_empty()).collect(),
    }
}
