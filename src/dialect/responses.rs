//! OpenAI's newer language: `/v1/responses`, an answer made of items, and a stream that tells how each of them grows.

mod answer;
mod ask;
mod echo;
mod event;
mod item;
mod object;
mod read;
mod replay;
mod say;

use super::{
    Ask, Dialect, Framing, Operation, Prompt, Quirks, ReadAnswer, Reply, Unread, Wishes,
    WriteAnswer, Written, alike::untranslatable, openai::OPENAI,
};
use crate::{chat, error::Error};
use bytes::Bytes;
use http::{Method, StatusCode};

/// The dialect; see [`RESPONSES`].
#[derive(Clone, Copy, Debug)]
pub struct Responses;

/// The dialect of OpenAI's Responses API. Errors and lists of models are those of [`OPENAI`].
pub static RESPONSES: Responses = Responses;

impl Dialect for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    /// Only the making of an answer; what looks after kept ones is another server's business, and passes.
    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        (method == Method::POST && path == "/v1/responses").then_some(Operation::Chat)
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        (operation == Operation::Chat).then_some("/v1/responses")
    }

    fn ask(&self, _operation: Operation, body: &[u8]) -> Result<Ask, Error> {
        ask::ask(body)
    }

    fn prompt(&self, _operation: Operation, body: &[u8]) -> Prompt {
        ask::prompt(body).unwrap_or_default()
    }

    fn deterministic(&self, _operation: Operation, body: &[u8]) -> bool {
        ask::deterministic(body)
    }

    fn acts(&self, _operation: Operation, body: &[u8]) -> bool {
        ask::acts(body)
    }

    /// Fewer than OpenAI's others: an answer repeats `metadata`, `user` and the like, and is kept or not by `store`.
    fn transport_fields(&self) -> &'static [&'static str] {
        &["stream", "stream_options"]
    }

    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        OPENAI.error(error, request_id)
    }

    fn error_event(&self, error: &Error) -> Bytes {
        event::error(error, 0)
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> (String, Option<String>) {
        super::failure::read(status, body)
    }

    fn terminal(&self) -> &'static [u8] {
        // The last event has the whole answer in it: nobody can add it to a stream that lacks it.
        b""
    }

    fn with_usage(&self, _operation: Operation, _body: &Bytes) -> Option<Bytes> {
        // Every stream tells its usage.
        None
    }

    fn only_usage(&self, _event: &[u8]) -> bool {
        false
    }

    fn write_error(&self, status: StatusCode, message: &str, code: Option<&str>) -> Bytes {
        OPENAI.write_error(status, message, code)
    }

    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<chat::Request, Error> {
        match operation {
            Operation::Chat => read::request(body),
            _ => Err(Error::Unsupported("this operation has no translation".into())),
        }
    }

    fn write_request(&self, _request: &chat::Request, _quirks: Quirks) -> Result<Written, Error> {
        let why = "this dialect is spoken to those only who speak it themselves";
        Err(untranslatable("the request", why))
    }

    fn wishes(&self, _operation: Operation, body: &[u8]) -> Wishes {
        let echo = echo::of(body).map(Into::into);
        Wishes { usage: true, echo, ..Wishes::default() }
    }

    fn read_answer(&self, _operation: Operation, body: &[u8]) -> Result<chat::Answer, Unread> {
        answer::whole(body)
    }

    fn write_answer(
        &self,
        _operation: Operation,
        answer: chat::Answer,
        reply: &Reply,
        now_ms: u64,
    ) -> Result<Bytes, String> {
        say::whole(answer, reply, now_ms)
    }

    fn restream(&self, _operation: Operation, body: &[u8], _reply: &Reply) -> Option<Bytes> {
        replay::restream(body)
    }

    fn unstream(&self, _operation: Operation, events: &[Bytes], _reply: &Reply) -> Option<Bytes> {
        replay::unstream(events)
    }

    fn read_models(&self, body: &[u8]) -> Result<Vec<chat::Model>, String> {
        OPENAI.read_models(body)
    }

    fn write_models(&self, models: &[chat::Model]) -> Bytes {
        OPENAI.write_models(models)
    }

    fn write_model(&self, model: &chat::Model) -> Bytes {
        OPENAI.write_model(model)
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
