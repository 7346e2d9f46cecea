//! What makes no sense although it has the right shape: names of nobody, empty bounds, doors left open. All of it at once.

use super::{Config, Models, Rule, Upstream, address, key_path::KeyPath, suggest};
use regex::Regex;
use std::collections::BTreeMap;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) path: KeyPath,
    pub(super) message: String,
}

/// What a rule's model may be besides a model.
const ROLES: [&str; 3] = ["coder", "small", "default"];
const INTENTS: [&str; 3] = ["code", "short", "general"];
const CARRIED: [&str; 3] = ["tools", "images", "thinking"];
const STORES: [&str; 3] = ["memory", "redis", "off"];
const FORMATS: [&str; 2] = ["text", "json"];
const DIALECTS: [&str; 4] = ["ollama", "openai", "anthropic", "responses"];
const BREAKERS: [&str; 3] = ["local", "cloud", "off"];
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Most bytes of one compiled expression; the default of the regex crate is ten times as much.
const MAX_REGEX_BYTES: usize = 1 << 20;

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

    fn server(&mut self) {
        let server = &self.config.server;
        let at = KeyPath::new("server");
        let listen = &server.listen;
        if address::split(listen).is_none() {
            self.say(
                at.key("listen"),
                format!(
                    "{listen:?} is no address and port; write \"127.0.0.1:11435\" for this machine \
                     alone, \"0.0.0.0:11435\" for everyone"
                ),
            );
        } else if !server.is_loopback() && server.keys.is_empty() {
            self.say(
                at.key("listen"),
                format!(
                    "server.listen is {listen}, which others can reach, and server.keys is empty; \
                     set GATEWAY_KEY or server.keys, or listen on 127.0.0.1"
                ),
            );
        }
        for (index, host) in server.allowed_hosts.iter().enumerate() {
            if host.is_empty() || host.contains(['/', ' ']) {
                self.say(
                    at.key("allowed_hosts").index(index),
                    format!("{host:?} is no host; write the name alone, such as \"gate.lan\""),
                );
            }
        }
        for (index, origin) in server.allowed_origins.iter().enumerate() {
            if origin != "*" && !origin.contains("://") {
                self.say(
                    at.key("allowed_origins").index(index),
                    format!(
                        "{origin:?} is no origin; write \"https://{origin}\", or \"*\" for all"
                    ),
                );
            }
        }
        if let Some(name) = &server.default_upstream
            && !self.config.upstream.contains_key(name)
        {
            let hint = suggest::hint(name, self.config.upstream.keys().map(String::as_str));
            self.say(at.key("default_upstream"), format!("unknown upstream {name:?}; {hint}"));
        }
        self.at_least_one(at.key("max_connections"), server.max_connections as u64);
        self.at_least_one(at.key("max_body_bytes"), server.max_body_bytes as u64);
        self.at_least_one(at.key("max_answer_bytes"), server.max_answer_bytes as u64);
        self.at_least_one(at.key("max_stream_bytes"), server.max_stream_bytes as u64);
        self.at_least_one(at.key("head_s"), server.head_s);
        self.at_least_one(at.key("first_byte_s"), server.first_byte_s);
        if !(0.0..=3600.0).contains(&server.heartbeat_s) {
            self.say(at.key("heartbeat_s"), "must be 0, or a number of seconds up to 3600");
        }
        self.at_least_one(at.key("body_idle_s"), server.body_idle_s);
        self.at_least_one(at.key("body_s"), server.body_s);
        self.at_least_one(at.key("write_s"), server.write_s);
        if server.max_buffered_mb.is_some_and(|mb| mb > 1 << 20) {
            self.say(at.key("max_buffered_mb"), "must be 0 to 1048576");
        }
    }

    fn upstreams(&mut self) {
        let at = KeyPath::new("upstream");
        if self.config.upstream.is_empty() {
            self.say(at.clone(), "there is none; without one, nothing can be answered");
        }
        for (name, upstream) in &self.config.upstream {
            self.upstream(&at.key(name), name, upstream);
        }
    }

    fn upstream(&mut self, at: &KeyPath, name: &str, upstream: &Upstream) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(plain) {
            self.say(
                at.clone(),
                "an upstream's name has letters, digits, \"-\", \"_\" and \".\" only",
            );
        }
        if let Some(url) = &upstream.url {
            if let Some(complaint) = address::complaint(url) {
                // Not repeated when it holds a password.
                let shown = if url.contains('@') { String::new() } else { format!("{url:?} ") };
                self.say(at.key("url"), format!("{shown}{complaint}"));
            } else if address::is_self(url, &self.config.server.listen) {
                let listen = &self.config.server.listen;
                self.say(
                    at.key("url"),
                    format!("{url} is this gateway itself (server.listen is {listen})"),
                );
            }
        }
        if let Some(chat) = &upstream.chat {
            self.word(at.key("chat"), "dialect", chat, &DIALECTS);
        }
        if let Some(breaker) = &upstream.breaker {
            self.word(at.key("breaker"), "breaker", breaker, &BREAKERS);
        }
        let times = [
            ("connect_s", upstream.connect_s),
            ("first_byte_s", upstream.first_byte_s),
            ("idle_s", upstream.idle_s),
            ("total_s", upstream.total_s),
            ("queue_s", upstream.queue_s),
            ("swap_wait_s", upstream.swap_wait_s),
            ("load_s", upstream.load_s),
        ];
        for (key, seconds) in times {
            // Up to ten years, which every clock can add to now.
            if seconds.is_some_and(|s| !(s > 0.0 && s <= 315_360_000.0)) {
                self.say(at.key(key), "must be a number of seconds above 0");
            }
        }
    }

    fn models(&mut self) {
        let at = KeyPath::new("models");
        let Models { default, coder, small, fallback, refresh_s, .. } = &self.config.models;
        for (key, model) in [("default", default), ("coder", coder), ("small", small)] {
            if let Some(model) = model {
                self.target(at.key(key), model);
            }
        }
        for (index, model) in fallback.iter().enumerate() {
            self.target(at.key("fallback").index(index), model);
        }
        self.at_least_one(at.key("refresh_s"), *refresh_s);
    }

    /// A model, or an upstream and a model.
    fn target(&mut self, path: KeyPath, target: &str) {
        let (upstream, model) = self.config.split(target);
        if model.trim().is_empty() {
            return self.say(path, format!("{target:?} names no model"));
        }
        if is_auto(target) {
            return self.say(
                path,
                format!("{target:?} is what is to be decided here; name a model of an upstream"),
            );
        }
        // The first part of "org/model" may belong to the model; only a slip of a known name is surely a mistake.
        if let (None, Some((prefix, _))) = (upstream, target.split_once('/'))
            && prefix.len() > 3
            && let Some(meant) = self.config.upstream.keys().find(|n| suggest::is_slip(prefix, n))
        {
            self.say(path, format!("unknown upstream {prefix:?}; did you mean {meant:?}?"));
        }
    }

    fn aliases(&mut self) {
        let at = KeyPath::new("aliases");
        for (alias, target) in &self.config.aliases {
            let path = at.key(alias);
            if alias.trim().is_empty() {
                self.say(path, "an alias needs a name");
            } else if is_auto(alias) {
                self.say(path, "this name belongs to the gateway");
            } else if target == alias {
                self.say(path, "means itself");
            } else if self.config.aliases.contains_key(target) {
                self.say(path, format!("means {target:?}, which is an alias too; name the model"));
            } else if !is_auto(target) {
                self.target(path, target);
            }
        }
    }

    fn rules(&mut self) {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, rule) in self.config.route.iter().enumerate() {
            let at = KeyPath::new("route").index(index);
            let name = rule.name.as_str();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) || name.contains(':')
            {
                self.say(
                    at.key("name"),
                    format!("{name:?} is no name; use letters, digits, \"-\""),
                );
            } else if ROLES.contains(&name) && rule.model != name {
                self.say(
                    at.key("name"),
                    format!("{name:?} is taken: \"auto:{name}\" means models.{name}"),
                );
            }
            if let Some(earlier) = names.insert(name, index) {
                self.say(at.key("name"), format!("{name:?} is the name of route[{earlier}] too"));
            }
            self.rule(&at, rule);
        }
    }

    fn rule(&mut self, at: &KeyPath, rule: &Rule) {
        for (index, text) in rule.regex.iter().enumerate() {
            let compiled = regex::RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build();
            if let Err(error) = compiled.as_ref().map(Regex::as_str) {
                let reason = error.to_string();
                // Its last line is the reason; those before it draw the expression.
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let path = at.key("regex").index(index);
                self.say(path, format!("{text:?} does not compile: {reason}"));
            }
        }
        for (index, word) in rule.any.iter().enumerate() {
            if word.trim().is_empty() {
                self.say(at.key("any").index(index), "an empty keyword stands everywhere");
            }
        }
        for (index, word) in rule.has.iter().enumerate() {
            self.word(at.key("has").index(index), "word", word, &CARRIED);
        }
        for header in rule.header.keys() {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                self.say(at.key("header").key(header), "is no name of a header");
            }
        }
        if let Some(intent) = &rule.intent {
            self.word(at.key("intent"), "intent", intent, &INTENTS);
        }
        if let (Some(min), Some(max)) = (rule.min_tokens, rule.max_tokens)
            && min > max
        {
            self.say(at.key("min_tokens"), format!("{min} is above max_tokens, {max}"));
        }
        let fallbacks = rule.fallbacks.iter().enumerate();
        let fallbacks = fallbacks.map(|(index, model)| (at.key("fallbacks").index(index), model));
        for (path, model) in std::iter::once((at.key("model"), &rule.model)).chain(fallbacks) {
            if !ROLES.contains(&model.as_str()) {
                self.target(path, model);
            }
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

/// Whether a name is the virtual model's.
fn is_auto(name: &str) -> bool {
    name == "auto" || name.starts_with("auto:")
}
