//! What it means to speak a wire language: its paths, what it asks, how it says error, and how its answers are read and written.
//!
//! Pure functions only: bytes and structs in, bytes and structs out. Times and ids come in as arguments.

pub mod ollama;
pub mod openai;

use crate::{chat, error::Error};
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use std::{fmt::Debug, sync::Arc};

/// What a request wants done, whatever the dialect it says so in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A turn of a conversation: `/v1/chat/completions`, `/api/chat`.
    Chat,
    /// A continuation of a text: `/v1/completions`, `/api/generate`.
    Generate,
    /// Vectors for texts: `/v1/embeddings`, `/api/embed`.
    Embed,
    /// One vector for one text, Ollama's old form: `/api/embeddings`.
    EmbedOne,
    /// Which models there are: `/v1/models`, `/api/tags`.
    Models,
    /// What a model is: `/v1/models/{id}`, `/api/show`.
    Model,
    /// Which models are loaded: `/api/ps`.
    Loaded,
    /// Which version this is: `/api/version`.
    Version,
    /// The sign of life at `/`.
    Root,
    /// Fetch a model: `/api/pull`.
    Pull,
    /// Change or publish what is installed: push, create, copy, delete.
    Manage,
    /// A model's bytes, of any size: `/api/blobs/{digest}`.
    Blob,
    /// A JSON body with a model in a form we do not translate: `/v1/responses` and other paths below `/v1`.
    Other,
}

/// What the client wanted, read once from a whole body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The model as the client wrote it; `None` when the operation names none.
    pub model: Option<Arc<str>>,
    /// Whether the answer is to be streamed, the dialect's default included.
    pub stream: bool,
}

/// What the rules of the router look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The newest text of the user, or the prompt; at most [`Prompt::MAX_TEXT`] bytes of it.
    pub text: String,
    /// Bytes of all text in the request: messages, system, tools.
    pub bytes: usize,
    /// Number of messages (1 for a plain prompt).
    pub messages: usize,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether an image (or audio) is sent.
    pub images: bool,
    /// Whether thinking is asked for explicitly.
    pub thinking: bool,
    /// Whether this is a fill-in-the-middle or raw prompt, which no intent may re-route.
    pub verbatim: bool,
}

impl Prompt {
    /// Most bytes of text that the rules look at; the rest of a longer prompt is counted, not searched.
    pub const MAX_TEXT: usize = 32 * 1024;

    /// Tokens as the rules count them: bytes / 4, an estimate.
    pub fn estimated_tokens(&self) -> usize {
        self.bytes.div_ceil(4)
    }
}

/// How a dialect cuts a stream into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON object a line (NDJSON).
    Lines,
    /// Server-sent events.
    Events,
}

impl Framing {
    /// The `Content-Type` of such a stream.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }
}

/// Tokens as the upstream counted them. `None` where it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: Option<u64>,
    /// Tokens of the answer.
    pub completion: Option<u64>,
}

/// What an answer in the client's dialect is to say of itself; made once for each attempt.
#[derive(Clone, Debug)]
pub struct Reply {
    /// At least 96 random bits in lower-case letters and digits; dialects put their own prefix before it.
    pub id: Arc<str>,
    /// Now, in milliseconds since 1970.
    pub created_ms: u64,
    /// The model name to answer with.
    pub model: Arc<str>,
    /// Whether the client asked for usage in the stream (OpenAI's `stream_options.include_usage`).
    pub usage: bool,
}

/// What one upstream does differently from others of its dialect: data, not code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// The token limit goes out as `max_completion_tokens`, not `max_tokens`.
    pub max_completion_tokens: bool,
    /// `top_k`, `min_p` and `repetition_penalty` are understood.
    pub sampling_extras: bool,
    /// `reasoning_effort` is understood.
    pub reasoning_effort: bool,
}

/// A wire language. Implementations are unit structs; see [`ollama::OLLAMA`] and [`openai::OPENAI`].
pub trait Dialect: Debug + Send + Sync {
    /// The name in configuration, logs and errors: `ollama`, `openai`.
    fn name(&self) -> &'static str;

    /// Which operation this method and path mean; `None` for a path that is not this dialect's.
    fn operation(&self, method: &Method, path: &str) -> Option<Operation>;

    /// The path of a translatable operation; `None` when this dialect has no such thing.
    fn path(&self, operation: Operation) -> Option<&'static str>;

    /// Reads what the client wants from a whole body.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a body that is not JSON, is empty, has the wrong type in a field that the
    /// gateway decides on, or has such a field twice (also in another case).
    fn ask(&self, operation: Operation, body: &[u8]) -> Result<Ask, Error>;

    /// What the router's rules look at. Never fails: what cannot be read is absent.
    fn prompt(&self, operation: Operation, body: &[u8]) -> Prompt;

    /// Whether the same request would be answered the same way: temperature 0 or a fixed seed, or an operation without chance.
    fn deterministic(&self, operation: Operation, body: &[u8]) -> bool;

    /// Top-level fields that change how an answer travels and not what it says; they are no part of a cache key.
    fn transport_fields(&self) -> &'static [&'static str];

    /// How streams are cut.
    fn framing(&self) -> Framing;

    /// An error as a whole body, `application/json`.
    fn error(&self, error: &Error, request_id: &str) -> Bytes;

    /// An error inside a stream that has begun; no terminal follows it.
    fn error_event(&self, error: &Error) -> Bytes;

    /// The words in an upstream's error body, and its code where it has one.
    fn read_error(&self, status: StatusCode, body: &[u8]) -> (String, Option<String>);

    /// An upstream's error, told in this dialect.
    fn write_error(&self, status: StatusCode, message: &str, code: Option<&str>) -> Bytes;

    /// Reads a request into the common tongue.
    ///
    /// # Errors
    /// [`Error::BadRequest`] naming the field and what was expected.
    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<chat::Request, Error>;

    /// Writes a request of the common tongue.
    ///
    /// # Errors
    /// [`Error::Untranslatable`] for what this dialect cannot say and must not drop.
    fn write_request(&self, request: &chat::Request, quirks: Quirks) -> Result<Bytes, Error>;

    /// Reads an unstreamed answer.
    ///
    /// # Errors
    /// The reason, for an answer that is not whole or not understood.
    fn read_answer(&self, operation: Operation, body: &[u8]) -> Result<chat::Answer, String>;

    /// Writes an unstreamed answer.
    fn write_answer(&self, operation: Operation, answer: &chat::Answer, reply: &Reply) -> Bytes;

    /// Reads a stream, event by event.
    fn reader(&self, operation: Operation) -> Box<dyn ReadAnswer>;

    /// Writes a stream, event by event.
    fn writer(&self, operation: Operation, reply: &Reply) -> Box<dyn WriteAnswer>;
}

/// Reads a stream's events. One value reads one stream.
pub trait ReadAnswer: Debug + Send {
    /// One event's payload (a line, or the data of an SSE event) becomes zero or more deltas.
    fn read(&mut self, event: &[u8], out: &mut Vec<chat::Delta>);

    /// The stream has ended: what was held back comes out, or a [`chat::Delta::Error`] when it was cut short.
    fn end(&mut self, out: &mut Vec<chat::Delta>);
}

/// Writes a stream's events. One value writes one stream.
pub trait WriteAnswer: Debug + Send {
    /// Appends what this delta looks like on the wire, framing included. `now_ms` is the time since 1970.
    fn write(&mut self, delta: &chat::Delta, now_ms: u64, out: &mut BytesMut);
}
