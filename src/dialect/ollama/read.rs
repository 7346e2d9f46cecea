//! Reads Ollama requests into the common tongue.

use crate::{
    chat::{
        Call, Completion, Conversation, Embedding, Media, Message, Native, Number, Part, Raw,
        Request, Sampling, Task,
    },
    dialect::{
        Operation,
        alike::{format, stop, think, tool, untranslatable},
        base64,
        json::{self, Fields},
        media,
    },
    error::Error,
};

pub(super) fn request(operation: Operation, body: &[u8]) -> Result<Request, Error> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body)?.folded();
    if fields.bool("_debug_render_only")? == Some(true) {
        let why = "only Ollama itself can render its template";
        return Err(untranslatable("_debug_render_only", why));
    }
    let task = match operation {
        Operation::Chat => Task::Chat(conversation(&fields)?),
        Operation::Generate => Task::Complete(completion(&fields)?),
        Operation::Embed => Task::Embed(Embedding {
            input: texts(&fields)?,
            dimensions: fields.number("dimensions")?,
        }),
        Operation::EmbedOne => Task::Embed(Embedding {
            input: vec![fields.string("prompt")?.unwrap_or_default()],
            dimensions: None,
        }),
        _ => return Err(Error::Unsupported("this operation has no translation".into())),
    };
    let (mut sampling, options) = options(&fields)?;
    sampling.logprobs = logprobs(&fields)?;
    let streams = matches!(operation, Operation::Chat | Operation::Generate);
    Ok(Request {
        model: fields.string("model")?.unwrap_or_default(),
        stream: streams && fields.bool("stream")?.unwrap_or(true),
        task,
        sampling,
        native: Native {
            keep_alive: fields.raw("keep_alive").map(ToOwned::to_owned),
            truncate: fields.bool("truncate")?,
            shift: fields.bool("shift")?,
            options,
        },
        choices: 1,
        user: None,
        dropped: Vec::new(),
    })
}

/// Source: ollama server/routes.go: others beside each token, 0 to 20.
fn logprobs(fields: &Fields<'_>) -> Result<Option<u8>, Error> {
    let others = match fields.number("top_logprobs")?.map(|count| count.value()) {
        None => 0,
        Some(count) if count.fract() == 0.0 && (0.0..=20.0).contains(&count) => count as u8,
        Some(_) => return Err(fields.wrong("top_logprobs", "between 0 and 20")),
    };
    Ok((fields.bool("logprobs")? == Some(true)).then_some(others))
}

fn texts(fields: &Fields<'_>) -> Result<Vec<String>, Error> {
    // Source: ollama server/routes.go EmbedHandler: anything else is an "invalid input type".
    let wrong = || fields.wrong("input", "a string or a list of strings");
    match fields.raw("input") {
        None => Ok(Vec::new()),
        Some(raw) if json::is_list(raw) => {
            fields.list("input")?.into_iter().map(|raw| json::text(raw).ok_or_else(wrong)).collect()
        }
        Some(raw) => Ok(vec![json::text(raw).ok_or_else(wrong)?]),
    }
}

fn conversation(fields: &Fields<'_>) -> Result<Conversation, Error> {
    let messages =
        fields.objects("messages")?.iter().map(message).collect::<Result<Vec<_>, _>>()?;
    if messages.is_empty() {
        return Err(Error::BadRequest("messages must not be empty".into()));
    }
    Ok(Conversation {
        messages,
        tools: fields.objects("tools")?.iter().map(tool).collect::<Result<_, _>>()?,
        format: format(fields)?,
        think: think(fields)?,
        tool_choice: None,
        parallel_tools: None,
    })
}

fn completion(fields: &Fields<'_>) -> Result<Completion, Error> {
    for (name, why) in [("template", "the upstream has a template of its own")] {
        if fields.string(name)?.is_some_and(|text| !text.is_empty()) {
            return Err(untranslatable(name, why));
        }
    }
    let suffix = fields.string("suffix")?.filter(|suffix| !suffix.is_empty());
    let raw = fields.bool("raw")?;
    Ok(Completion {
        prompt: fields.string("prompt")?.unwrap_or_default(),
        verbatim: suffix.is_some() || raw == Some(true),
        suffix,
        system: fields.string("system")?.filter(|system| !system.is_empty()),
        raw,
        media: media_of(fields)?,
        format: format(fields)?,
        think: think(fields)?,
    })
}

fn message(fields: &Fields<'_>) -> Result<Message, Error> {
    let role = fields.string("role")?.unwrap_or_default().to_lowercase();
    if role.is_empty() {
        return Err(fields.wrong("role", "a string that is not empty"));
    }
    let text = fields.string("content")?.filter(|text| !text.is_empty());
    let media = media_of(fields)?.into_iter().map(Part::Media);
    Ok(Message {
        role,
        content: text.map(Part::Text).into_iter().chain(media).collect(),
        thinking: fields.string("thinking")?.filter(|text| !text.is_empty()),
        calls: fields.objects("tool_calls")?.iter().map(call).collect::<Result<_, _>>()?,
        call_id: fields.string("tool_call_id")?.filter(|id| !id.is_empty()),
        tool_name: fields.string("tool_name")?.filter(|name| !name.is_empty()),
        ..Message::default()
    })
}

fn call(fields: &Fields<'_>) -> Result<Call, Error> {
    let function =
        fields.object("function")?.ok_or_else(|| fields.wrong("function", "an object"))?;
    let arguments = function.raw("arguments");
    if arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
        // Source: ollama api/types.go ToolCallFunctionArguments.
        return Err(function.wrong("arguments", "an object"));
    }
    Ok(Call {
        id: fields.string("id")?.filter(|id| !id.is_empty()),
        name: function.string("name")?.unwrap_or_default(),
        arguments: arguments.map_or_else(|| "{}".to_owned(), |raw| json::compact(raw.get())),
    })
}

fn media_of(fields: &Fields<'_>) -> Result<Vec<Media>, Error> {
    let wrong = |index| {
        let path = fields.path("images");
        // Source: ollama api/types.go: Go decodes standard base64 and takes no `data:` prefix.
        Error::BadRequest(format!("{path}[{index}] must be base64, without a data: prefix"))
    };
    let list = fields.list("images")?;
    list.into_iter()
        .enumerate()
        .map(|(index, raw)| {
            let bytes = json::text(raw).and_then(|text| base64::decode(&text));
            let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| wrong(index))?;
            let mime = media::sniff(&bytes);
            if mime.starts_with("image/") && media::picture(&bytes).is_none() {
                let path = fields.path("images");
                let known = "a PNG, JPEG, GIF, WebP or BMP, or a WAV or MP3";
                return Err(Error::BadRequest(format!("{path}[{index}] must be {known}")));
            }
            let place = format!("{}[{index}]", fields.path("images"));
            Ok(Media::here(mime, base64::encode(&bytes)).at(&place))
        })
        .collect()
}

type Rest = Vec<(String, Raw)>;

/// Options that both dialects have, and the rest.
fn options(fields: &Fields<'_>) -> Result<(Sampling, Rest), Error> {
    let mut sampling = Sampling::default();
    let mut rest = Vec::new();
    let Some(options) = fields.object("options")? else { return Ok((sampling, rest)) };
    for (name, raw) in options.iter().filter(|(_, raw)| raw.get() != "null") {
        let number = || options.number(name);
        match name {
            "temperature" => sampling.temperature = number()?,
            "top_p" => sampling.top_p = number()?,
            "top_k" => sampling.top_k = number()?.and_then(whole),
            "min_p" => sampling.min_p = number()?,
            "frequency_penalty" => sampling.frequency_penalty = number()?,
            "presence_penalty" => sampling.presence_penalty = number()?,
            "repeat_penalty" => sampling.repeat_penalty = number()?,
            // Source: ollama api/types.go DefaultOptions: -1 is a random seed, and no limit.
            "seed" => {
                sampling.seed = number()?.and_then(whole).filter(|seed| seed.value() >= 0.0);
            }
            "num_predict" => {
                let limit = number()?.and_then(whole);
                sampling.max_tokens = limit.filter(|limit| limit.value() >= 1.0);
            }
            "stop" => sampling.stop = stop(&options)?,
            _ => rest.push((name.to_owned(), raw.to_owned())),
        }
    }
    Ok((sampling, rest))
}

/// A whole number: Ollama cuts off what stands behind the point, where others refuse it.
// Source: ollama api/types.go Options.FromMap.
fn whole(number: Number) -> Option<Number> {
    let value = number.value();
    if value.fract() == 0.0 {
        return Some(number);
    }
    Number::literal(&(value as i64).to_string())
}
