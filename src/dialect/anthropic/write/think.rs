//! How many tokens an Anthropic upstream may spend, and how many of them on thinking.

use crate::{
    chat::{Choice, Conversation, Effort, Request, Think},
    dialect::Quirks,
};
use serde::Serialize;

/// Whether to think first.
// Source: anthropic-python types/thinking_config_param.py.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Thinking {
    Enabled { budget_tokens: u64 },
    Adaptive,
    Disabled,
}

/// What becomes of the wishes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) max_tokens: u64,
    pub(super) thinking: Option<Thinking>,
    /// How hard, for a model that is not told for how many tokens.
    pub(super) effort: Option<&'static str>,
    /// Whether thinking was wanted, and cannot be had.
    pub(super) left_out: bool,
}

/// Tokens of an answer where neither the client nor the upstream's row names a limit; Anthropic wants one.
const ANSWER: u64 = 8192;

/// What stays for the answer where the client names no limit.
const REST: u64 = 4096;

/// The smallest budget. Source: anthropic-python types/thinking_config_enabled_param.py.
const LEAST: u64 = 1024;

impl Thinking {
    pub(super) fn is_on(self) -> bool {
        matches!(self, Self::Enabled { .. } | Self::Adaptive)
    }
}

pub(super) fn plan(request: &Request, conversation: &Conversation, quirks: Quirks) -> Plan {
    let limit = request.sampling.max_tokens.as_ref().map(|number| number.value() as u64);
    let default = if quirks.answer_tokens == 0 { ANSWER } else { quirks.answer_tokens };
    let max_tokens = limit.unwrap_or(default);
    let plain = |thinking, left_out| Plan { max_tokens, thinking, effort: None, left_out };
    let Some(think) = conversation.think else { return plain(None, false) };
    let Some(budget) = budget(think) else { return plain(Some(Thinking::Disabled), false) };
    if is_refused(conversation) {
        return plain(None, true);
    }
    if quirks.adaptive_thinking {
        let room = limit.unwrap_or(max_tokens.max(budget.saturating_add(REST)));
        // Anthropic's efforts begin with low.
        let effort = think.effort().map(|effort| effort.max(Effort::Low).as_str());
        return Plan { max_tokens: room, effort, ..plain(Some(Thinking::Adaptive), false) };
    }
    // The budget is a part of the limit, and some of it is for the answer.
    let (budget, max_tokens) = match limit {
        Some(limit) if limit > LEAST => {
            let most = (limit - limit / 4).max(LEAST).min(limit - 1);
            (budget.min(most), limit)
        }
        Some(_) => return plain(None, true),
        None => (budget, max_tokens.max(budget.saturating_add(REST))),
    };
    let thinking = Some(Thinking::Enabled { budget_tokens: budget });
    Plan { max_tokens, ..plain(thinking, false) }
}

fn budget(think: Think) -> Option<u64> {
    Some(match think {
        Think::Off => return None,
        Think::Effort(Effort::Minimal | Effort::Low) => 2048,
        Think::On | Think::Effort(Effort::Medium) => 8192,
        Think::Effort(Effort::High) => 24_576,
        Think::Effort(Effort::Xhigh | Effort::Max) => 32_000,
        Think::Budget(budget) => budget.max(LEAST),
    })
}

/// Whether the API would refuse to think here: where a tool must be called, and where the last turn called tools and its
/// own thinking is not there, or has lost its seal.
// Source: platform.claude.com/docs, "Extended thinking with tool use": tool_choice auto or none only; the API's "a final
// `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result`
// blocks)".
fn is_refused(conversation: &Conversation) -> bool {
    let forced = match &conversation.tool_choice {
        Some(Choice::Required | Choice::Named(_) | Choice::Allowed { required: true, .. }) => {
            !conversation.tools.is_empty()
        }
        Some(Choice::Auto | Choice::None | Choice::Allowed { required: false, .. }) | None => false,
    };
    let last = conversation.messages.iter().rfind(|message| message.role == "assistant");
    let unsealed = last.is_some_and(|message| {
        !message.calls.is_empty() && message.signature.as_deref().unwrap_or_default().is_empty()
    });
    forced || unsealed
}
