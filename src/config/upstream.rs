//! An `upstream` section.

use super::SecretRef;
use serde::{Deserialize, Serialize};

/// Someone the gateway calls: a provider with an address, a credential and its own timeouts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// What kind it is: `ollama`, `openai`, `anthropic`, `vllm`, `llamacpp`, `groq`, `openrouter`, `lmstudio`, `together`,
    /// `mistral`, `deepseek`. Default when absent or empty: the upstream's own name.
    pub provider: String,
    /// Base address, `http://` or `https://`. Default when absent: the provider's own.
    pub url: Option<String>,
    /// The credential, as a reference to where it stands. Default: none is sent.
    pub key: Option<SecretRef>,
    /// The dialect to speak for chat, generate and embed: `ollama`, `openai` or `anthropic`; or `responses`, for clients
    /// of the Responses API alone. Default when absent, and for what it has no form for: the provider's first.
    pub chat: Option<String>,
    /// The models it serves: a list for upstreams that cannot list theirs, a filter for those that can. Default: all.
    pub models: Vec<String>,
    /// Whether the client's own credential travels to it, in place of `key`. Default no.
    pub forward_client_key: bool,
    /// Requests to models in flight at a time, each until its answer is gone; more wait. Default 0: no limit.
    pub max_in_flight: usize,
    /// The same for one model. Default 0: no limit.
    pub max_in_flight_per_model: usize,
    /// Requests that wait for a place at a time; the next one goes to the fallback or is refused. 0: none waits.
    /// Default when absent: 64.
    pub max_queued: Option<usize>,
    /// Seconds one of them waits, above 0, before it goes to the fallback or is refused; longer while its model is
    /// being loaded. Default when absent: 60.
    pub queue_s: Option<f64>,
    /// Seconds a request waits, above 0, for those to a model that cannot be in memory beside its own, before it goes
    /// before the later ones of them. Default when absent: 30.
    pub swap_wait_s: Option<f64>,
    /// Whether models are loaded by requests of the gateway's own, which no client that leaves breaks off; only for an
    /// Ollama. Default when absent: yes.
    pub warm_up: Option<bool>,
    /// Seconds such a load may take, above 0. Default when absent: 600.
    pub load_s: Option<f64>,
    /// When it is left alone after failures: as `local` (when nobody answers there, and only while nobody does),
    /// as `cloud` (after five failures in a row, for 5 to 60 s), or never, `off`. Default when absent: `local` for what
    /// runs on this machine or in its network, `cloud` for the rest.
    pub breaker: Option<String>,
    /// Seconds to connect. Default when absent: the provider's; 2 at most for what is near.
    pub connect_s: Option<f64>,
    /// Seconds from the request to the first meaningful event. Default when absent: the provider's; as long as the
    /// whole answer for a local Ollama, which is asked every 2 s whether it is alive instead.
    pub first_byte_s: Option<f64>,
    /// Seconds between two frames of an answer. Default when absent: the provider's.
    pub idle_s: Option<f64>,
    /// Seconds for the whole answer. Default when absent: the provider's.
    pub total_s: Option<f64>,
}

impl Upstream {
    /// Where Ollama listens when nobody says otherwise.
    // Source: ollama envconfig/config.go Host.
    pub const OLLAMA_URL: &str = "http://127.0.0.1:11434";

    /// The upstream that exists when none is configured.
    pub fn ollama() -> Self {
        Self {
            provider: "ollama".to_owned(),
            url: Some(Self::OLLAMA_URL.to_owned()),
            ..Self::default()
        }
    }
}
