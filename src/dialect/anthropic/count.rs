//! How many tokens a conversation has, where no upstream counts them: an estimate.

use super::ask;
use crate::{
    dialect::{Operation, json},
    error::Error,
};
use bytes::Bytes;
use serde::Serialize;

// Source: anthropic-python types/message_tokens_count.py.
#[derive(Serialize)]
struct Count {
    input_tokens: usize,
}

/// The answer to `/v1/messages/count_tokens`, by bytes / 4 over all text. Agents ask for it before long prompts, and
/// take a 404 for a fault of theirs.
///
/// Source: ollama anthropic/anthropic.go EstimateInputTokens, which counts alike.
///
/// # Errors
/// [`Error::BadRequest`] where there are no messages to count.
pub(crate) fn estimate(body: &[u8]) -> Result<Bytes, Error> {
    let prompt = ask::prompt(Operation::Count, body).unwrap_or_default();
    if prompt.messages == 0 {
        return Err(Error::BadRequest("messages: Field required".into()));
    }
    Ok(json::bytes(&Count { input_tokens: prompt.estimated_tokens() }))
}
