//! Writes requests of the common tongue as OpenAI requests.

mod message;
mod shape;
mod sieve;

use self::{
    shape::{Chat, Chosen, Complete, Embed, Function, Named, NamedSchema, Shape},
    sieve::Sieve,
};
use crate::{
    chat::{Choice, Completion, Conversation, Format, Message, Part, Request, Task, Think},
    dialect::{
        Formats, Operation, Quirks, Written,
        alike::{self, Offered, untranslatable},
        json,
    },
    error::Error,
};
use serde_json::value::RawValue;

pub(super) fn request(request: &Request, quirks: Quirks) -> Result<Written, Error> {
    let mut sieve = Sieve::new(request, quirks);
    let (operation, body) = match &request.task {
        Task::Chat(conversation) => (Operation::Chat, chat(request, conversation, &mut sieve)?),
        Task::Complete(completion) if completion.verbatim => {
            (Operation::Generate, complete(request, completion, &mut sieve)?)
        }
        // Ollama puts a plain prompt into the model's template, and so does a chat.
        Task::Complete(completion) => {
            (Operation::Chat, chat(request, &conversation(completion), &mut sieve)?)
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
    Ok(Written { operation, body, dropped: sieve.dropped, calls_as_text: false })
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
    sieve: &mut Sieve,
) -> Result<bytes::Bytes, Error> {
    // Several calls at once is what everybody does who is not told otherwise.
    let several =
        sieve.unless(|several| *several, "parallel_tool_calls", conversation.parallel_tools);
    let logprobs = sieve.keep("logprobs", request.sampling.logprobs);
    let (tools, tool_choice) = tools(conversation, sieve);
    let any = any_object();
    Ok(json::bytes(&Chat {
        model: &request.model,
        messages: message::write(&conversation.messages, sieve.quirks)?,
        tools,
        tool_choice,
        parallel_tool_calls: several,
        response_format: format(conversation.format.as_ref(), any.as_deref(), sieve),
        thinking: sieve.thinking(conversation.think),
        logprobs: logprobs.map(|_| true),
        top_logprobs: sieve.keep("top_logprobs", logprobs.filter(|others| *others > 0)),
        user: sieve.keep("user", request.user.as_deref()),
        common: sieve.common(request, true),
    }))
}

fn tools<'a>(
    conversation: &'a Conversation,
    sieve: &Sieve,
) -> (Vec<Offered<'a>>, Option<Chosen<'a>>) {
    let mut offered = alike::offered(conversation);
    let chosen = conversation.tool_choice.as_ref().map(|choice| match choice {
        Choice::Auto | Choice::Allowed { required: false, .. } => Chosen::Mode("auto"),
        Choice::None => Chosen::Mode("none"),
        Choice::Required | Choice::Allowed { required: true, .. } => Chosen::Mode("required"),
        Choice::Named(name) if sieve.quirks.choice_is_a_word => {
            offered.retain(|tool| tool.name == *name);
            Chosen::Mode("required")
        }
        Choice::Named(name) => Chosen::Function(Function::Function { function: Named { name } }),
    });
    (offered.into_iter().map(Offered::new).collect(), chosen)
}

fn format<'a>(
    format: Option<&'a Format>,
    any: Option<&'a RawValue>,
    sieve: &mut Sieve,
) -> Option<Shape<'a>> {
    let named = |name, description, schema, strict| Shape::JsonSchema {
        json_schema: NamedSchema { name, description, schema, strict },
    };
    match (format?, sieve.quirks.formats) {
        (Format::Json, Formats::Schema) => any.map(|any| named("object", None, any, None)),
        (Format::Json, Formats::All | Formats::Object) => Some(Shape::JsonObject),
        (Format::Schema(_), Formats::Object) => {
            sieve.dropped.push("json_schema");
            Some(Shape::JsonObject)
        }
        (Format::Schema(schema), Formats::All | Formats::Schema) => Some(named(
            schema.name.as_deref().unwrap_or("response"),
            schema.description.as_deref(),
            &schema.schema,
            schema.strict,
        )),
    }
}

/// The schema that every object fits.
fn any_object() -> Option<Box<RawValue>> {
    RawValue::from_string(r#"{"type":"object"}"#.to_owned()).ok()
}

fn complete(
    request: &Request,
    completion: &Completion,
    sieve: &mut Sieve,
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
        sieve.dropped.push("think");
    }
    let logprobs = sieve.keep("logprobs", request.sampling.logprobs);
    Ok(json::bytes(&Complete {
        model: &request.model,
        prompt: &completion.prompt,
        suffix: completion.suffix.as_deref(),
        // Here the number alone says both, and 1 is the least.
        logprobs: logprobs.map(|others| others.max(1)),
        common: sieve.common(request, false),
    }))
}
