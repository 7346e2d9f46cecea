//! OpenAI's chunks, as its SDKs gather them.

use super::{Steps, events, must};
use crate::{json::Json, normal};

#[derive(Default)]
struct Called {
    id: Json,
    name: String,
    arguments: String,
}

impl Default for Json {
    fn default() -> Self {
        Self::Plain("null".to_owned())
    }
}

pub(crate) fn read(stream: &str) -> Result<Json, String> {
    let mut steps = Steps::default();
    let mut calls: Vec<Called> = Vec::new();
    let mut first: Option<Json> = None;
    let mut ended = false;
    for (name, data) in events(stream)? {
        if name.is_some() {
            return Err("openai-python takes an event line for an event without data".into());
        }
        if ended {
            return Err(format!("after [DONE]: {data}"));
        }
        if data == "[DONE]" {
            (ended, _) = (true, steps.push("end", Json::default()));
            continue;
        }
        let chunk = Json::read(data.as_bytes())?;
        if chunk.has("error") {
            flush(&mut steps, &mut calls);
            steps.push("error", chunk.at("error").at("message").clone());
            ended = true;
            continue;
        }
        let before = first.get_or_insert_with(|| chunk.clone());
        for same in ["id", "object", "created", "model"] {
            must(chunk.at(same) == before.at(same), "every chunk has the same head", &chunk)?;
            must(chunk.has(same), "and every chunk has one", &chunk)?;
        }
        let completion = chunk.at("object").str() == Some("text_completion");
        let chat = chunk.at("object").str() == Some("chat.completion.chunk");
        must(chat || completion, "the SDKs skip other objects", &chunk)?;
        let choices = chunk.at("choices").list();
        must(matches!(chunk.at("choices"), Json::List(_)), "choices is a list", &chunk)?;
        if choices.is_empty() {
            flush(&mut steps, &mut calls);
            steps.push("usage", normal::counts(chunk.at("usage")));
            continue;
        }
        must(!chunk.has("usage"), "usage comes alone", &chunk)?;
        let [choice] = choices else { return Err(format!("one choice was asked for: {chunk}")) };
        must(choice.at("index").number() == Some(0), "the choice is the first", &chunk)?;
        if completion {
            must(choice.at("text").str().is_some(), "a completion has text", &chunk)?;
            steps.text("thinking", choice.at("reasoning").str().unwrap_or_default());
            steps.text("text", choice.at("text").str().unwrap_or_default());
        } else {
            delta(choice.at("delta"), &chunk == before, &mut steps, &mut calls)?;
        }
        if choice.has("logprobs") {
            let logprobs = choice.at("logprobs");
            let content = if completion { logprobs } else { logprobs.at("content") };
            steps.push("logprobs", content.clone());
        }
        if let Some(finish) = choice.at("finish_reason").str() {
            flush(&mut steps, &mut calls);
            steps.push("finish", Json::text(finish));
        }
    }
    Ok(steps.done())
}

fn delta(
    delta: &Json,
    first: bool,
    steps: &mut Steps,
    calls: &mut Vec<Called>,
) -> Result<(), String> {
    let Json::Object(fields) = delta else { return Err(format!("no delta: {delta}")) };
    let role = delta.at("role").str() == Some("assistant");
    must(role == first, "the first chunk says the role, and no other: it would be doubled", delta)?;
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("role", _) => {}
            ("content", Json::Text(text)) => {
                if !text.is_empty() {
                    flush(steps, calls);
                }
                steps.text("text", text);
            }
            ("reasoning" | "reasoning_content", Json::Text(text)) => steps.text("thinking", text),
            ("reasoning_details", Json::List(details)) => {
                for detail in details {
                    steps.push("seal", detail.at("signature").clone());
                }
            }
            ("tool_calls", Json::List(pieces)) => {
                for piece in pieces {
                    tool(piece, calls)?;
                }
            }
            (_, value) if value.is_null() => {}
            _ => return Err(format!("{key} is not in an SDK's delta: {delta}")),
        }
    }
    Ok(())
}

fn tool(piece: &Json, calls: &mut Vec<Called>) -> Result<(), String> {
    let index = piece.at("index").number().ok_or("an index is required")? as usize;
    let function = piece.at("function");
    if index == calls.len() {
        must(piece.at("type").str() == Some("function"), "a call says its type", piece)?;
        let name = function.at("name").str().ok_or("a call says its name")?.to_owned();
        must(piece.at("id").str().is_some_and(|id| !id.is_empty()), "a call has an id", piece)?;
        calls.push(Called { id: piece.at("id").clone(), name, arguments: String::new() });
    } else {
        must(index < calls.len(), "calls are numbered as they come", piece)?;
        let again = piece.has("id") || piece.has("type") || function.has("name");
        must(!again, "said twice, it would be doubled", piece)?;
    }
    calls[index].arguments += function.at("arguments").str().ok_or("arguments are text")?;
    Ok(())
}

fn flush(steps: &mut Steps, calls: &mut Vec<Called>) {
    for call in calls.drain(..) {
        steps.call(&call.id, &call.name, &call.arguments);
    }
}
