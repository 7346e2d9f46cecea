//! OpenAI's language: `/v1/*`, server-sent events, and what the many who speak like it do differently.

mod answer;
mod ask;
pub mod choices;
mod detail;
mod models;
mod read;
mod replay;
mod say;
mod usage;
mod write;

use super::{
    Ask, Dialect, Framing, Operation, Prompt, Quirks, ReadAnswer, Reply, Unread, Wishes,
    WriteAnswer, Written, json,
};
use crate::{chat, error::Error};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

/// The dialect; see [`OPENAI`].
#[derive(Clone, Copy, Debug)]
pub struct OpenAi;

/// OpenAI's dialect.
pub static OPENAI: OpenAi = OpenAi;

#[derive(Serialize)]
struct Failure<'a> {
    error: Words<'a>,
}

// Source: openai-python types/shared/error_object.py; all four keys are always there.
#[derive(Serialize)]
struct Words<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl<'a> Failure<'a> {
    fn new(
        status: StatusCode,
        message: &'a str,
        code: Option<&'a str>,
        request_id: Option<&'a str>,
    ) -> Self {
        let r#type = match status.as_u16() {
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        Self { error: Words { message, r#type, param: None, code, request_id } }
    }
}

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let below = path.strip_prefix("/v1/")?;
        let read = method == Method::GET || method == Method::HEAD;
        let post = method == Method::POST;
        Some(match below {
            "chat/completions" if post => Operation::Chat,
            "completions" if post => Operation::Generate,
            "embeddings" if post => Operation::Embed,
            "models" if read => Operation::Models,
            // Names have slashes of their own: `hf.co/a/b:Q4`.
            _ if read && below.strip_prefix("models/").is_some_and(|id| !id.is_empty()) => {
                Operation::Model
            }
            "" => return None,
            _ => Operation::Other,
        })
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        match operation {
            Operation::Chat => Some("/v1/chat/completions"),
            Operation::Generate => Some("/v1/completions"),
            Operation::Embed | Operation::EmbedOne => Some("/v1/embeddings"),
            Operation::Models => Some("/v1/models"),
            Operation::Model
            | Operation::Loaded
            | Operation::Version
            | Operation::Root
            | Operation::Pull
            | Operation::Manage
            | Operation::Count
            | Operation::Blob
            | Operation::Other => None,
        }
    }

    fn ask(&self, operation: Operation, body: &[u8]) -> Result<Ask, Error> {
        ask::ask(operation, body)
    }

    fn prompt(&self, operation: Operation, body: &[u8]) -> Prompt {
        ask::prompt(operation, body).unwrap_or_default()
    }

    fn deterministic(&self, operation: Operation, body: &[u8]) -> bool {
        ask::deterministic(operation, body)
    }

    fn transport_fields(&self) -> &'static [&'static str] {
        &[
            "stream",
            "stream_options",
            "user",
            "metadata",
            "store",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "service_tier",
            "keep_alive",
        ]
    }

    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        let message = error.to_string();
        json::bytes(&Failure::new(error.status(), &message, Some(error.code()), Some(request_id)))
    }

    fn error_event(&self, error: &Error) -> Bytes {
        let message = error.to_string();
        let mut out = Vec::with_capacity(message.len() + 128);
        // Only `data:` lines: the Python client takes an `event:` line for an empty event.
        // Source: openai-python _streaming.py.
        out.extend_from_slice(b"data: ");
        json::write(&mut out, &Failure::new(error.status(), &message, Some(error.code()), None));
        out.extend_from_slice(b"\n\n");
        out.into()
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> (String, Option<String>) {
        super::failure::read(status, body)
    }

    fn terminal(&self) -> &'static [u8] {
        say::DONE
    }

    fn with_usage(&self, operation: Operation, body: &Bytes) -> Option<Bytes> {
        let streams = matches!(operation, Operation::Chat | Operation::Generate);
        streams.then(|| usage::with(body)).flatten()
    }

    fn only_usage(&self, event: &[u8]) -> bool {
        usage::only(event)
    }

    fn write_error(&self, status: StatusCode, message: &str, code: Option<&str>) -> Bytes {
        let code = code.or(match status.as_u16() {
            401 => Some("invalid_api_key"),
            404 => Some("model_not_found"),
            429 => Some("rate_limit_exceeded"),
            502 => Some("upstream_error"),
            503 => Some("overloaded"),
            504 => Some("upstream_timeout"),
            _ => None,
        });
        json::bytes(&Failure::new(status, message, code, None))
    }

    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<chat::Request, Error> {
        read::request(operation, body)
    }

    fn write_request(&self, request: &chat::Request, quirks: Quirks) -> Result<Written, Error> {
        write::request(request, quirks)
    }

    fn wishes(&self, operation: Operation, body: &[u8]) -> Wishes {
        ask::wishes(operation, body).unwrap_or_default()
    }

    fn read_answer(&self, operation: Operation, body: &[u8]) -> Result<chat::Answer, Unread> {
        answer::whole(operation, body)
    }

    fn write_answer(
        &self,
        operation: Operation,
        answer: chat::Answer,
        reply: &Reply,
        _now_ms: u64,
    ) -> Result<Bytes, String> {
        Ok(say::whole(operation, answer, reply))
    }

    fn restream(&self, operation: Operation, body: &[u8], reply: &Reply) -> Option<Bytes> {
        replay::restream(operation, body, reply.wishes.usage)
    }

    fn unstream(&self, operation: Operation, events: &[Bytes], _reply: &Reply) -> Option<Bytes> {
        replay::unstream(operation, events)
    }

    fn read_models(&self, body: &[u8]) -> Result<Vec<chat::Model>, String> {
        models::read(body)
    }

    fn write_models(&self, models: &[chat::Model]) -> Bytes {
        models::write(models)
    }

    fn write_model(&self, model: &chat::Model) -> Bytes {
        models::write_one(model)
    }

    fn reader(&self, _operation: Operation) -> Box<dyn ReadAnswer> {
        Box::new(answer::Reader::default())
    }

    fn writer(&self, operation: Operation, reply: &Reply) -> Box<dyn WriteAnswer> {
        Box::new(say::Writer::new(operation, reply.clone()))
    }
}

#[cfg(test)]
mod tests;
