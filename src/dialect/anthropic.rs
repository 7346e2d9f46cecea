//! Anthropic's language: `/v1/messages`, blocks of content, and server-sent events that each have a name.

mod answer;
mod ask;
#[cfg(feature = "gateway")]
mod count;
mod models;
mod read;
mod replay;
mod say;
mod write;

#[cfg(feature = "gateway")]
pub(crate) use count::estimate;
pub use models::ADAPTIVE;

use super::{
    Ask, Dialect, Framing, Operation, Prompt, Quirks, ReadAnswer, Reply, Unread, Wishes,
    WriteAnswer, Written, json,
};
use crate::{chat, error::Error};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

/// The dialect; see [`ANTHROPIC`].
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

/// Anthropic's dialect.
pub static ANTHROPIC: Anthropic = Anthropic;

// Source: anthropic-python types/shared/error_response.py.
#[derive(Serialize)]
struct Failure<'a> {
    r#type: &'static str,
    error: Words<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Words<'a> {
    r#type: &'static str,
    message: &'a str,
}

impl<'a> Failure<'a> {
    fn new(status: StatusCode, message: &'a str, request_id: Option<&'a str>) -> Self {
        // Source: anthropic-python types/shared/error_type.py; ollama anthropic/anthropic.go NewError.
        let r#type = match status.as_u16() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            503 | 529 => "overloaded_error",
            504 => "timeout_error",
            _ => "api_error",
        };
        Self { r#type: "error", error: Words { r#type, message }, request_id }
    }
}

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let below = path.strip_prefix("/v1/")?;
        let read = method == Method::GET || method == Method::HEAD;
        let post = method == Method::POST;
        Some(match below {
            "messages" if post => Operation::Chat,
            "messages/count_tokens" if post => Operation::Count,
            "models" if read => Operation::Models,
            _ if read && below.strip_prefix("models/").is_some_and(|id| !id.is_empty()) => {
                Operation::Model
            }
            // Batches, files, skills and whatever comes: no other dialect has their like.
            _ => match below.split('/').next() {
                Some("messages" | "files" | "skills" | "organizations" | "complete") => {
                    Operation::Other
                }
                _ => return None,
            },
        })
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        match operation {
            Operation::Chat => Some("/v1/messages"),
            Operation::Count => Some("/v1/messages/count_tokens"),
            Operation::Models => Some("/v1/models"),
            Operation::Generate
            | Operation::Embed
            | Operation::EmbedOne
            | Operation::Model
            | Operation::Loaded
            | Operation::Version
            | Operation::Root
            | Operation::Pull
            | Operation::Manage
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

    fn deterministic(&self, _operation: Operation, body: &[u8]) -> bool {
        ask::deterministic(body)
    }

    fn transport_fields(&self) -> &'static [&'static str] {
        &["stream", "metadata", "service_tier", "cache_control", "speed", "diagnostics"]
    }

    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        let message = error.to_string();
        json::bytes(&Failure::new(error.status(), &message, Some(request_id)))
    }

    fn error_event(&self, error: &Error) -> Bytes {
        let message = error.to_string();
        let mut out = Vec::with_capacity(message.len() + 128);
        out.extend_from_slice(b"event: error\ndata: ");
        json::write(&mut out, &Failure::new(error.status(), &message, None));
        out.extend_from_slice(b"\n\n");
        out.into()
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> (String, Option<String>) {
        super::failure::read(status, body)
    }

    // Source: docs.anthropic.com/en/api/messages-streaming, "Ping events".
    fn heartbeat(&self, _operation: Operation, _model: &str, _now_ms: u64) -> Bytes {
        Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")
    }

    fn terminal(&self) -> &'static [u8] {
        say::STOP
    }

    fn with_usage(&self, _operation: Operation, _body: &Bytes) -> Option<Bytes> {
        // Every stream tells its usage.
        None
    }

    fn only_usage(&self, _event: &[u8]) -> bool {
        false
    }

    fn write_error(&self, status: StatusCode, message: &str, _code: Option<&str>) -> Bytes {
        json::bytes(&Failure::new(status, message, None))
    }

    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<chat::Request, Error> {
        read::request(operation, body)
    }

    fn write_request(&self, request: &chat::Request, quirks: Quirks) -> Result<Written, Error> {
        write::request(request, quirks)
    }

    fn wishes(&self, _operation: Operation, _body: &[u8]) -> Wishes {
        Wishes::default()
    }

    fn read_answer(&self, _operation: Operation, body: &[u8]) -> Result<chat::Answer, Unread> {
        answer::whole(body)
    }

    fn write_answer(
        &self,
        _operation: Operation,
        answer: chat::Answer,
        reply: &Reply,
        _now_ms: u64,
    ) -> Result<Bytes, String> {
        say::whole(answer, reply)
    }

    fn restream(&self, _operation: Operation, body: &[u8], _reply: &Reply) -> Option<Bytes> {
        replay::restream(body)
    }

    fn unstream(&self, _operation: Operation, events: &[Bytes], _reply: &Reply) -> Option<Bytes> {
        replay::unstream(events)
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

    fn writer(&self, _operation: Operation, reply: &Reply) -> Box<dyn WriteAnswer> {
        Box::new(say::Writer::new(reply.clone()))
    }
}

#[cfg(test)]
mod tests;
