//! Whole bodies without what differs from one answer to the next (ids, times) and without what says nothing (zeros and nulls that may
//! as well stay out). What must be there is demanded on the way.

use crate::json::Json;

/// Tokens, without counts of nothing.
pub(crate) fn counts(usage: &Json) -> Json {
    let Json::Object(fields) = usage else { return usage.clone() };
    let kept =
        ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"];
    let fields = fields.iter().filter_map(|(name, value)| match value {
        Json::Object(_) => {
            let inner = counts(value);
            (inner != Json::Object(vec![])).then(|| (name.clone(), inner))
        }
        Json::Plain(text) => {
            let nothing = matches!(&**text, "0" | "null") && !kept.contains(&name.as_str());
            (!nothing).then(|| (name.clone(), value.clone()))
        }
        // "standard" and the like: who served it, not what it counts.
        Json::Text(_) | Json::List(_) => None,
    });
    Json::Object(fields.collect())
}

pub(crate) fn openai(mut body: Json) -> Result<Json, String> {
    let kind = body.at("object").str().unwrap_or_default().to_owned();
    let prefix = match &*kind {
        "chat.completion" => "chatcmpl-",
        "text_completion" => "cmpl-",
        "list" => return Ok(body),
        _ => return Err(format!("the object of an answer: {body}")),
    };
    demand(body.at("id").str().is_some_and(|id| id.starts_with(prefix)), "id", &body)?;
    demand(body.at("created").number().is_some_and(|at| at > 0), "created", &body)?;
    for name in ["id", "created", "system_fingerprint", "service_tier"] {
        body.take(name);
    }
    let usage = counts(body.at("usage"));
    let total = |name: &str| usage.at(name).number().unwrap_or_default();
    let sum = total("prompt_tokens") + total("completion_tokens");
    demand(sum == total("total_tokens"), "the total is the sum", &body)?;
    body.put("usage", usage);
    let Some(Json::List(choices)) = body.at_mut("choices") else {
        return Err(format!("no choices: {body}"));
    };
    for choice in choices {
        if choice.at("logprobs").is_null() {
            choice.take("logprobs");
        }
        if let Some(message) = choice.at_mut("message") {
            for name in ["refusal", "annotations"] {
                if message.at(name).is_null() || message.at(name).list().is_empty() {
                    message.take(name);
                }
            }
        }
    }
    Ok(body)
}

pub(crate) fn ollama(mut body: Json) -> Result<Json, String> {
    let time = body.take("created_at");
    let embeds = body.has("embeddings") || body.has("embedding");
    demand(embeds || time.as_ref().and_then(Json::str).is_some(), "created_at", &body)?;
    demand(embeds || body.at("done").compact() == "true", "done", &body)?;
    for name in
        ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration", "context"]
    {
        if let Some(took) = body.take(name) {
            let whole = took.number().is_some_and(|took| took > 0) || name == "context";
            demand(whole, "a duration is a whole number of nanoseconds", &took)?;
        }
    }
    Ok(body)
}

pub(crate) fn anthropic(mut body: Json) -> Result<Json, String> {
    demand(body.at("type").str() == Some("message"), "type", &body)?;
    let id = body.take("id");
    demand(id.as_ref().and_then(Json::str).is_some_and(|id| id.starts_with("msg_")), "id", &body)?;
    demand(matches!(body.at("content"), Json::List(_)), "content is a list", &body)?;
    if body.at("stop_sequence").is_null() {
        body.take("stop_sequence");
    }
    let usage = counts(body.at("usage"));
    body.put("usage", usage);
    if let Some(Json::List(blocks)) = body.at_mut("content") {
        for block in blocks {
            if block.at("citations").is_null() {
                block.take("citations");
            }
        }
    }
    for name in ["container", "context_management", "stop_details"] {
        if body.at(name).is_null() {
            body.take(name);
        }
    }
    Ok(body)
}

/// What is said, and that all is there which the SDK's type requires.
pub(crate) fn responses(mut body: Json) -> Result<Json, String> {
    demand(body.at("object").str() == Some("response"), "object", &body)?;
    demand(body.at("id").str().is_some_and(|id| id.starts_with("resp_")), "id", &body)?;
    demand(body.at("created_at").number().is_some(), "created_at", &body)?;
    // Source: openai-python types/responses/response.py.
    for name in ["model", "output", "parallel_tool_calls", "tool_choice", "tools"] {
        demand(body.has(name), name, &body)?;
    }
    let mut output = Vec::new();
    for item in body.at("output").list() {
        let mut item = item.clone();
        demand(item.at("id").str().is_some(), "an item has an id", &item)?;
        item.take("id");
        if item.take("encrypted_content").is_some_and(|sealed| !sealed.is_null()) {
            item.put("sealed", Json::Plain("true".into()));
        }
        output.push(item);
    }
    let (finish, usage) = (responses_finish(&body), counts(body.at("usage")));
    let mut kept =
        Json::object([("output", Json::List(output)), ("finish", finish), ("usage", usage)]);
    for name in ["model", "error"] {
        kept.put(name, body.take(name).unwrap_or_default());
    }
    Ok(kept)
}

/// `completed`, or why it is not.
pub(crate) fn responses_finish(response: &Json) -> Json {
    match response.at("incomplete_details").at("reason").str() {
        None => response.at("status").clone(),
        Some(reason) => Json::text(reason),
    }
}

/// A request to Anthropic: text alone and a list of one text block are the same there.
pub(crate) fn anthropic_request(mut body: Json) -> Json {
    if let Some(system) = body.at_mut("system") {
        as_blocks(system);
    }
    if let Some(Json::List(messages)) = body.at_mut("messages") {
        for content in messages.iter_mut().filter_map(|message| message.at_mut("content")) {
            as_blocks(content);
            let Json::List(blocks) = content else { continue };
            blocks.iter_mut().filter_map(|block| block.at_mut("content")).for_each(as_blocks);
        }
    }
    body
}

fn as_blocks(content: &mut Json) {
    if let Json::Text(text) = content {
        let block = Json::object([("type", Json::text("text")), ("text", Json::text(text))]);
        *content = Json::List(vec![block]);
    }
}

fn demand(holds: bool, what: &str, of: &Json) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {of}")) }
}

/// A refusal without the number of its request.
pub(crate) fn error(mut body: Json) -> Json {
    body.take("request_id");
    body
}

/// A list of models without what is the upstream's own business: digests, and fractions of seconds.
pub(crate) fn models(mut body: Json) -> Json {
    let name = if body.has("models") { "models" } else { "data" };
    if let Some(Json::List(models)) = body.at_mut(name) {
        for model in models {
            let digest = model.take("digest");
            let digest = digest.as_ref().and_then(Json::str).unwrap_or_default();
            let whole = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(whole || name == "data", "`ollama list` cuts digests: {model}");
            for name in ["modified_at", "created_at"] {
                if let Some(Json::Text(time)) = model.take(name) {
                    model.put(name, Json::text(&time[..19]));
                }
            }
        }
    }
    body
}
