//! The events of a stream: each has its name, its number, and what it is about.

use super::item::{Begun, Item, Part, Response};
use crate::{
    dialect::{json, tokens::Told},
    error::Error,
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

/// One event. What it does not speak of is left out.
// Source: openai-python types/responses/response_stream_event.py and what it names.
#[derive(Default, Serialize)]
pub(super) struct Event<'a> {
    pub(super) r#type: &'static str,
    pub(super) sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<Vec<Told<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response<'a>>,
}

/// An item at its beginning or at its end.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Shown<'a> {
    Begun(Begun<'a>),
    Done(&'a Item),
}

impl Event<'_> {
    /// Appends it, framing included.
    pub(super) fn write(&self, out: &mut BytesMut) {
        frame(self.r#type, self, out);
    }
}

/// Appends an event of this name, framing included.
pub(super) fn frame(name: &str, data: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    json::write(&mut out.writer(), data);
    out.put_slice(b"\n\n");
}

/// A failure inside a stream. `number` is the next of its events.
///
/// It says everything twice: at the top, as the API is written down, and in `error`, as it really comes, which is
/// where OpenAI's own clients look for a reason to raise an error.
// Source: openai-python types/responses/response_error_event.py, _streaming.py; openai-dotnet issue 881.
pub(super) fn error(error: &Error, number: u64) -> Bytes {
    #[derive(Serialize)]
    struct Failure<'a> {
        r#type: &'static str,
        sequence_number: u64,
        code: &'a str,
        message: &'a str,
        param: Option<()>,
        error: Words<'a>,
    }
    #[derive(Serialize)]
    struct Words<'a> {
        r#type: &'static str,
        code: &'a str,
        message: &'a str,
        param: Option<()>,
    }
    let (code, message) = (error.code(), &*error.to_string());
    let mut out = BytesMut::with_capacity(2 * message.len() + 256);
    let error = Words { r#type: "server_error", code, message, param: None };
    let failure =
        Failure { r#type: "error", sequence_number: number, code, message, param: None, error };
    frame("error", &failure, &mut out);
    out.freeze()
}
