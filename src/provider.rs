//! A table: which kinds of upstream there are, where they live, and what each does differently.

mod differences;
mod near;
mod quirks;

use crate::{
    config,
    dialect::{
        Dialect, Operation, Quirks, StreamUsage, anthropic::ANTHROPIC, ollama::OLLAMA,
        openai::OPENAI, responses::RESPONSES,
    },
};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION, uri::Authority};

/// How a credential travels to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// As `Authorization: Bearer …`.
    Bearer,
    /// Bare, in the header of this name, in lower case.
    Header(&'static str),
}

/// A kind of upstream: one row of [`PROVIDERS`].
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The name in `upstream.<x>.provider`, in kebab case.
    pub name: &'static str,
    /// Where it lives when the configuration does not say; empty where it must say.
    pub url: &'static str,
    /// The dialect of its own management and list routes.
    pub dialect: &'static dyn Dialect,
    /// Whether it speaks the Responses API beside its own dialect.
    pub responses: bool,
    /// How it wants to be told the key.
    pub credential: Credential,
    /// Headers that it wants on every request, unless the client sent them.
    pub headers: &'static [(&'static str, &'static str)],
    /// Seconds to connect.
    pub connect_s: f64,
    /// Seconds until the first meaningful event. A local model may have to be loaded first.
    pub first_byte_s: f64,
    /// Seconds of silence inside a stream.
    pub idle_s: f64,
    /// Seconds for the whole answer.
    pub total_s: f64,
    /// What it does differently from others of its dialect.
    pub quirks: Quirks,
}

const LOCAL: Provider = Provider {
    name: "",
    url: "",
    dialect: &OPENAI,
    responses: false,
    credential: Credential::Bearer,
    headers: &[],
    connect_s: 2.0,
    first_byte_s: 600.0,
    idle_s: 120.0,
    total_s: 3600.0,
    quirks: quirks::UNKNOWN,
};

const CLOUD: Provider =
    Provider { connect_s: 5.0, first_byte_s: 120.0, idle_s: 60.0, total_s: 1800.0, ..LOCAL };

/// Every provider that can be named in the configuration.
///
/// Source of the addresses: each provider's own API reference, as of 2026-11. What each does differently, and where
/// that is said, stands in the quirks.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "ollama",
        url: "http://127.0.0.1:11434",
        dialect: &OLLAMA,
        quirks: quirks::OLLAMA,
        ..LOCAL
    },
    Provider {
        name: "openai",
        url: "https://api.openai.com/v1",
        responses: true,
        quirks: quirks::OPENAI,
        ..CLOUD
    },
    // Its address has the name of one's own resource in it, `https://<resource>.openai.azure.com/openai/v1`, and a
    // model is called by the name of its deployment.
    // Source: learn.microsoft.com/azure/foundry/openai/api-version-lifecycle.
    Provider {
        name: "azure",
        credential: Credential::Header("api-key"),
        responses: true,
        quirks: quirks::AZURE,
        ..CLOUD
    },
    Provider { name: "openai-compatible", ..CLOUD },
    Provider {
        name: "anthropic",
        url: "https://api.anthropic.com",
        dialect: &ANTHROPIC,
        credential: Credential::Header("x-api-key"),
        // The version whose fields are written here; newer ones have no temperature.
        headers: &[("anthropic-version", "2023-06-01")],
        // It tells of itself with pings, but a long prompt is read before the first of them.
        first_byte_s: 600.0,
        ..CLOUD
    },
    Provider { name: "vllm", url: "http://127.0.0.1:8000/v1", quirks: quirks::VLLM, ..LOCAL },
    Provider {
        name: "llamacpp",
        url: "http://127.0.0.1:8080/v1",
        quirks: quirks::LLAMACPP,
        ..LOCAL
    },
    Provider {
        name: "lmstudio",
        url: "http://127.0.0.1:1234/v1",
        quirks: quirks::LMSTUDIO,
        ..LOCAL
    },
    Provider { name: "groq", url: "https://api.groq.com/openai/v1", quirks: quirks::GROQ, ..CLOUD },
    Provider {
        name: "openrouter",
        url: "https://openrouter.ai/api/v1",
        quirks: quirks::OPENROUTER,
        ..CLOUD
    },
    Provider {
        name: "mistral",
        url: "https://api.mistral.ai/v1",
        quirks: quirks::MISTRAL,
        ..CLOUD
    },
    // It keeps a request in its queue for up to half an hour, with comments in the meantime.
    // Source: api-docs.deepseek.com/quick_start/rate_limit.
    Provider {
        name: "deepseek",
        url: "https://api.deepseek.com/v1",
        first_byte_s: 1800.0,
        quirks: quirks::DEEPSEEK,
        ..CLOUD
    },
    Provider {
        name: "gemini",
        url: "https://generativelanguage.googleapis.com/v1beta/openai",
        quirks: quirks::GEMINI,
        ..CLOUD
    },
    Provider {
        name: "together",
        url: "https://api.together.xyz/v1",
        quirks: quirks::TOGETHER,
        ..CLOUD
    },
    Provider {
        name: "fireworks",
        url: "https://api.fireworks.ai/inference/v1",
        quirks: quirks::FIREWORKS,
        ..CLOUD
    },
    // Source: docs.x.ai/docs/api-reference, "Create new response".
    Provider {
        name: "xai",
        url: "https://api.x.ai/v1",
        responses: true,
        quirks: quirks::XAI,
        ..CLOUD
    },
];

// === impl Credential ===

impl Credential {
    /// The header that carries this key.
    ///
    /// # Errors
    /// The reason, for a key that no header can carry.
    pub fn header(self, key: &str) -> Result<(HeaderName, HeaderValue), String> {
        let (name, value) = match self {
            Self::Bearer => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))),
            Self::Header(name) => (HeaderName::from_static(name), HeaderValue::try_from(key)),
        };
        let mut value =
            value.map_err(|_| "the key has characters that no header can carry".to_owned())?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

// === impl Provider ===

impl Provider {
    /// The row of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }

    /// The row that a configured upstream means: its `provider`, or its own name.
    ///
    /// # Errors
    /// The known names, when there is no such row.
    pub fn of(name: &str, upstream: &config::Upstream) -> Result<&'static Self, String> {
        let wanted = if upstream.provider.is_empty() { name } else { &upstream.provider };
        Self::named(wanted).ok_or_else(|| {
            let known: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
            format!("unknown provider {wanted:?} (known: {})", known.join(", "))
        })
    }

    /// The quirks of this provider at this host. Many servers speak OpenAI's dialect under its name; only its own
    /// takes `max_completion_tokens`, and the others would not limit an answer by it.
    pub fn quirks_at(&self, host: &str) -> Quirks {
        if self.name != "openai" || host == "api.openai.com" {
            return self.quirks;
        }
        Quirks { max_completion_tokens: false, usage: StreamUsage::Tried, ..self.quirks }
    }

    /// Whether it runs on this machine or near it when it is at this address. Whoever serves models at home is, unless
    /// the address is one in the cloud; everybody else is where the address is near.
    pub fn is_local_at(&self, at: &Authority) -> bool {
        // Ollama's own cloud speaks Ollama. Source: docs.ollama.com/cloud.
        let cloud = at.host() == "ollama.com" || at.host().ends_with(".ollama.com");
        (matches!(self.name, "ollama" | "vllm" | "llamacpp" | "lmstudio") && !cloud)
            || near::is_near(at.host())
    }

    /// What to do when nobody answers at its address; the end of a sentence, or nothing.
    pub fn advice(&self) -> &'static str {
        match self.name {
            "ollama" => "; start it with \"ollama serve\"",
            _ => "",
        }
    }

    /// The dialect to speak for an operation that the client asks for in `client`.
    ///
    /// An Ollama is asked for chats, completions and embeddings in its own dialect, because its `/v1` loses
    /// things (mid-stream errors, `max_completion_tokens`, `num_ctx`); `chat` overrides that. What has no
    /// native form goes through as it came, since an Ollama serves `/v1` too. A client of the Responses API is heard in
    /// its own words by who speaks it.
    pub fn speaks(
        &self,
        client: &'static dyn Dialect,
        operation: Operation,
        chat: Option<&'static dyn Dialect>,
    ) -> &'static dyn Dialect {
        let responses = client.name() == RESPONSES.name();
        // Nobody else's words are put into this dialect.
        let can = |chat: &dyn Dialect| {
            chat.path(operation).is_some() && (responses || chat.name() != RESPONSES.name())
        };
        match operation {
            Operation::Chat if responses && self.responses && chat.is_none() => client,
            Operation::Chat | Operation::Generate | Operation::Embed => {
                chat.filter(|chat| can(*chat)).unwrap_or(self.dialect)
            }
            // No Ollama counts tokens.
            Operation::EmbedOne | Operation::Count => self.dialect,
            _ if self.name == "ollama" => client,
            _ => self.dialect,
        }
    }
}

#[cfg(test)]
mod tests;
