//! `unigate check`: what would run, without running it.

use super::{
    Failure,
    format::{bytes, seconds},
    table::{Align, Table},
};
use crate::{
    config::{Config, Loaded, Rule, Upstream},
    gateway,
    provider::Provider,
};
use std::io::Write;

pub(super) fn run(loaded: &Loaded, out: &mut impl Write) -> Result<(), Failure> {
    let config = &loaded.config;
    let mut rows = vec![
        row("config", [file(loaded)]),
        row("listen", [config.server.listen.clone(), doors(config)]),
    ];
    rows.extend(upstreams(config));
    rows.extend(providers(config));
    rows.extend(rules(config));
    rows.extend(aliases(config));
    rows.push(row("cache", [cache(config)]));
    rows.push(row("retry", [retry(config)]));
    rows.push(row("log", [log(config)]));
    // Columns line up within a section only: the upstreams' names have nothing to do with the rules'.
    for section in rows.chunk_by(|_, next| next[0].is_empty()) {
        let widths = section.iter().map(Vec::len).max().unwrap_or_default();
        let mut table =
            Table::new((0..widths).map(|at| (Align::Left, if at == 0 { 8 } else { 0 })));
        section.iter().for_each(|row| table.fit(row));
        for row in section {
            writeln!(out, "{}", table.line(row))?;
        }
    }
    for note in &loaded.notes {
        writeln!(out, "note      {note}")?;
    }
    out.flush()?;
    let mut wrong = gateway::addresses(config).err().unwrap_or_default();
    wrong.extend(secrets(loaded));
    if !wrong.is_empty() {
        return Err(Failure::Usage(wrong.join("\n")));
    }
    Ok(writeln!(out, "\nthe configuration is right")?)
}

fn row(head: &str, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(head.to_owned()).chain(cells).collect()
}

fn file(loaded: &Loaded) -> String {
    loaded.file.as_ref().map_or_else(|| "none (defaults)".into(), |file| file.display().to_string())
}

fn doors(config: &Config) -> String {
    let who = match (config.server.is_loopback(), config.server.keys.len()) {
        (true, 0) => "this machine only, no key".to_owned(),
        (true, n) => format!("this machine only, {n} {}", plural(n, "key")),
        (false, n) => format!("open to others, {n} {}", plural(n, "key")),
    };
    let manage = if config.server.manages() { "may" } else { "may not" };
    format!("{who}; clients {manage} pull or delete models")
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 { word.to_owned() } else { format!("{word}s") }
}

fn upstreams(config: &Config) -> Vec<Vec<String>> {
    let default = config.default_upstream();
    let one = |(at, (name, upstream)): (usize, (&String, &Upstream))| {
        let mut facts = Vec::new();
        if upstream.provider != *name {
            facts.push(upstream.provider.clone());
        }
        if let Some(key) = &upstream.key {
            facts.push(format!("key from {key}"));
        }
        if upstream.forward_client_key {
            facts.push("gets the client's key".to_owned());
        }
        if let Some(chat) = &upstream.chat {
            facts.push(format!("chats in {chat}"));
        }
        if !upstream.models.is_empty() {
            let n = upstream.models.len();
            facts.push(format!("{n} {}", plural(n, "model")));
        }
        if upstream.max_in_flight > 0 {
            facts.push(format!("{} in flight", upstream.max_in_flight));
        }
        if Some(name.as_str()) == default {
            facts.push("default".to_owned());
        }
        let url = upstream
            .url
            .clone()
            .or_else(|| Provider::of(name, upstream).ok().map(|provider| provider.url.to_owned()));
        let url = url.unwrap_or_default();
        row(if at == 0 { "upstream" } else { "" }, [name.clone(), url, facts.join(", ")])
    };
    config.upstream.iter().enumerate().map(one).collect()
}

/// The providers among them that do something differently.
fn providers(config: &Config) -> Vec<Vec<String>> {
    let known =
        config.upstream.iter().filter_map(|(name, upstream)| Provider::of(name, upstream).ok());
    let mut rows = Vec::<Vec<String>>::new();
    for provider in known.filter(|provider| provider.name != "ollama") {
        let differences = provider.differences();
        if !differences.is_empty() && rows.iter().all(|row| row[1] != provider.name) {
            let head = if rows.is_empty() { "provider" } else { "" };
            rows.push(row(head, [provider.name.to_owned(), differences]));
        }
    }
    rows
}

fn rules(config: &Config) -> Vec<Vec<String>> {
    let mut rows: Vec<_> = config
        .route
        .iter()
        .enumerate()
        .map(|(at, rule)| {
            let head = if at == 0 { "auto  ->" } else { "" };
            let mut to = behind(config, &rule.model);
            let own = &rule.fallbacks;
            let fallbacks = if own.is_empty() { &config.models.fallback } else { own };
            for fallback in fallbacks {
                to.push_str(", then ");
                to.push_str(&behind(config, fallback));
            }
            row(head, [rule.name.clone(), to, conditions(rule)])
        })
        .collect();
    let mut to = behind(config, "default");
    for fallback in &config.models.fallback {
        to.push_str(", then ");
        to.push_str(fallback);
    }
    let head = if rows.is_empty() { "auto  ->" } else { "" };
    rows.push(row(head, ["default".into(), to, "everything else".into()]));
    rows
}

/// The model that a role or a name means, as far as the configuration says.
fn behind(config: &Config, model: &str) -> String {
    let role = match model {
        "default" => &config.models.default,
        "coder" => &config.models.coder,
        "small" => &config.models.small,
        _ => return model.to_owned(),
    };
    role.clone().unwrap_or_else(|| format!("{model} (picked from what is installed)"))
}

fn conditions(rule: &Rule) -> String {
    let mut all = Vec::new();
    if let Some(intent) = &rule.intent {
        all.push(format!("reads as {intent}"));
    }
    if !rule.any.is_empty() {
        all.push(format!("says {}", rule.any.join(" or ")));
    }
    if !rule.regex.is_empty() {
        all.push(format!("matches {}", rule.regex.join(" or ")));
    }
    match (rule.min_tokens, rule.max_tokens) {
        (Some(min), Some(max)) => all.push(format!("{min} to {max} tokens")),
        (Some(min), None) => all.push(format!("{min} tokens or more")),
        (None, Some(max)) => all.push(format!("{max} tokens or fewer")),
        (None, None) => {}
    }
    if !rule.has.is_empty() {
        all.push(format!("has {}", rule.has.join(" and ")));
    }
    all.extend(rule.header.iter().map(|(name, value)| format!("{name}: {value}")));
    if all.is_empty() { "everything".to_owned() } else { all.join(", ") }
}

fn aliases(config: &Config) -> Vec<Vec<String>> {
    let heads = std::iter::once("aliases").chain(std::iter::repeat(""));
    let pairs = heads.zip(&config.aliases);
    pairs.map(|(head, (name, model))| row(head, [name.clone(), format!("-> {model}")])).collect()
}

fn cache(config: &Config) -> String {
    let cache = &config.cache;
    let ttl = seconds(cache.ttl_s);
    match (cache.store.as_str(), &cache.redis) {
        ("off", _) => "off".to_owned(),
        ("redis", Some(redis)) => format!("redis at {redis}, {ttl}"),
        _ => format!("memory, {}, {ttl}", bytes(cache.max_bytes)),
    }
}

fn retry(config: &Config) -> String {
    let retry = &config.retry;
    let tries = plural(retry.tries as usize, "attempt");
    format!("{} {tries} per target, at most {}", retry.tries, seconds(retry.deadline_s))
}

fn log(config: &Config) -> String {
    let log = &config.log;
    if !log.enabled {
        return "off".to_owned();
    }
    let path = log.path.as_deref().unwrap_or("requests.db".as_ref()).display();
    let days = if log.days == 0 { "for ever".to_owned() } else { format!("{} days", log.days) };
    let size = if log.max_mb == 0 { "any size".into() } else { bytes(log.max_mb << 20) };
    let prompts = if log.prompts { "with prompts" } else { "no prompt text" };
    format!("{path}, {days}, {size}, {prompts}")
}

/// Secrets that cannot be read: the gateway would not start.
fn secrets(loaded: &Loaded) -> Vec<String> {
    let config = &loaded.config;
    let env = |name: &str| loaded.sources.env.get(name).cloned();
    let keys = config.server.keys.iter().enumerate();
    let keys = keys.map(|(at, key)| (format!("server.keys[{at}]"), key.read_with(env)));
    let upstreams = config.upstream.iter().filter_map(|(name, upstream)| {
        Some((format!("upstream.{name}.key"), upstream.key.as_ref()?.read_with(env)))
    });
    let redis = config.cache.redis.iter().filter(|_| config.cache.store == "redis");
    let redis = redis.map(|redis| ("cache.redis".to_owned(), redis.read_with(env)));
    let seal = config.cache.seal.iter().filter(|_| config.cache.store == "redis");
    let seal = seal.map(|seal| ("cache.seal".to_owned(), seal.read_with(env)));
    keys.chain(upstreams)
        .chain(redis)
        .chain(seal)
        .filter_map(|(path, read)| Some(format!("{path}: {}", read.err()?)))
        .collect()
}
