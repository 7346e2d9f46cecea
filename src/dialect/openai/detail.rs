//! What was thought with the seal on it, as OpenRouter tells it; OpenAI's own dialect has no place for the seal, and
//! Anthropic wants it back.

use serde::Serialize;

// Source: openrouter.ai/docs, "Reasoning tokens", reasoning_details.
#[derive(Serialize)]
pub(super) struct Detail<'a> {
    r#type: &'static str,
    text: &'a str,
    signature: &'a str,
    format: &'static str,
    index: usize,
}

impl<'a> Detail<'a> {
    pub(super) fn new(text: &'a str, signature: &'a str) -> Self {
        let (r#type, format) = ("reasoning.text", "anthropic-claude-v1");
        Self { r#type, text, signature, format, index: 0 }
    }
}
