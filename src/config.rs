//! The configuration as plain data: every key with its unit and default. It opens nothing and connects to nothing.
//!
//! `config.toml` at the top of the repository shows every key; [`Config::default`] is what it says.
//! [`Config::load`] puts the file, the environment and the command line's flags together.

mod address;
#[cfg(feature = "gateway")]
mod environment;
mod key_path;
#[cfg(feature = "gateway")]
mod load;
#[cfg(feature = "gateway")]
mod overlay;
#[cfg(feature = "gateway")]
mod search;
mod secret;
#[cfg(feature = "gateway")]
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;

#[cfg(feature = "gateway")]
pub(crate) use self::load::ollama_url;
#[cfg(feature = "gateway")]
pub use self::load::{ConfigError, Loaded, Sources};
pub use self::secret::{Secret, SecretRef, SecretUrl};

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Everything that can be configured. One field a section of `config.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The listener, who may come in, and the bounds on what they send.
    pub server: Server,
    /// Whom the gateway calls, by name. Default: `ollama` at `http://127.0.0.1:11434`, unless the file names others.
    pub upstream: BTreeMap<String, Upstream>,
    /// Which models stand behind `auto`.
    pub models: Models,
    /// Names that clients may use, and the model each one means: `model`, `upstream/model` or `auto`. Default: none.
    pub aliases: BTreeMap<String, String>,
    /// How `auto` is decided: first match wins, no match is `default`. Default: code to coder, short to small.
    pub route: Vec<Rule>,
    /// Which answers are kept, and where.
    pub cache: Cache,
    /// How often, how fast and how long another attempt is made.
    pub retry: Retry,
    /// What may happen to a request on its way into another dialect.
    pub translate: Translate,
    /// The request log and the program's own messages.
    pub log: Log,
}

/// The listener, who may come in, and the bounds on what they send.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Host and port to listen on; port 0 takes a free one. Default `127.0.0.1:11435`. An address that others can
    /// reach needs `keys`.
    pub listen: String,
    /// Keys that clients may present, as references to where they stand. Default: none, which lets every local client in.
    pub keys: Vec<SecretRef>,
    /// Values of `Host` accepted besides loopback names and the listener's own address. Default: none.
    pub allowed_hosts: Vec<String>,
    /// Values of `Origin` accepted besides local ones: `scheme://host[:port]`, or `*` for all. Default: none.
    pub allowed_origins: Vec<String>,
    /// Whether clients may pull, push, create, copy and delete models. Default when absent: yes on a loopback
    /// listener, no on any other; see [`Server::manages`].
    pub allow_manage: Option<bool>,
    /// Where a request goes that names no model of any upstream. Default when absent: see [`Config::default_upstream`].
    pub default_upstream: Option<String>,
    /// Connections at a time, 1 and up; more wait in the system's queue. Fewer where the limit of open files is too low
    /// for two each. Default 1024.
    pub max_connections: usize,
    /// Bytes of a request body held whole. A larger one still passes where it can, but is not routed by content,
    /// cached, retried or translated; a compressed one that would be larger is refused. Default 67108864 (64 MiB).
    pub max_body_bytes: usize,
    /// Bytes of an unstreamed answer that must be translated; a larger one is an error. Default 67108864 (64 MiB).
    pub max_answer_bytes: usize,
    /// Bytes of an answer that passes or is translated while it comes, as the upstream sends it; a longer one is ended with an
    /// error. Default 1073741824 (1 GiB).
    pub max_stream_bytes: usize,
    /// Mebibytes that request bodies held whole may take together; a request whose body finds no room is answered with
    /// 503. 0 to 1048576. Default when absent: a quarter of the memory that the system allows, at least 256.
    pub max_buffered_mb: Option<u64>,
    /// Seconds between two pieces of a request body, 1 and up. Default 10.
    pub body_idle_s: u64,
    /// Seconds for a request body that is held whole, 1 and up; those that stream on have as long as they need. Default 60.
    pub body_s: u64,
    /// Seconds a client may take nothing of its answer, 1 and up; then its connection (of HTTP/2, the stream) is dropped,
    /// and the upstream's request with it. Default 60.
    pub write_s: u64,
    /// Wrong keys that one address may bring in a minute; then it is told to wait, unless its key has worked from there
    /// before or is too long to guess. Default 60; 0 is any number.
    pub max_failures_per_min: u32,
    /// Seconds a client has to send the head of a request. Default 10.
    pub head_s: u64,
    /// Seconds a client has to send the first byte after it connected. Default 10.
    pub first_byte_s: u64,
    /// Seconds that running requests get to finish when the gateway stops. Default 30.
    pub drain_s: u64,
    /// Seconds without a word after which a client that waits for a stream gets a sign of life, and again each time. From
    /// the first one on, the status is 200 and a failure is told inside the stream. Default 0: none.
    pub heartbeat_s: f64,
}

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

/// Which models stand behind `auto`. A value is `model`, or `upstream/model` where that upstream is configured.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// For everything that no rule takes. Default when absent: picked from what is installed.
    pub default: Option<String>,
    /// For code. Default when absent: picked from what is installed.
    pub coder: Option<String>,
    /// For short prompts. Default when absent: picked from what is installed.
    pub small: Option<String>,
    /// Tried in this order when the first choice fails, for every rule without fallbacks of its own. Default: none.
    pub fallback: Vec<String>,
    /// Whether `auto` may pick models that Ollama runs in its cloud. Default no.
    pub allow_cloud: bool,
    /// Seconds between two looks at what the upstreams have, 1 and up. Default 60.
    pub refresh_s: u64,
}

/// When `auto` means which model. Every condition that is set must hold; a rule without any takes everything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique: in `auto:<name>`, in `x-unigate-route` and in the log.
    pub name: String,
    /// Keywords, at least one of which stands in the prompt as a whole word, in any case. Default: not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<String>,
    /// Regular expressions, at least one of which matches the prompt. Default: not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regex: Vec<String>,
    /// The shipped reading of the prompt: `code`, `short` or `general`. Default: not looked at.
    #[serde(default)]
    pub intent: Option<String>,
    /// Estimated tokens of the request, at least. Default: any.
    #[serde(default)]
    pub min_tokens: Option<usize>,
    /// Estimated tokens of the request, at most. Default: any.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// What the request must carry, all of them: `tools`, `images`, `thinking`. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub has: Vec<String>,
    /// Request headers, all of them: name to exact value, or `*` for any value. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Where it leads: `coder`, `small`, `default`, `model` or `upstream/model`.
    pub model: String,
    /// Tried in this order when `model` fails, in the same form. Default: `models.fallback`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
}

/// Which answers are kept, and where.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Where: `memory`, `redis` or `off`. Default `memory`; when absent and `redis` is set, `redis`.
    pub store: String,
    /// Address of a Redis server, `redis://…`, or a reference to where it stands. Default: none.
    pub redis: Option<SecretUrl>,
    /// A secret under which answers are sealed in Redis, as a reference to where it stands; the same for all gateways that
    /// share it. Default: none, and who else can write there can put words into our mouth.
    pub seal: Option<SecretRef>,
    /// Seconds an answer is kept, 1 and up. Default 3600.
    pub ttl_s: u64,
    /// Bytes kept in memory; the least used go first. Redis has its own bound. Default 268435456 (256 MiB).
    pub max_bytes: u64,
    /// Bytes of one answer; a larger one is not kept. Default 1048576 (1 MiB).
    pub max_entry_bytes: usize,
    /// Whether streamed answers of sampled requests (temperature above 0 and no seed) are kept and replayed. Default no.
    pub sampled_streams: bool,
    /// Whether an answer that a fallback gave is kept under the first choice's key. Default no.
    pub fallbacks: bool,
}

/// How often, how fast and how long another attempt is made.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts per target, the first one included, 1 and up. Default 2.
    pub tries: u32,
    /// Milliseconds before the second attempt; each further one waits up to twice as long. Default 50.
    pub backoff_ms: u64,
    /// Seconds after which no further attempt begins, 1 and up. Default 600.
    pub deadline_s: u64,
    /// Extra attempts as a share of all requests, in percent, 0 to 100. Default 20.
    pub budget_percent: u32,
}

/// What may happen to a request on its way into another dialect.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Translate {
    /// Whether a field that the upstream cannot be told is an error (400) instead of a warning. Default no.
    pub strict: bool,
    /// Bytes of one image in a request that is translated, 1 and up; a larger one is an error (400). Default 20971520
    /// (20 MiB).
    pub max_image_bytes: usize,
    /// Hosts from which images are fetched for an Ollama, which takes no addresses: `host`, `*.host` for every name
    /// below it, `http://host` where it may also be without TLS. Never from addresses that are not public. Default:
    /// none, and an address is an error (400).
    pub image_hosts: Vec<String>,
}

/// The request log (a SQLite file, one row a request) and the program's own messages.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The SQLite file. Default when absent: `unigate/requests.db` in `$XDG_DATA_HOME` or `~/.local/share`;
    /// [`Config::load`] fills it in.
    pub path: Option<PathBuf>,
    /// Whether requests are logged at all. Default yes.
    pub enabled: bool,
    /// Days a row is kept. Default 30; 0 is for ever.
    pub days: u32,
    /// Size of the file in MiB, above which the oldest rows go. Default 1024; 0 is any size.
    pub max_mb: u64,
    /// Whether prompts and answers are kept too. Default no.
    pub prompts: bool,
    /// Whether the last piece of each answer waits, at most 2 s, until its row is where a crash of the gateway cannot
    /// reach it. Costs about 5 ms per answer. Default no: a crash may lose rows of the last 25 ms.
    pub strict: bool,
    /// What the program says on stderr: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,unigate=debug`. Default `info`.
    pub level: String,
    /// How it says it: `text` or `json`. Default `text`.
    pub format: String,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            server: Server::default(),
            upstream: BTreeMap::from([("ollama".to_owned(), Upstream::ollama())]),
            models: Models::default(),
            aliases: BTreeMap::new(),
            route: Rule::shipped(),
            cache: Cache::default(),
            retry: Retry::default(),
            translate: Translate::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Where a request goes that names no model of any upstream: `server.default_upstream`, else `ollama` if there is
    /// one, else the first by name. `None` only when there are no upstreams.
    pub fn default_upstream(&self) -> Option<&str> {
        let chosen = self.server.default_upstream.as_deref();
        chosen
            .or_else(|| self.upstream.contains_key("ollama").then_some("ollama"))
            .or_else(|| self.upstream.keys().next().map(String::as_str))
    }

    /// Splits `upstream/model` where that upstream is configured; otherwise the whole text is a model.
    ///
    /// Model names may hold a `/` of their own (`hf.co/org/model`), so an unknown first part belongs to the model.
    pub fn split<'a>(&self, target: &'a str) -> (Option<&'a str>, &'a str) {
        match target.split_once('/') {
            Some((upstream, model)) if self.upstream.contains_key(upstream) => {
                (Some(upstream), model)
            }
            _ => (None, target),
        }
    }

    /// The effective configuration as TOML. Secrets appear as their references only.
    #[cfg(feature = "gateway")]
    pub fn dump(&self) -> String {
        toml::to_string(self).expect("the configuration has string keys only")
    }
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:11435".to_owned(),
            keys: Vec::new(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            allow_manage: None,
            default_upstream: None,
            max_connections: 1024,
            max_body_bytes: 64 << 20,
            max_answer_bytes: 64 << 20,
            max_stream_bytes: 1 << 30,
            max_buffered_mb: None,
            body_idle_s: 10,
            body_s: 60,
            write_s: 60,
            max_failures_per_min: 60,
            head_s: 10,
            first_byte_s: 10,
            drain_s: 30,
            heartbeat_s: 0.0,
        }
    }
}

impl Server {
    /// Whether only this machine can reach the listener. A name other than `localhost` counts as reachable by others.
    pub fn is_loopback(&self) -> bool {
        address::split(&self.listen).is_some_and(|(host, _)| address::is_loopback(host))
    }

    /// Whether clients may pull, push, create, copy and delete models.
    pub fn manages(&self) -> bool {
        self.allow_manage.unwrap_or_else(|| self.is_loopback())
    }
}

// === impl Upstream ===

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

// === impl Models ===

impl Default for Models {
    fn default() -> Self {
        Self {
            default: None,
            coder: None,
            small: None,
            fallback: Vec::new(),
            allow_cloud: false,
            refresh_s: 60,
        }
    }
}

// === impl Rule ===

impl Rule {
    /// The rules that hold when the configuration has none: code goes to the coder, short prompts to the small model.
    pub fn shipped() -> Vec<Self> {
        [("code", "code", "coder"), ("short", "short", "small")]
            .map(|(name, intent, model)| Self {
                name: name.to_owned(),
                intent: Some(intent.to_owned()),
                model: model.to_owned(),
                ..Self::default()
            })
            .into()
    }
}

// === impl Cache ===

impl Default for Cache {
    fn default() -> Self {
        Self {
            store: "memory".to_owned(),
            redis: None,
            seal: None,
            ttl_s: 3600,
            max_bytes: 256 << 20,
            max_entry_bytes: 1 << 20,
            sampled_streams: false,
            fallbacks: false,
        }
    }
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 2, backoff_ms: 50, deadline_s: 600, budget_percent: 20 }
    }
}

// === impl Translate ===

impl Default for Translate {
    fn default() -> Self {
        Self { strict: false, max_image_bytes: 20 << 20, image_hosts: Vec::new() }
    }
}

// === impl Log ===

impl Default for Log {
    fn default() -> Self {
        Self {
            path: None,
            enabled: true,
            days: 30,
            max_mb: 1024,
            prompts: false,
            strict: false,
            level: "info".to_owned(),
            format: "text".to_owned(),
        }
    }
}
