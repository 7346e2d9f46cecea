//! The shapes of answers, with what is different here and there.

use crate::{
    chat::{Number, Token},
    dialect::{
        json::{self, Count, Few, Loose},
        tokens,
    },
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

// Source: openai-python types/chat/chat_completion_chunk.py, types/completion.py.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub(super) choices: Option<Few<Choice<'a>>>,
    pub(super) usage: Option<Counts>,
    // Groq: its usage and its errors stand here.
    pub(super) x_groq: Option<Groq<'a>>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) object: Loose<'a>,
    pub(super) message: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Groq<'a> {
    pub(super) usage: Option<Counts>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) prompt_tokens: Count,
    pub(super) completion_tokens: Count,
    pub(super) prompt_tokens_details: Option<PromptDetails>,
    pub(super) completion_tokens_details: Option<CompletionDetails>,
    // DeepSeek's own name for the cached ones, and Together's.
    pub(super) prompt_cache_hit_tokens: Count,
    pub(super) cached_tokens: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct PromptDetails {
    pub(super) cached_tokens: Count,
    pub(super) cache_write_tokens: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct CompletionDetails {
    pub(super) reasoning_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) delta: Option<Words<'a>>,
    pub(super) message: Option<Words<'a>>,
    pub(super) text: Loose<'a>,
    pub(super) reasoning: Loose<'a>,
    pub(super) logprobs: Option<&'a RawValue>,
    pub(super) finish_reason: Given<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Words<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) reasoning: Loose<'a>,
    pub(super) reasoning_content: Loose<'a>,
    // OpenRouter: the same text again, and the seal on it.
    pub(super) reasoning_details: Option<&'a RawValue>,
    pub(super) refusal: Loose<'a>,
    pub(super) tool_calls: Option<Few<Called<'a>>>,
    pub(super) function_call: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Called<'a> {
    pub(super) index: Count,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    pub(super) function: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Loose<'a>,
    pub(super) arguments: Option<&'a RawValue>,
}

/// A field that may be null, which is not the same as not being there.
#[derive(Default)]
pub(super) struct Given<'a>(pub(super) Option<Loose<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Loose::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

/// A text, or a list of parts of which some are thoughts.
#[derive(Default)]
pub(super) struct Content<'a> {
    pub(super) text: Loose<'a>,
    pub(super) thinking: Option<String>,
}

impl<'a> Content<'a> {
    pub(super) fn read(raw: &'a RawValue) -> Self {
        // Source: mistralai models/thinkchunk.py; each part of a thought is a part itself.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Part<'a> {
            #[serde(borrow)]
            thinking: Loose<'a>,
        }
        let text = serde_json::from_str(raw.get());
        // What is no text as it stands may be one that was cut inside a character.
        let text = text.unwrap_or_else(|_| Loose(json::text(raw).map(Cow::Owned)));
        let parts = match json::is_list(raw) {
            true => serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_default(),
            false => Vec::new(),
        };
        let thoughts = parts.into_iter().filter_map(|part| {
            serde_json::from_str::<Part<'_>>(part.get()).ok()?.thinking.filled()
        });
        let thinking = thoughts.collect::<String>();
        Self { text, thinking: Some(thinking).filter(|text| !text.is_empty()) }
    }
}

/// The seal on what was thought.
pub(super) fn seal(details: &RawValue) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Sealed<'a> {
        #[serde(borrow)]
        signature: Loose<'a>,
    }
    let details = serde_json::from_str::<Vec<&RawValue>>(details.get()).ok()?;
    details.into_iter().find_map(|detail| {
        let sealed = serde_json::from_str::<Sealed<'_>>(detail.get()).ok()?;
        sealed.signature.filled().map(Cow::into_owned)
    })
}

/// Tokens with their probabilities, in the shape of chats or in that of completions.
pub(super) fn probable(raw: &RawValue) -> Vec<Token> {
    // Source: openai-python types/completion_choice.py.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Probable<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        tokens: Option<Vec<String>>,
        token_logprobs: Option<Vec<Option<&'a RawValue>>>,
        top_logprobs: Option<Vec<Option<BTreeMap<String, &'a RawValue>>>>,
    }
    let probable = serde_json::from_str::<Probable<'_>>(raw.get()).unwrap_or_default();
    if let Some(content) = probable.content {
        return tokens::read(content);
    }
    let token = |text: String, logprob: &RawValue| {
        Some(Token { text, logprob: Number::new(logprob)?, bytes: None, others: Vec::new() })
    };
    let logprobs = probable.token_logprobs.unwrap_or_default();
    let mut others = probable.top_logprobs.unwrap_or_default().into_iter();
    let list = probable.tokens.unwrap_or_default().into_iter().zip(logprobs);
    list.filter_map(|(text, logprob)| {
        let others = others.next().flatten().unwrap_or_default();
        let others = others.into_iter().filter_map(|(text, logprob)| token(text, logprob));
        Some(Token { others: others.collect(), ..token(text, logprob?)? })
    })
    .collect()
}
