//! The shapes of OpenAI's answers.

use crate::{
    chat::Number,
    dialect::{Usage, openai::detail::Detail, tokens::Told},
};
use serde::Serialize;
use std::collections::BTreeMap;

// Source: openai-python types/chat/chat_completion.py, chat_completion_chunk.py, types/completion.py.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) system_fingerprint: &'static str,
    pub(super) choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Option<Counts>>,
}

#[derive(Serialize)]
pub(super) struct Choice<'a> {
    pub(super) index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<Words<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Words<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    // Completions have no place for it; as an extra field it is at least not lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning: Option<&'a str>,
    pub(super) logprobs: Option<Logprobs<'a>>,
    pub(super) finish_reason: Option<&'static str>,
}

/// In the shape of chats, or in that of completions.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Logprobs<'a> {
    Chat {
        content: Vec<Told<'a>>,
        refusal: Option<()>,
    },
    Text {
        tokens: Vec<&'a str>,
        token_logprobs: Vec<&'a Number>,
        top_logprobs: Vec<BTreeMap<&'a str, &'a Number>>,
        text_offset: Vec<usize>,
    },
}

#[derive(Default, Serialize)]
pub(super) struct Words<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_details: Option<[Detail<'a>; 1]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<Called<'a>>,
}

#[derive(Serialize)]
pub(super) struct Called<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<&'static str>,
    pub(super) function: Function<'a>,
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) arguments: &'a str,
}

#[derive(Clone, Copy, Serialize)]
pub(in crate::dialect::openai) struct Counts {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt_tokens_details: Option<PromptDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct PromptDetails {
    pub(super) cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_write_tokens: Option<u64>,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct CompletionDetails {
    pub(super) reasoning_tokens: u64,
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let (prompt, completion) = (usage.prompt.unwrap_or(0), usage.completion.unwrap_or(0));
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt.saturating_add(completion),
            prompt_tokens_details: usage.cached.or(usage.written).map(|_| PromptDetails {
                cached_tokens: usage.cached.unwrap_or(0),
                cache_write_tokens: usage.written,
            }),
            completion_tokens_details: usage
                .reasoning
                .map(|reasoning_tokens| CompletionDetails { reasoning_tokens }),
        }
    }
}
