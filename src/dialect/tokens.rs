//! Tokens and their probabilities, which Ollama and OpenAI tell in nearly the same shape.

use crate::chat::{Number, Token};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

// Source: ollama api/types.go Logprob; openai-python types/chat/chat_completion_token_logprob.py.
#[derive(Deserialize)]
struct Entry<'a> {
    token: String,
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Self>>,
}

/// Reads a list of tokens; what is not understood is left out.
pub(super) fn read(raw: &RawValue) -> Vec<Token> {
    let entries = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default();
    let entries = entries.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok());
    entries.filter_map(token).collect()
}

fn token(entry: Entry<'_>) -> Option<Token> {
    Some(Token {
        text: entry.token,
        logprob: Number::new(entry.logprob)?,
        bytes: entry.bytes,
        others: entry.top_logprobs.unwrap_or_default().into_iter().filter_map(token).collect(),
    })
}

/// A token as it is written.
#[derive(Debug)]
pub(super) struct Told<'a> {
    token: &'a Token,
    /// Whether what is not known is said to be null or empty, as OpenAI does, and not left out.
    full: bool,
    /// Whether it is one of the likely others, which have no others of their own.
    other: bool,
}

/// Tokens as Ollama tells them: without what is not known.
pub(super) fn short(tokens: &[Token]) -> Vec<Told<'_>> {
    tokens.iter().map(|token| Told { token, full: false, other: false }).collect()
}

/// Tokens as OpenAI tells them: with every key.
pub(super) fn full(tokens: &[Token]) -> Vec<Told<'_>> {
    tokens.iter().map(|token| Told { token, full: true, other: false }).collect()
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { token, full, .. } = *self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("token", &token.text)?;
        map.serialize_entry("logprob", &token.logprob)?;
        if full || token.bytes.is_some() {
            map.serialize_entry("bytes", &token.bytes)?;
        }
        if !self.other && (full || !token.others.is_empty()) {
            let others = token.others.iter().map(|token| Self { token, full, other: true });
            map.serialize_entry("top_logprobs", &others.collect::<Vec<_>>())?;
        }
        map.end()
    }
}
