//! What it means to speak a wire language: its paths, what it asks, how it says error, and how its requests and answers are read and written.
//!
//! Pure functions only: bytes and structs in, bytes and structs out. Times and ids come in as arguments.

mod alike;
pub mod anthropic;
mod ask;
mod base64;
mod failure;
mod json;
mod media;
pub mod ollama;
pub mod openai;
mod quirks;
pub mod responses;
mod time;
mod tokens;

pub(crate) use json::compact;
#[cfg(feature = "gateway")]
pub(crate) use media::shown;
pub use quirks::{Formats, History, Model, Place, Quirks, StreamUsage, Switch, Thinking};

use crate::{chat, error::Error};
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::{fmt::Debug, sync::Arc};

/// What a request wants done, whatever the dialect it says so in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A turn of a conversation: `/v1/chat/completions`, `/api/chat`, `/v1/messages`, `/v1/responses`.
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
    /// How many tokens a conversation has: `/v1/messages/count_tokens`.
    Count,
    /// A model's bytes, of any size: `/api/blobs/{digest}`.
    Blob,
    /// A JSON body with a model in a form we do not translate: most paths below `/v1`.
    Other,
}

impl Operation {
    /// Whether a model has work with it, translated or not.
    pub fn works_a_model(self) -> bool {
        self.asks_a_model() || matches!(self, Self::Other | Self::Count)
    }

    /// Whether a model is asked for an answer, which can be translated.
    pub fn asks_a_model(self) -> bool {
        matches!(self, Self::Chat | Self::Generate | Self::Embed | Self::EmbedOne)
    }
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

    /// Cuts the text to [`Prompt::MAX_TEXT`].
    fn cut(&mut self) {
        if self.text.len() > Self::MAX_TEXT {
            json::cut(&mut self.text, Self::MAX_TEXT);
            self.text.shrink_to_fit();
        }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: Option<u64>,
    /// Tokens of the answer, those of its thinking included.
    pub completion: Option<u64>,
    /// Tokens of the prompt, and counted there, that came from the upstream's own cache.
    pub cached: Option<u64>,
    /// Tokens of the prompt, and counted there, that the upstream put into its own cache.
    pub written: Option<u64>,
    /// Tokens of the answer, and counted there, that were thinking.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Whether anything was counted at all.
    pub fn is_known(self) -> bool {
        self != Self::default()
    }
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
    /// What the client wants to see of the answer's form.
    pub wishes: Wishes,
    /// Whether the upstream's text is a function call, and to be told as one; see [`Written`].
    pub calls_as_text: bool,
    /// Which of several answers to one request this is, from 0; `None` where it is the only one. Only OpenAI's dialect
    /// has several.
    pub choice: Option<usize>,
}

impl Reply {
    /// For a client without wishes. `id`, `created_ms` and `model` as in the fields.
    pub fn new(id: Arc<str>, created_ms: u64, model: Arc<str>) -> Self {
        let wishes = Wishes::default();
        Self { id, created_ms, model, wishes, calls_as_text: false, choice: None }
    }

    /// An id for a function call that the upstream gave none: unique, and the same for the same place.
    fn call_id(&self, index: usize) -> String {
        match self.choice {
            None | Some(0) => format!("call_{}{index}", self.id),
            Some(choice) => format!("call_{}{choice}c{index}", self.id),
        }
    }
}

/// A request written in a dialect.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it is there, which decides its path: a plain prompt may have become a conversation.
    pub operation: Operation,
    /// The body, `application/json`.
    pub body: Bytes,
    /// Fields that change the answer a little and could not be told.
    pub dropped: Vec<&'static str>,
    /// Whether the answer's text will be a function call, as `{"name":…,"arguments":{…}}`, because this dialect has no
    /// other way to make a model call one.
    pub calls_as_text: bool,
}

/// A wire language. Implementations are unit structs; see [`ollama::OLLAMA`],
/// [`openai::OPENAI`], [`anthropic::ANTHROPIC`] and [`responses::RESPONSES`].
pub trait Dialect: Debug + Send + Sync {
    /// The name in configuration, logs and errors: `ollama`, `openai`, `anthropic`, `responses`.
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

    /// Whether this asks for nothing but that its model be loaded or unloaded. Default: there is no such request.
    fn is_load(&self, _operation: Operation, _body: &[u8]) -> bool {
        false
    }

    /// Whether this changes something upstream, so that asking twice is not the same as asking once and no kept answer
    /// stands for it. Default: a load does.
    fn acts(&self, operation: Operation, body: &[u8]) -> bool {
        self.is_load(operation, body)
    }

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

    /// A sign of life inside a stream whose answer has not begun: what clients read over. Default: a comment of
    /// server-sent events.
    fn heartbeat(&self, _operation: Operation, _model: &str, _now_ms: u64) -> Bytes {
        Bytes::from_static(b": keep-alive\n\n")
    }

    /// What a client of this dialect waits for behind an answer that is whole already; empty where there is nothing.
    fn terminal(&self) -> &'static [u8];

    /// The same request with usage in its stream, every other byte as it was; `None` where there is nothing to add.
    fn with_usage(&self, operation: Operation, body: &Bytes) -> Option<Bytes>;

    /// Whether this event has usage and nothing else, as comes only to those who asked for it.
    fn only_usage(&self, event: &[u8]) -> bool;

    /// An upstream's error, told in this dialect.
    fn write_error(&self, status: StatusCode, message: &str, code: Option<&str>) -> Bytes;

    /// Whether an upstream of this dialect fetches a picture from its address by itself. Default: it does.
    fn fetches(&self) -> bool {
        true
    }

    /// Reads a request into the common tongue.
    ///
    /// # Errors
    /// [`Error::BadRequest`] naming the field and what was expected.
    fn read_request(&self, operation: Operation, body: &[u8]) -> Result<chat::Request, Error>;

    /// Writes a request of the common tongue.
    ///
    /// # Errors
    /// [`Error::Untranslatable`] for what this dialect cannot say and must not drop.
    fn write_request(&self, request: &chat::Request, quirks: Quirks) -> Result<Written, Error>;

    /// What the client wants to see of the answer's form: usage in a stream, vectors as base64.
    fn wishes(&self, operation: Operation, body: &[u8]) -> Wishes;

    /// Reads an unstreamed answer.
    ///
    /// # Errors
    /// [`Unread`]: why it is none.
    fn read_answer(&self, operation: Operation, body: &[u8]) -> Result<chat::Answer, Unread>;

    /// Writes an unstreamed answer. `now_ms` is the time since 1970, for how long it took.
    ///
    /// # Errors
    /// The reason, where the upstream's answer cannot be said in this dialect.
    fn write_answer(
        &self,
        operation: Operation,
        answer: chat::Answer,
        reply: &Reply,
        now_ms: u64,
    ) -> Result<Bytes, String>;

    /// An unstreamed answer as the stream that says the same; `None` where something would be lost.
    fn restream(&self, operation: Operation, body: &[u8], reply: &Reply) -> Option<Bytes>;

    /// A whole stream, as its events, as the unstreamed answer that says the same; `None` where something would be lost.
    fn unstream(&self, operation: Operation, events: &[Bytes], reply: &Reply) -> Option<Bytes>;

    /// Reads a list of models.
    ///
    /// # Errors
    /// The reason, for a list that is not understood.
    fn read_models(&self, body: &[u8]) -> Result<Vec<chat::Model>, String>;

    /// Writes a list of models.
    fn write_models(&self, models: &[chat::Model]) -> Bytes;

    /// Writes one model: `/v1/models/{id}`, `/api/show`.
    fn write_model(&self, model: &chat::Model) -> Bytes;

    /// Reads a stream, event by event.
    fn reader(&self, operation: Operation) -> Box<dyn ReadAnswer>;

    /// Writes a stream, event by event.
    fn writer(&self, operation: Operation, reply: &Reply) -> Box<dyn WriteAnswer>;
}

/// The dialect of that name; `None` for a name that is none's.
pub fn named(name: &str) -> Option<&'static dyn Dialect> {
    let known: [&'static dyn Dialect; 4] =
        [&ollama::OLLAMA, &openai::OPENAI, &anthropic::ANTHROPIC, &responses::RESPONSES];
    known.into_iter().find(|dialect| dialect.name() == name)
}

/// What the client wants to see of the answer's form. All absent by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Usage in the stream (OpenAI's `stream_options.include_usage`).
    pub usage: bool,
    /// Vectors as base64 (OpenAI's `encoding_format`), not as numbers.
    pub base64: bool,
    /// Fields of the request that the answer repeats, as one JSON object (the Responses API does so).
    pub echo: Option<Arc<str>>,
}

/// Why a body is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It says that the upstream failed, in these words.
    Failed(String),
    /// It is an answer that was not brought to its end.
    Incomplete,
    /// It is not in the dialect, for this reason.
    Strange(String),
}

/// Reads a stream's events. One value reads one stream.
pub trait ReadAnswer: Debug + Send {
    /// One event's payload (a line, or the data of an SSE event) becomes zero or more deltas.
    fn read(&mut self, event: &[u8], out: &mut Vec<chat::Delta>);

    /// The stream has ended without its terminal. Where the answer is whole all the same,
    /// [`chat::Delta::End`] comes out; where it was cut short, nothing does.
    fn end(&mut self, out: &mut Vec<chat::Delta>);

    /// [`Dialect::error_event`] behind the events read so far, where it depends on them. Default: it does not.
    fn fail(&mut self, _error: &Error) -> Option<Bytes> {
        None
    }
}

/// Writes a stream's events. One value writes one stream.
pub trait WriteAnswer: Debug + Send {
    /// Appends what this delta looks like on the wire, framing included. `now_ms` is the time since 1970.
    /// [`chat::Delta::Error`] is not written here but by [`Dialect::error_event`].
    ///
    /// # Errors
    /// The reason, where the upstream's answer cannot be said in this dialect. Nothing may be written after it.
    fn write(&mut self, delta: chat::Delta, now_ms: u64, out: &mut BytesMut) -> Result<(), String>;

    /// [`Dialect::error_event`] behind the events written so far, where it depends on them. Default: it does not.
    fn fail(&mut self, _error: &Error) -> Option<Bytes> {
        None
    }
}
