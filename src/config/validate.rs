//! What makes no sense although it has the right shape: names of nobody, empty bounds, doors left open. All of it at once.

mod models;
mod rules;
mod server;
mod upstreams;

use super::{Config, key_path::KeyPath, suggest};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) path: KeyPath,
    pub(super) message: String,
}

const STORES: [&str; 3] = ["memory", "redis", "off"];
const FORMATS: [&str; 2] = ["text", "json"];
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

impl Config {
    /// Everything that is wrong with it, one sentence each, beginning with the key's path. Empty when it can run.
    pub fn validate(&self) -> Vec<String> {
        self.problems().into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Found { config: self, problems: Vec::new() };
        found.server();
        found.upstreams();
        found.models();
        found.aliases();
        found.rules();
        found.cache();
        found.translate();
        found.retry_and_log();
        found.problems
    }
}

struct Found<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn say(&mut self, path: KeyPath, message: impl Into<String>) {
        self.problems.push(Problem { path, message: message.into() });
    }

    fn at_least_one(&mut self, path: KeyPath, value: u64) {
        if value == 0 {
            self.say(path, "must be 1 or more");
        }
    }

    fn word(&mut self, path: KeyPath, what: &str, word: &str, known: &[&str]) {
        if !known.contains(&word) {
            let hint = suggest::hint(word, known.iter().copied());
            self.say(path, format!("unknown {what} {word:?}; {hint}"));
        }
    }

    fn cache(&mut self) {
        let cache = &self.config.cache;
        let at = KeyPath::new("cache");
        self.word(at.key("store"), "store", &cache.store, &STORES);
        if cache.store == "redis" && cache.redis.is_none() {
            self.say(at.key("store"), "is \"redis\", but cache.redis does not say where it is");
        }
        if let Some(scheme) = cache.redis.as_ref().and_then(|url| url.scheme())
            && !matches!(scheme, "redis" | "rediss" | "unix" | "redis+unix")
        {
            self.say(at.key("redis"), "must begin with redis://, rediss:// or unix://");
        }
        if cache.store != "off" {
            self.at_least_one(at.key("ttl_s"), cache.ttl_s);
            if cache.max_entry_bytes as u64 > cache.max_bytes {
                let max = cache.max_bytes;
                self.say(at.key("max_entry_bytes"), format!("is above cache.max_bytes, {max}"));
            }
        }
    }

    fn translate(&mut self) {
        let translate = &self.config.translate;
        let at = KeyPath::new("translate");
        self.at_least_one(at.key("max_image_bytes"), translate.max_image_bytes as u64);
        for (index, host) in translate.image_hosts.iter().enumerate() {
            let name = host.strip_prefix("http://").unwrap_or(host);
            let name = name.strip_prefix("*.").unwrap_or(name);
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
            if name.is_empty() || !name.bytes().all(plain) {
                self.say(
                    at.key("image_hosts").index(index),
                    format!(
                        "{host:?} is no host; write \"images.example.com\", \"*.example.com\" or \
                         \"http://images.example.com\""
                    ),
                );
            }
        }
    }

    fn retry_and_log(&mut self) {
        let retry = &self.config.retry;
        let at = KeyPath::new("retry");
        self.at_least_one(at.key("tries"), retry.tries.into());
        self.at_least_one(at.key("deadline_s"), retry.deadline_s);
        if retry.budget_percent > 100 {
            self.say(at.key("budget_percent"), "must be 0 to 100");
        }
        let log = &self.config.log;
        let at = KeyPath::new("log");
        self.word(at.key("format"), "format", &log.format, &FORMATS);
        for directive in log.level.split(',') {
            // `target=level`, or a level; the part in brackets names spans.
            let level = directive.rsplit(['=', ']']).next().unwrap_or_default().trim();
            self.word(at.key("level"), "level", level.to_lowercase().as_str(), &LEVELS);
        }
    }
}
