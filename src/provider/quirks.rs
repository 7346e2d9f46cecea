//! What each provider does differently, and where that is said.

use crate::{
    chat::Effort::{self, High, Low, Max, Medium, Minimal, Xhigh},
    dialect::{Formats, History, Model, Place, Quirks, StreamUsage, Switch, Thinking},
};

/// What all who speak like OpenAI share; nothing else is sent.
pub(super) const UNKNOWN: Quirks = Quirks {
    max_completion_tokens: false,
    usage: StreamUsage::Tried,
    takes: &[],
    refuses: &[],
    thinking: UNTOLD,
    history: History::Never,
    formats: Formats::All,
    random_seed: false,
    max_temperature_tenths: 0,
    short_ids: false,
    choice_is_a_word: false,
    call_seal: None,
    answer_tokens: 0,
    adaptive_thinking: false,
    models: &[],
};

const UNTOLD: Thinking = Thinking { efforts: &[], place: Place::Plain, switch: Switch::Nothing };

const EFFORTS: Thinking = Thinking { efforts: THREE, ..UNTOLD };

const THREE: &[Effort] = &[Low, Medium, High];
const ALL: &[Effort] = &[Minimal, Low, Medium, High, Xhigh, Max];
const EXTRAS: &[&str] = &["top_k", "min_p", "repetition_penalty"];

// Its own dialect is spoken unless the configuration says otherwise; this is its /v1.
// Source: ollama openai/openai.go FromChatRequest: `max_completion_tokens` is not read.
pub(super) const OLLAMA: Quirks = Quirks {
    usage: StreamUsage::Asked,
    refuses: &["parallel_tool_calls", "user"],
    thinking: Thinking { efforts: &[Low, Medium, High, Max], switch: Switch::Effort, ..UNTOLD },
    history: History::Reasoning,
    ..UNKNOWN
};

// Source: openai-python types/chat/completion_create_params.py, shared/reasoning_effort.py.
pub(super) const OPENAI: Quirks = Quirks {
    max_completion_tokens: true,
    usage: StreamUsage::Asked,
    thinking: NEWEST,
    models: OPENAI_MODELS,
    ..UNKNOWN
};

// A deployment may have any name; where it is not the model's own, nothing is known of the model.
pub(super) const AZURE: Quirks = Quirks { thinking: UNTOLD, ..OPENAI };

const NEWEST: Thinking =
    Thinking { efforts: &[Low, Medium, High, Xhigh], switch: Switch::Effort, ..UNTOLD };

/// Models that think choose their tokens themselves: they refuse everything but the defaults.
const CHOOSES: &[&str] = &[
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "stop",
];

const CHOOSES_BUT_STOPS: &[&str] =
    &["temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"];

// Source: platform.openai.com/docs/guides/reasoning; openai-python types/shared/reasoning_effort.py (which model knows
// which effort); the API's own words: "Unsupported value: 'temperature' does not support 0.5 with this model",
// "Unsupported parameter: 'stop' is not supported with this model" (langchaingo 1355, dify 18971, smolagents 1671).
const OPENAI_MODELS: &[Model] = &[
    Model { prefix: "gpt-5-chat", thinking: UNTOLD, refuses: &[] },
    Model {
        prefix: "gpt-5-pro",
        thinking: Thinking { efforts: &[High], ..UNTOLD },
        refuses: CHOOSES,
    },
    Model { prefix: "gpt-5.1", thinking: Thinking { efforts: THREE, ..NEWEST }, refuses: CHOOSES },
    Model { prefix: "gpt-5.", thinking: NEWEST, refuses: CHOOSES },
    Model {
        prefix: "gpt-5",
        thinking: Thinking { efforts: &[Minimal, Low, Medium, High], ..UNTOLD },
        refuses: CHOOSES,
    },
    Model { prefix: "o1", thinking: EFFORTS, refuses: CHOOSES_BUT_STOPS },
    Model { prefix: "o3-mini", thinking: EFFORTS, refuses: CHOOSES_BUT_STOPS },
    Model { prefix: "o3", thinking: EFFORTS, refuses: CHOOSES },
    Model { prefix: "o4", thinking: EFFORTS, refuses: CHOOSES },
    Model { prefix: "gpt-3", thinking: UNTOLD, refuses: &[] },
    Model { prefix: "gpt-4", thinking: UNTOLD, refuses: &[] },
    Model { prefix: "chatgpt-", thinking: UNTOLD, refuses: &[] },
    Model { prefix: "ft:", thinking: UNTOLD, refuses: &[] },
];

// Source: vllm entrypoints/openai/chat_completion/protocol.py: older versions know three efforts and set
// `enable_thinking` by none of them; all hand `chat_template_kwargs` on, and templates ignore what they do not know.
pub(super) const VLLM: Quirks = Quirks {
    usage: StreamUsage::Asked,
    takes: EXTRAS,
    thinking: Thinking { switch: Switch::Template, ..EFFORTS },
    history: History::Reasoning,
    ..UNKNOWN
};

// Source: llama.cpp tools/server/README.md: `chat_template_kwargs`, `reasoning_content` both ways, `repeat_penalty`;
// a `tool_choice` that is an object is read as "auto".
pub(super) const LLAMACPP: Quirks = Quirks {
    usage: StreamUsage::Asked,
    takes: &["top_k", "min_p", "repeat_penalty"],
    thinking: Thinking { efforts: THREE, place: Place::Template, switch: Switch::Template },
    history: History::ReasoningContent,
    choice_is_a_word: true,
    ..UNKNOWN
};

// Source: lmstudio.ai/docs/developer/openai-compat/chat-completions (the list of parameters); lmstudio-bug-tracker 670:
// "Invalid tool_choice type: 'object'"; its structured output knows schemas only.
pub(super) const LMSTUDIO: Quirks = Quirks {
    takes: &["top_k", "repeat_penalty"],
    refuses: &["logprobs", "top_logprobs", "parallel_tool_calls"],
    formats: Formats::Schema,
    choice_is_a_word: true,
    ..UNKNOWN
};

// Source: console.groq.com/docs/openai (fields that are a 400); groq-python types/chat/completion_create_params.py
// (penalties "not yet supported by any of our models"; which model knows which effort).
pub(super) const GROQ: Quirks = Quirks {
    max_completion_tokens: true,
    usage: StreamUsage::Asked,
    refuses: &["logprobs", "top_logprobs", "frequency_penalty", "presence_penalty"],
    models: &[
        Model { prefix: "gpt-oss", thinking: EFFORTS, refuses: &[] },
        Model {
            prefix: "qwen3.8",
            thinking: Thinking { switch: Switch::Effort, ..EFFORTS },
            refuses: &[],
        },
        Model {
            prefix: "qwen3",
            thinking: Thinking { switch: Switch::Effort, ..UNTOLD },
            refuses: &[],
        },
    ],
    ..UNKNOWN
};

// Source: openrouter.ai/docs/api_reference/parameters and /use-cases/reasoning-tokens.
pub(super) const OPENROUTER: Quirks = Quirks {
    usage: StreamUsage::Asked,
    takes: EXTRAS,
    thinking: Thinking { efforts: ALL, place: Place::Nested, switch: Switch::Effort },
    history: History::Details,
    ..UNKNOWN
};

// Source: mistralai models/chatcompletionstreamrequest.py (the API refuses every other field, `stream_options` among
// them: anon-kode 53), models/reasoningeffort.py; "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9";
// docs.mistral.ai/api: a temperature of at most 1.5. Usage is in the last chunk always.
pub(super) const MISTRAL: Quirks = Quirks {
    usage: StreamUsage::Unasked,
    takes: &["top_k", "repetition_penalty"],
    refuses: &["user"],
    thinking: Thinking { efforts: ALL, switch: Switch::Effort, ..UNTOLD },
    random_seed: true,
    max_temperature_tenths: 15,
    short_ids: true,
    // These think always.
    models: &[Model { prefix: "magistral", thinking: UNTOLD, refuses: &[] }],
    ..UNKNOWN
};

// Source: api-docs.deepseek.com/guides/thinking_mode (it maps the efforts that it does not have itself, and wants
// `reasoning_content` back where tools were called), /api/create-chat-completion (every field that it has).
pub(super) const DEEPSEEK: Quirks = Quirks {
    usage: StreamUsage::Asked,
    refuses: &["seed", "parallel_tool_calls", "user"],
    thinking: Thinking { efforts: ALL, switch: Switch::Typed, ..UNTOLD },
    history: History::ReasoningContent,
    formats: Formats::Object,
    ..UNKNOWN
};

// Source: ai.google.dev/gemini-api/docs/openai; what it does not know is a 400: `Unknown name "frequency_penalty":
// Cannot find field` (page-assist 418, ChatterUI 227). Thinking cannot be turned off in 2.5 Pro and from 3 on.
// Source of the seal: ai.google.dev/gemini-api/docs/thought-signatures, for history from elsewhere; without one,
// Gemini 3 refuses every call that it is shown again.
pub(super) const GEMINI: Quirks = Quirks {
    usage: StreamUsage::Asked,
    refuses: &["frequency_penalty", "presence_penalty", "seed", "logprobs", "top_logprobs", "user"],
    thinking: GEMINI_EFFORTS,
    call_seal: Some("skip_thought_signature_validator"),
    models: &[
        Model { prefix: "gemini-2.5-pro", thinking: GEMINI_EFFORTS, refuses: &[] },
        Model {
            prefix: "gemini-2.5",
            thinking: Thinking { switch: Switch::Effort, ..GEMINI_EFFORTS },
            refuses: &[],
        },
        Model { prefix: "gemini-2.0", thinking: UNTOLD, refuses: &[] },
        Model { prefix: "gemma", thinking: UNTOLD, refuses: &[] },
    ],
    ..UNKNOWN
};

const GEMINI_EFFORTS: Thinking = Thinking { efforts: &[Minimal, Low, Medium, High], ..UNTOLD };

// Source: together-python types/chat/completion_create_params.py: `reasoning.enabled`, three efforts, `logprobs` is a
// number and told in a shape of its own; chat_completion_assistant_message_param.py: `reasoning`.
pub(super) const TOGETHER: Quirks = Quirks {
    takes: EXTRAS,
    refuses: &["logprobs", "top_logprobs", "parallel_tool_calls", "user"],
    thinking: Thinking { switch: Switch::Enabled, ..EFFORTS },
    history: History::Reasoning,
    ..UNKNOWN
};

// Source: docs.fireworks.ai/guides/reasoning, /api-reference/post-chatcompletions.
pub(super) const FIREWORKS: Quirks = Quirks {
    usage: StreamUsage::Asked,
    takes: EXTRAS,
    thinking: Thinking { switch: Switch::Effort, ..EFFORTS },
    history: History::ReasoningContent,
    ..UNKNOWN
};

// Source: docs.x.ai/docs/guides/reasoning: which models take `reasoning_effort`, and that those that think refuse
// penalties and `stop`.
pub(super) const XAI: Quirks = Quirks {
    max_completion_tokens: true,
    usage: StreamUsage::Asked,
    thinking: XAI_EFFORTS,
    models: &[
        Model { prefix: "grok-3-mini", thinking: XAI_EFFORTS, refuses: XAI_THINKS },
        Model { prefix: "grok-4-fast-non-reasoning", thinking: UNTOLD, refuses: &[] },
        Model { prefix: "grok-4-1-fast-non-reasoning", thinking: UNTOLD, refuses: &[] },
        Model { prefix: "grok-4", thinking: UNTOLD, refuses: XAI_THINKS },
        Model { prefix: "grok-code", thinking: UNTOLD, refuses: XAI_THINKS },
        Model { prefix: "grok-3", thinking: UNTOLD, refuses: &[] },
        Model { prefix: "grok-2", thinking: UNTOLD, refuses: &[] },
    ],
    ..UNKNOWN
};

const XAI_EFFORTS: Thinking = Thinking { efforts: &[Low, High], ..UNTOLD };
const XAI_THINKS: &[&str] = &["presence_penalty", "frequency_penalty", "stop"];
