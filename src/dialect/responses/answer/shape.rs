//! What is looked at of an event, an item and an answer; all else is passed over.

use crate::dialect::{
    Usage,
    json::{Count, Loose},
};
use serde::Deserialize;
use serde_json::value::RawValue;

// Source: openai-python types/responses/response_stream_event.py and what it names.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) r#type: Loose<'a>,
    pub(super) sequence_number: Count,
    pub(super) output_index: Count,
    pub(super) summary_index: Count,
    pub(super) delta: Loose<'a>,
    pub(super) arguments: Loose<'a>,
    pub(super) logprobs: Option<&'a RawValue>,
    pub(super) item: Option<&'a RawValue>,
    pub(super) response: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) message: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    pub(super) r#type: Loose<'a>,
    pub(super) call_id: Loose<'a>,
    pub(super) name: Loose<'a>,
    pub(super) arguments: Loose<'a>,
    pub(super) encrypted_content: Loose<'a>,
    pub(super) summary: Option<&'a RawValue>,
    pub(super) content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Loose<'a>,
    pub(super) refusal: Loose<'a>,
    pub(super) logprobs: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Whole<'a> {
    #[serde(borrow)]
    pub(super) status: Loose<'a>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) incomplete_details: Option<Why<'a>>,
    pub(super) output: Option<Vec<&'a RawValue>>,
    pub(super) usage: Option<Counts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Why<'a> {
    #[serde(borrow)]
    pub(super) reason: Loose<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) input_tokens: Count,
    pub(super) output_tokens: Count,
    pub(super) input_tokens_details: Option<InputDetails>,
    pub(super) output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct InputDetails {
    pub(super) cached_tokens: Count,
    pub(super) cache_write_tokens: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputDetails {
    pub(super) reasoning_tokens: Count,
}

pub(super) fn item(raw: &RawValue) -> Item<'_> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

pub(super) fn parts(raw: Option<&RawValue>) -> Vec<Part<'_>> {
    let parts = raw.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
    let parts = parts.unwrap_or_default().into_iter();
    parts.filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
}

pub(super) fn usage(counts: Counts) -> Usage {
    let input = counts.input_tokens_details.unwrap_or_default();
    Usage {
        prompt: counts.input_tokens.0,
        completion: counts.output_tokens.0,
        cached: input.cached_tokens.0,
        written: input.cache_write_tokens.0,
        reasoning: counts.output_tokens_details.and_then(|details| details.reasoning_tokens.0),
    }
}
