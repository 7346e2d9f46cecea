//! Asks for usage in a stream that was not to have it, and finds the chunk that has nothing else.

use crate::dialect::json::{self, Fields};
use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;
use std::ops::Range;

/// The same request with `stream_options.include_usage` on, every other byte as it was; `None` where it is
/// on already, the answer is not streamed, or the body is none that can be read.
pub(super) fn with(body: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let fields = Fields::body(text).ok()?;
    if fields.raw("stream")?.get() != "true" {
        return None;
    }
    let raw = |name: &str| fields.iter().filter(|(key, _)| *key == name).last().map(|(_, raw)| raw);
    let Some(options) = raw("stream_options") else {
        let open = text.find('{')? + 1;
        return Some(splice(body, open..open, r#""stream_options":{"include_usage":true},"#));
    };
    if options.get() == "null" {
        return Some(splice(body, place(text, options), r#"{"include_usage":true}"#));
    }
    let inner = Fields::of(options, String::new(), false).ok()?;
    let found = inner.iter().filter(|(key, _)| *key == "include_usage").last();
    match found.map(|(_, raw)| raw) {
        Some(on) if on.get() == "true" => None,
        Some(off) => Some(splice(body, place(text, off), "true")),
        None => {
            let open = place(text, options).start + 1;
            let comma = if inner.iter().next().is_some() { "," } else { "" };
            Some(splice(body, open..open, &format!("\"include_usage\":true{comma}")))
        }
    }
}

/// Where a value borrowed from a text stands in it.
fn place(text: &str, raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + raw.get().len()
}

fn splice(body: &Bytes, at: Range<usize>, with: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + with.len());
    out.extend_from_slice(&body[..at.start]);
    out.extend_from_slice(with.as_bytes());
    out.extend_from_slice(&body[at.end..]);
    out.freeze()
}

/// Whether this event has usage and nothing else, as comes last when usage was asked for.
pub(super) fn only(event: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(event) else { return false };
    let Ok(fields) = Fields::body(text) else { return false };
    fields.has("usage")
        && !fields.has("error")
        && fields.raw("choices").is_none_or(|choices| json::compact(choices.get()) == "[]")
}
