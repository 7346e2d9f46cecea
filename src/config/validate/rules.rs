//! The rules behind `auto`.

use super::Found;
use crate::config::{Rule, key_path::KeyPath};
use regex::Regex;
use std::collections::BTreeMap;

/// What a rule's model may be besides a model.
const ROLES: [&str; 3] = ["coder", "small", "default"];
const INTENTS: [&str; 3] = ["code", "short", "general"];
const CARRIED: [&str; 3] = ["tools", "images", "thinking"];

/// Most bytes of one compiled expression; the default of the regex crate is ten times as much.
const MAX_REGEX_BYTES: usize = 1 << 20;

impl Found<'_> {
    pub(super) fn rules(&mut self) {
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
}
