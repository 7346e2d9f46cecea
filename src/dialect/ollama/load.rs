//! Answers requests that only load or unload a model, where the model's upstream has no such thing.

use crate::{
    dialect::{
        Operation, Reply,
        json::{self, Fields},
        time::Utc,
    },
    error::Error,
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

// Source: ollama server/routes.go ChatHandler, GenerateHandler: one JSON object, whatever `stream` says, and no metrics.
#[derive(Serialize)]
struct Loaded<'a> {
    model: &'a str,
    created_at: Utc,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'static str>,
    done: bool,
    done_reason: &'static str,
}

#[derive(Serialize)]
struct Empty {
    role: &'static str,
    content: &'static str,
}

#[derive(Serialize)]
struct NoVectors<'a> {
    model: &'a str,
    embeddings: [f32; 0],
}

#[derive(Serialize)]
struct NoVector {
    embedding: [f32; 0],
}

/// The answer to a request without messages, prompt or input; `None` for every other request.
///
/// Ollama loads the model for such a request, or unloads it when `keep_alive` is 0.
///
/// # Errors
/// [`Error::BadRequest`] for a body that is not JSON, or a `keep_alive` that is neither a number nor a duration.
pub fn load_answer(
    operation: Operation,
    body: &[u8],
    reply: &Reply,
) -> Result<Option<Bytes>, Error> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body)?.folded();
    if !asks_nothing(operation, &fields) {
        return Ok(None);
    }
    let model = &*reply.model;
    let loaded = |message, response| {
        let unload = keep_alive(&fields)? == Some(0.0);
        Ok::<_, Error>(json::bytes(&Loaded {
            model,
            created_at: Utc(reply.created_ms),
            message,
            response,
            done: true,
            done_reason: if unload { "unload" } else { "load" },
        }))
    };
    Ok(match operation {
        Operation::Chat => Some(loaded(Some(Empty { role: "assistant", content: "" }), None)?),
        Operation::Generate => Some(loaded(None, Some(""))?),
        Operation::Embed => Some(json::bytes(&NoVectors { model, embeddings: [] })),
        Operation::EmbedOne => Some(json::bytes(&NoVector { embedding: [] })),
        _ => None,
    })
}

/// Whether a request is there only for its model to be loaded or unloaded.
pub(super) fn is_load(operation: Operation, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    Fields::body(&body).is_ok_and(|fields| asks_nothing(operation, &fields.folded()))
}

fn asks_nothing(operation: Operation, fields: &Fields<'_>) -> bool {
    let empty = |name| match fields.raw(name).map(RawValue::get) {
        None => true,
        Some(raw) => raw == "\"\"" || raw.trim_start_matches('[').trim_start() == "]",
    };
    match operation {
        Operation::Chat => empty("messages"),
        Operation::Generate => empty("prompt") && empty("suffix") && empty("images"),
        Operation::Embed => empty("input"),
        Operation::EmbedOne => empty("prompt"),
        _ => false,
    }
}

/// Seconds to stay loaded; negative is for ever, `None` the default.
fn keep_alive(fields: &Fields<'_>) -> Result<Option<f64>, Error> {
    let Some(raw) = fields.raw("keep_alive") else { return Ok(None) };
    let seconds = match json::text(raw) {
        Some(text) => duration(&text),
        None => raw.get().parse().ok(),
    };
    let expected = "a number of seconds or a duration with units, like \"5m\"";
    seconds.map(Some).ok_or_else(|| fields.wrong("keep_alive", expected))
}

/// Seconds of a Go duration: `1h30m`, `-1s`, `300ms`, `0`. Source: Go time.ParseDuration.
fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += count
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, seconds) in [("5m", 300.0), ("1h30m", 5400.0), ("-1s", -1.0), ("300ms", 0.3)] {
            assert_eq!(duration(text), Some(seconds), "{text}");
        }
        assert_eq!(duration("0"), Some(0.0));
        for text in ["5", "", "-", "m", "5x", "5m3", "soon", "1..5s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
