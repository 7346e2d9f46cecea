//! Reads Ollama's answers: one JSON object a line, or one alone.

use crate::{
    chat::{Answer, Delta, Finish, Piece, Said, Vector},
    dialect::{
        Operation, ReadAnswer, Unread, Usage, failure,
        json::{self, Count, Fields, Loose},
        tokens,
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads `/api/chat` and `/api/generate` alike: the fields that a line has say which it is.
#[derive(Debug, Default)]
pub(super) struct Reader {
    calls: usize,
}

// Source: ollama api/types.go ChatResponse, GenerateResponse, Metrics.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
    response: Loose<'a>,
    thinking: Loose<'a>,
    tool_calls: Option<Vec<Call<'a>>>,
    done: Option<bool>,
    done_reason: Loose<'a>,
    prompt_eval_count: Count,
    eval_count: Count,
    logprobs: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Loose<'a>,
    thinking: Loose<'a>,
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    id: Loose<'a>,
    function: Function<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Loose<'a>,
    arguments: Option<&'a RawValue>,
}

impl ReadAnswer for Reader {
    fn read(&mut self, event: &[u8], out: &mut Vec<Delta>) {
        match json::read::<Line<'_>>(event, &mut None) {
            Ok(line) => self.line(line, out),
            Err(error) => out.push(Delta::Error(strange(&error))),
        }
    }

    fn end(&mut self, _out: &mut Vec<Delta>) {
        // Only a line with `done: true` ends an answer. Ollama can close a stream without one
        // (its guard against repeated tokens), and that answer is cut short.
    }
}

impl Reader {
    fn line(&mut self, line: Line<'_>, out: &mut Vec<Delta>) {
        if let Some(error) = line.error.and_then(failure::words) {
            return out.push(Delta::Error(error));
        }
        let message = line.message.unwrap_or_default();
        let text = |loose: Loose<'_>| loose.filled().map(Cow::into_owned);
        out.extend(text(message.thinking).or_else(|| text(line.thinking)).map(Delta::Thinking));
        let tokens = line.logprobs.map(tokens::read).filter(|tokens| !tokens.is_empty());
        out.extend(tokens.map(Delta::Tokens));
        out.extend(text(message.content).or_else(|| text(line.response)).map(Delta::Text));
        for call in message.tool_calls.or(line.tool_calls).unwrap_or_default() {
            // `function.index` is 0 for every call of some models, so calls are numbered as they come.
            // Source: ollama model/parsers.
            let index = self.calls;
            self.calls += 1;
            out.push(Delta::Tool(Piece {
                index,
                id: text(call.id),
                name: Some(text(call.function.name).unwrap_or_default()),
                arguments: call.function.arguments.map_or_else(|| "{}".to_owned(), arguments),
            }));
        }
        if line.done == Some(true) {
            out.push(Delta::Finish(finish(line.done_reason.0.as_deref())));
            out.push(Delta::Usage(Usage {
                prompt: line.prompt_eval_count.0,
                completion: line.eval_count.0,
                ..Usage::default()
            }));
            out.push(Delta::End);
        }
    }
}

fn arguments(raw: &RawValue) -> String {
    match raw.get() {
        "null" => "{}".to_owned(),
        json => json::compact(json),
    }
}

fn finish(reason: Option<&str>) -> Finish {
    match reason {
        Some("length") => Finish::Length,
        // `load` and `unload` too: there is nothing more to come.
        _ => Finish::Stop,
    }
}

fn strange(error: &serde_json::Error) -> String {
    format!("the upstream sent something that is not Ollama's: {}", json::why(error))
}

pub(super) fn whole(operation: Operation, body: &[u8]) -> Result<Answer, Unread> {
    if matches!(operation, Operation::Embed | Operation::EmbedOne) {
        return vectors(body);
    }
    let mut room = None;
    let line = json::read::<Line<'_>>(body, &mut room)
        .map_err(|error| Unread::Strange(json::why(&error)))?;
    if line.done.is_none() && line.error.is_none() {
        return Err(Unread::Strange("no \"done\" in the answer".into()));
    }
    let mut deltas = Vec::new();
    Reader::default().line(line, &mut deltas);
    let mut said = Said::default();
    for delta in deltas {
        match delta {
            Delta::Error(message) => return Err(Unread::Failed(message)),
            delta => said.add(delta),
        }
    }
    Ok(Answer::Said(said))
}

fn vectors(body: &[u8]) -> Result<Answer, Unread> {
    let strange = |error: crate::error::Error| Unread::Strange(error.to_string());
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).map_err(strange)?;
    if let Some(error) = fields.raw("error").and_then(failure::words) {
        return Err(Unread::Failed(error));
    }
    let list = match fields.raw("embedding") {
        Some(one) => vec![one],
        None if fields.has("embeddings") => fields.list("embeddings").map_err(strange)?,
        None => return Err(Unread::Strange("no \"embeddings\" in the answer".into())),
    };
    let vectors = list
        .into_iter()
        .map(|raw| match serde_json::from_str::<Vec<f32>>(raw.get()) {
            Ok(_) => Ok(Vector::Written(raw.to_owned())),
            Err(error) => Err(Unread::Strange(json::why(&error))),
        })
        .collect::<Result<_, _>>()?;
    let prompt = fields.raw("prompt_eval_count").and_then(|raw| raw.get().parse().ok());
    Ok(Answer::Vectors { vectors, usage: Usage { prompt, ..Usage::default() } })
}
