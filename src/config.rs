//! The configuration as plain data: every key with its unit and default. It opens nothing and connects to nothing.
//!
//! `config.toml` at the top of the repository shows every key; [`Config::default`] is what it says.
//! [`Config::load`] puts the file, the environment and the command line's flags together.

mod address;
mod cache;
#[cfg(feature = "gateway")]
mod environment;
mod key_path;
#[cfg(feature = "gateway")]
mod load;
mod log;
mod models;
#[cfg(feature = "gateway")]
mod overlay;
mod retry;
mod rule;
#[cfg(feature = "gateway")]
mod search;
mod secret;
mod server;
#[cfg(feature = "gateway")]
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod translate;
mod upstream;
mod validate;

#[cfg(feature = "gateway")]
pub(crate) use self::load::ollama_url;
#[cfg(feature = "gateway")]
pub use self::load::{ConfigError, Loaded, Sources};
pub use self::{
    cache::Cache,
    log::Log,
    models::Models,
    retry::Retry,
    rule::Rule,
    secret::{Secret, SecretRef, SecretUrl},
    server::Server,
    translate::Translate,
    upstream::Upstream,
};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
