//! The environment: `UNIGATE_SECTION__KEY` for any key, and the names that people already have set.

use super::{
    address,
    key_path::KeyPath,
    overlay::{self, Refusal},
    search::SECTIONS,
    source::Source,
    suggest,
};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// A configuration that is being put together.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// What has been said so far.
    pub(super) table: Table,
    /// The file, to ask what it says itself.
    pub(super) file: &'a Source<'a>,
    /// Who said what, other than the file: path and name of the variable or flag.
    pub(super) said_by: Vec<(KeyPath, String)>,
    /// What the user should know although nothing is wrong.
    pub(super) notes: Vec<String>,
    /// What is wrong.
    pub(super) problems: Vec<String>,
}

/// A cloud that people have the variables of.
struct Cloud {
    upstream: &'static str,
    name: &'static str,
    key: &'static str,
    base: &'static str,
}

const CLOUDS: [Cloud; 2] = [
    Cloud { upstream: "openai", name: "OpenAI", key: "OPENAI_API_KEY", base: "OPENAI_BASE_URL" },
    Cloud {
        upstream: "anthropic",
        name: "Anthropic",
        key: "ANTHROPIC_API_KEY",
        base: "ANTHROPIC_BASE_URL",
    },
];

/// Read by this program and no keys of the configuration.
const NO_KEYS: [&str; 1] = ["UNIGATE_CONFIG"];

impl Draft<'_> {
    /// Sets one key; what is wrong with it becomes a problem.
    pub(super) fn set(&mut self, path: &[&str], text: &str, who: &str) {
        match overlay::set(&mut self.table, path, text) {
            Ok(key) => self.said_by.push((key, who.to_owned())),
            Err(refusal) => {
                self.problems.push(format!("{who} ({}): {}", path.join("."), refusal.message()));
            }
        }
    }

    /// What has been said about a key so far.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Value> {
        let (last, above) = path.split_last()?;
        let mut table = &self.table;
        for key in above {
            table = table.get(*key)?.as_table()?;
        }
        table.get(*last)
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// The names of other programs, and of the gateway that came before this one; weaker than every `UNIGATE_` name.
    ///
    /// `listen` is the final address: it takes all sources to know whether an address is our own.
    pub(super) fn borrowed(&mut self, env: &BTreeMap<String, String>, listen: &str) {
        let get = |name: &str| env.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
        self.ollama(get("OLLAMA_BASE_URL"), get("OLLAMA_HOST"), listen);
        for cloud in &CLOUDS {
            self.cloud(cloud, env, listen);
        }
        if get("REDIS_URL").is_some() {
            match self.get(&["cache", "store"]).and_then(Value::as_str) {
                Some(store) if store != "redis" => {
                    let note = format!("REDIS_URL ignored: cache.store is {store:?}");
                    self.note(note);
                }
                _ => self.set(&["cache", "redis"], "env:REDIS_URL", "REDIS_URL"),
            }
        }
        if get("GATEWAY_KEY").is_some() {
            self.gateway_key();
        }
        for (name, key) in
            [("DEFAULT_MODEL", "default"), ("CODER_MODEL", "coder"), ("CHEAP_MODEL", "small")]
        {
            if let Some(model) = get(name) {
                self.set(&["models", key], model, name);
            }
        }
        if let Some(model) = get("FALLBACK_MODEL") {
            self.set(&["models", "fallback"], model, "FALLBACK_MODEL");
        }
        if let Some(text) = get("ENABLE_CACHE") {
            self.enable_cache(text);
        }
        if let Some(text) = get("TIMEOUT_SECONDS") {
            for name in ["ollama", "openai", "anthropic"] {
                if self.get(&["upstream", name]).is_some() {
                    self.set(&["upstream", name, "first_byte_s"], text, "TIMEOUT_SECONDS");
                }
            }
        }
        if let Some(text) = get("MAX_RETRIES") {
            match text.parse::<u32>().ok().and_then(|retries| retries.checked_add(1)) {
                Some(tries) => self.set(&["retry", "tries"], &tries.to_string(), "MAX_RETRIES"),
                None => self.problems.push(format!("MAX_RETRIES: {text:?} is no number")),
            }
        }
        if let Some(text) = get("LOG_LEVEL") {
            // Python's names for levels, which the gateway before this one took.
            let level = match text.to_lowercase().as_str() {
                "warning" => "warn".to_owned(),
                "critical" | "fatal" => "error".to_owned(),
                "notset" => "trace".to_owned(),
                _ => text.to_lowercase(),
            };
            self.set(&["log", "level"], &level, "LOG_LEVEL");
        }
    }

    /// `PORT` changes the port and leaves the host.
    pub(super) fn port(&mut self, env: &BTreeMap<String, String>) {
        let Some(text) = env.get("PORT").map(|v| v.trim()).filter(|v| !v.is_empty()) else {
            return;
        };
        let Ok(port) = text.parse::<u16>() else {
            self.problems.push(format!("PORT: {text:?} is no port"));
            return;
        };
        let listen = self.get(&["server", "listen"]).and_then(Value::as_str);
        let listen = listen.map_or_else(|| super::Server::default().listen, str::to_owned);
        let host = listen.rsplit_once(':').map_or(listen.as_str(), |(host, _)| host);
        self.set(&["server", "listen"], &format!("{host}:{port}"), "PORT");
    }

    fn ollama(&mut self, base: Option<&str>, host: Option<&str>, listen: &str) {
        let (name, text) = match (base, host) {
            (Some(base), _) => ("OLLAMA_BASE_URL", base),
            (None, Some(host)) => ("OLLAMA_HOST", host),
            (None, None) => return,
        };
        let bare = !text.contains("://") || name == "OLLAMA_HOST";
        let url = if bare { address::ollama_host(text) } else { Some(text.to_owned()) };
        let Some(url) = url else { return };
        if address::is_self(&url, listen) {
            return self.note(format!("{name} ignored: it points to this gateway ({listen})"));
        }
        // OLLAMA_HOST is meant for Ollama's own programs; it fills a gap and overrides nothing.
        if name == "OLLAMA_HOST" {
            if self.file.says(&["upstream", "ollama", "url"]) {
                return self.note("OLLAMA_HOST ignored: the file sets upstream.ollama.url");
            }
            if self.get(&["upstream", "ollama"]).is_none() {
                return;
            }
        }
        self.set(&["upstream", "ollama", "url"], &url, name);
    }

    /// A cloud by its SDK's own variables: `<CLOUD>_API_KEY` adds it, `<CLOUD>_BASE_URL` says where it is.
    fn cloud(&mut self, cloud: &Cloud, env: &BTreeMap<String, String>, listen: &str) {
        let get = |name: &str| env.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
        let Cloud { upstream, name, key, base } = *cloud;
        let (has_key, url) = (get(key).is_some(), get(base));
        let configured = self.get(&["upstream", upstream]).is_some();
        let points_to_us = url.is_some_and(|url| address::is_self(url, listen));
        if points_to_us {
            self.note(format!("{base} ignored: it points to this gateway ({listen})"));
        }
        if has_key && points_to_us && !configured {
            // Then the key is one for us, and must not be shown to the cloud.
            return self.note(format!(
                "{key} ignored: it goes with {base}, which points to this gateway; \
                 set upstream.{upstream}.key = \"env:{key}\" to use it for {name}"
            ));
        }
        let path = ["upstream", upstream, "key"];
        if has_key && !points_to_us && self.get(&path).is_none() {
            self.set(&path, &format!("env:{key}"), key);
        }
        let Some(url) = url.filter(|_| !points_to_us) else { return };
        if self.get(&["upstream", upstream]).is_none() {
            return self.note(format!("{base} ignored: {key} is not set"));
        }
        if self.file.says(&["upstream", upstream, "url"]) {
            return self.note(format!("{base} ignored: the file sets upstream.{upstream}.url"));
        }
        self.set(&["upstream", upstream, "url"], url, base);
    }

    fn gateway_key(&mut self) {
        let reference = Value::String("env:GATEWAY_KEY".to_owned());
        let mut keys = match self.get(&["server", "keys"]) {
            Some(Value::Array(keys)) => keys.clone(),
            _ => Vec::new(),
        };
        if !keys.contains(&reference) {
            keys.push(reference);
        }
        self.set(&["server", "keys"], &Value::Array(keys).to_string(), "GATEWAY_KEY");
    }

    fn enable_cache(&mut self, text: &str) {
        let off = self.get(&["cache", "store"]).and_then(Value::as_str) == Some("off");
        match text.to_lowercase().as_str() {
            "0" | "false" | "no" | "off" => self.set(&["cache", "store"], "off", "ENABLE_CACHE"),
            "1" | "true" | "yes" | "on" if off => {
                let store =
                    if self.get(&["cache", "redis"]).is_some() { "redis" } else { "memory" };
                self.set(&["cache", "store"], store, "ENABLE_CACHE");
            }
            "1" | "true" | "yes" | "on" => {}
            _ => self.problems.push(format!("ENABLE_CACHE: {text:?} is neither true nor false")),
        }
    }

    /// Our own names: `UNIGATE_SECTION__KEY`, and `UNIGATE_LISTEN` for short. Empty ones count as not set.
    pub(super) fn own(&mut self, env: &BTreeMap<String, String>) {
        for (name, value) in env {
            let Some(rest) = name.strip_prefix("UNIGATE_") else { continue };
            if value.trim().is_empty() || NO_KEYS.contains(&name.as_str()) {
                continue;
            }
            if is_service_link(rest, value) {
                self.note(format!("{name} ignored: it describes a service of that name"));
                continue;
            }
            if rest == "LISTEN" {
                self.set(&["server", "listen"], value, name);
                continue;
            }
            let lower = rest.to_lowercase();
            let path: Vec<&str> = lower.split("__").collect();
            match overlay::set(&mut self.table, &path, value) {
                Ok(key) => self.said_by.push((key, name.clone())),
                Err(refusal) => {
                    let problem = self.refused(name, &path, value, &refusal);
                    self.problems.push(problem);
                }
            }
        }
    }

    fn refused(&self, name: &str, path: &[&str], value: &str, refusal: &Refusal) -> String {
        let Refusal::Unknown { step, known } = refusal else {
            return format!("{name} ({}): {}", path.join("."), refusal.message());
        };
        // A single underscore between section and key is the likeliest slip.
        let section = SECTIONS.iter().find(|s| path[0].starts_with(&format!("{s}_")));
        if let Some(section) = section {
            let rest = &path[0][section.len() + 1..];
            let meant: Vec<&str> =
                [section, rest].into_iter().chain(path[1..].iter().copied()).collect();
            if overlay::set(&mut self.table.clone(), &meant, value).is_ok() {
                return format!("{name}: there is no such key; did you mean {}?", variable(&meant));
            }
        }
        let near = suggest::nearest(step, known.iter().map(String::as_str));
        if let Some(near) = near {
            let meant: Vec<&str> =
                path.iter().map(|s| if *s == step.as_str() { near } else { s }).collect();
            return format!("{name}: there is no such key; did you mean {}?", variable(&meant));
        }
        if path.len() == 1 && suggest::nearest(path[0], ["listen", "config"]).is_some() {
            let near = suggest::nearest(path[0], ["listen", "config"]).unwrap_or_default();
            return format!("{name}: there is no such key; did you mean {}?", variable(&[near]));
        }
        format!("{name}: there is no such key; known: {}", known.join(", "))
    }
}

/// The name of the variable for a path.
fn variable(path: &[&str]) -> String {
    format!("UNIGATE_{}", path.join("__").to_uppercase().replace('-', "_"))
}

/// Whether a variable was put there by Kubernetes or Docker because a service is called `unigate`.
// Source: Kubernetes documentation, "Accessing Services: Environment variables", and Docker's legacy links.
fn is_service_link(rest: &str, value: &str) -> bool {
    rest == "SERVICE_HOST"
        || rest.starts_with("SERVICE_PORT")
        || (rest == "PORT" && value.contains("://"))
        || rest.strip_prefix("PORT_").is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
}
