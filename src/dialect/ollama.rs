//! Ollama's own language: `/api/*`, NDJSON, options in an object of their own.

mod answer;
mod ask;
mod load;
mod making;
mod models;
mod read;
mod replay;
mod say;
mod write;

pub use load::load_answer;
pub use making::{InMemory, Making};

use super::{
    Ask, Dialect, Framing, Operation, Prompt, Quirks, ReadAnswer, Reply, Unread, Wishes,
    WriteAnswer, Written, json,
};
use crate::{chat, error::Error};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

/// The dialect; see [`OLLAMA`].
#[derive(Clone, Copy, Debug)]
pub struct Ollama;

/// Ollama's dialect.
pub static OLLAMA: Ollama = Ollama;

#[derive(Serialize)]
struct Failure<'a> {
    // A string, always: the Python client raises a TypeError for anything else.
    // Source: ollama docs/api/errors.mdx; ollama-python _client.py.
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Dialect for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    // Source: ollama server/routes.go GenerateRoutes.
    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let read = method == Method::GET || method == Method::HEAD;
        let post = method == Method::POST;
        match path {
            "/" if read => Some(Operation::Root),
            "/api/version" if read => Some(Operation::Version),
            "/api/tags" if read => Some(Operation::Models),
            "/api/ps" if read => Some(Operation::Loaded),
            "/api/show" if post => Some(Operation::Model),
            "/api/chat" if post => Some(Operation::Chat),
            "/api/generate" if post => Some(Operation::Generate),
            "/api/embed" if post => Some(Operation::Embed),
            "/api/embeddings" if post => Some(Operation::EmbedOne),
            "/api/pull" if post => Some(Operation::Pull),
            "/api/push" | "/api/create" | "/api/copy" if post => Some(Operation::Manage),
            "/api/delete" if method == Method::DELETE => Some(Operation::Manage),
            _ if (post || method == Method::HEAD) && path.starts_with("/api/blobs/") => {
                Some(Operation::Blob)
            }
            _ => None,
        }
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        match operation {
            Operation::Chat => Some("/api/chat"),
            Operation::Generate => Some("/api/generate"),
            Operation::Embed => Some("/api/embed"),
            Operation::EmbedOne => Some("/api/embeddings"),
            Operation::Models => Some("/api/tags"),
            Operation::Model => Some("/api/show"),
            Operation::Loaded => Some("/api/ps"),
            Operation::Version => Some("/api/version"),
            Operation::Root => Some("/"),
            Operation::Pull => Some("/api/pull"),
            Operation::Manage | Operation::Blob | Operation::Count | Operation::Other => None,
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

    fn is_load(&self, operation: Operation, body: &[u8]) -> bool {
        load::is_load(operation, body)
    }

    fn transport_fields(&self) -> &'static [&'static str] {
        &["stream", "keep_alive"]
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        let message = error.to_string();
        json::bytes(&Failure { error: &message, request_id: Some(request_id) })
    }

    fn error_event(&self, error: &Error) -> Bytes {
        let message = error.to_string();
        let mut out = Vec::with_capacity(message.len() + 16);
        json::write(&mut out, &Failure { error: &message, request_id: None });
        out.push(b'\n');
        out.into()
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> (String, Option<String>) {
        super::failure::read(status, body)
    }

    // There is no such thing as a comment: a piece without a word, which every client joins to the others.
    fn heartbeat(&self, operation: Operation, model: &str, now_ms: u64) -> Bytes {
        say::nothing(operation, model, now_ms)
    }

    fn terminal(&self) -> &'static [u8] {
        // The line with `done: true` is the end of the answer itself.
        b""
    }

    fn with_usage(&self, _operation: Operation, _body: &Bytes) -> Option<Bytes> {
        None
    }

    fn only_usage(&self, _event: &[u8]) -> bool {
        false
    }

    fn write_error(&self, _status: StatusCode, message: &str, _code: Option<&str>) -> Bytes {
        json::bytes(&Failure { error: message, request_id: None })
    }

    fn fetches(&self) -> bool {
        false
    }

    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<chat::Request, Error> {
        read::request(operation, body)
    }

    fn write_request(&self, request: &chat::Request, _quirks: Quirks) -> Result<Written, Error> {
        write::request(request)
    }

    fn wishes(&self, _operation: Operation, _body: &[u8]) -> Wishes {
        // Usage is always in the last line, and vectors are always numbers.
        Wishes::default()
    }

    fn read_answer(&self, operation: Operation, body: &[u8]) -> Result<chat::Answer, Unread> {
        answer::whole(operation, body)
    }

    fn write_answer(
        &self,
        operation: Operation,
        answer: chat::Answer,
        reply: &Reply,
        now_ms: u64,
    ) -> Result<Bytes, String> {
        say::whole(operation, answer, reply, now_ms)
    }

    fn restream(&self, operation: Operation, body: &[u8], _reply: &Reply) -> Option<Bytes> {
        replay::restream(operation, body)
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
