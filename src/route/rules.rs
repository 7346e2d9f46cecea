//! The rules for `auto`: looked at in the order of the file, the first that matches wins.

use crate::{
    config::Rule,
    dialect::Prompt,
    intent::{self, Intent, Reading},
};
use http::{HeaderMap, HeaderName};
use regex::{Regex, RegexBuilder};

/// Compiled rules.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    words: Vec<(String, Regex)>,
    patterns: Vec<Regex>,
    headers: Vec<(HeaderName, String)>,
}

/// One rule that was looked at, for `--explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule's name.
    pub rule: String,
    /// Whether it matched.
    pub matched: bool,
    /// Why, or why not.
    pub why: String,
}

/// The rule that won.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Its name.
    pub rule: String,
    /// Why.
    pub why: String,
    /// The model it names: a role or a name.
    pub model: String,
    /// Its own fallbacks.
    pub fallbacks: Vec<String>,
}

/// Keyword and pattern matches are looked for in this much of the text at most.
const MAX_TEXT: usize = Prompt::MAX_TEXT;

impl Rules {
    /// Compiles rules. What none of them takes goes to the default model.
    pub(super) fn new(rules: &[Rule]) -> Result<Self, String> {
        let rules = rules.iter().map(Compiled::new).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// The headers that any rule looks at.
    pub(super) fn headers(&self) -> Vec<HeaderName> {
        let names = self.rules.iter().flat_map(|rule| rule.headers.iter().map(|(name, _)| name));
        names.cloned().collect()
    }

    /// Every name that may stand behind `auto:`.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = ["coder", "small", "default"].map(str::to_owned).to_vec();
        for rule in &self.rules {
            if !names.contains(&rule.rule.name) {
                names.push(rule.rule.name.clone());
            }
        }
        names
    }

    /// The rule for a prompt, or the one asked for by name; `None` for a name that no rule has.
    pub(super) fn choose(
        &self,
        asked: &str,
        prompt: &Prompt,
        headers: &HeaderMap,
    ) -> Option<(Matched, Vec<Step>)> {
        if !asked.is_empty() {
            return self.by_name(asked).map(|matched| (matched, Vec::new()));
        }
        let mut steps = Vec::new();
        if prompt.bytes == 0 {
            // A load, or a form that is not read here: no reason to think it small.
            return Some((otherwise("no prompt to read"), steps));
        }
        if prompt.verbatim {
            let why = "a raw or fill-in prompt is not re-routed";
            return Some((otherwise(why), steps));
        }
        let reading = intent::read(&prompt.text, prompt.estimated_tokens(), prompt.messages.max(1));
        for rule in &self.rules {
            let verdict = rule.matches(prompt, &reading, headers);
            let matched = verdict.is_ok();
            let why = verdict.clone().unwrap_or_else(|why| why);
            steps.push(Step { rule: rule.rule.name.clone(), matched, why });
            if let Ok(why) = verdict {
                return Some((rule.won(why), steps));
            }
        }
        Some((otherwise(&format!("no rule matched; {}", reading.why)), steps))
    }

    fn by_name(&self, asked: &str) -> Option<Matched> {
        let why = "asked for by name".to_owned();
        if let Some(rule) = self.rules.iter().find(|rule| rule.rule.name == asked) {
            return Some(rule.won(why));
        }
        ["coder", "small", "default"].contains(&asked).then(|| Matched {
            rule: asked.to_owned(),
            why,
            model: asked.to_owned(),
            fallbacks: Vec::new(),
        })
    }
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, String> {
        let fail = |what: &str, why: String| format!("route {:?}: {what}: {why}", rule.name);
        let words = rule.any.iter().map(|word| {
            let pattern = format!(r"(?:^|\W){}(?:\W|$)", regex::escape(word));
            let regex = RegexBuilder::new(&pattern).case_insensitive(true).build();
            regex.map(|regex| (word.clone(), regex)).map_err(|e| fail(word, e.to_string()))
        });
        let patterns = rule
            .regex
            .iter()
            .map(|pattern| Regex::new(pattern).map_err(|e| fail(pattern, e.to_string())));
        let headers = rule.header.iter().map(|(name, value)| {
            let parsed: Result<HeaderName, _> = name.parse();
            parsed.map(|parsed| (parsed, value.clone())).map_err(|e| fail(name, e.to_string()))
        });
        Ok(Self {
            words: words.collect::<Result<_, _>>()?,
            patterns: patterns.collect::<Result<_, _>>()?,
            headers: headers.collect::<Result<_, _>>()?,
            rule: rule.clone(),
        })
    }

    fn won(&self, why: String) -> Matched {
        Matched {
            rule: self.rule.name.clone(),
            why,
            model: self.rule.model.clone(),
            fallbacks: self.rule.fallbacks.clone(),
        }
    }

    /// Every condition must hold; within `any` and `regex` one is enough. The words name what held, or what did not.
    fn matches(
        &self,
        prompt: &Prompt,
        reading: &Reading,
        headers: &HeaderMap,
    ) -> Result<String, String> {
        let rule = &self.rule;
        let mut why: Vec<String> = Vec::new();
        let tokens = prompt.estimated_tokens();
        if let Some(min) = rule.min_tokens {
            hold(tokens >= min, &mut why, intent::about(tokens), &format!("< {min}"))?;
        }
        if let Some(max) = rule.max_tokens {
            hold(tokens <= max, &mut why, intent::about(tokens), &format!("> {max}"))?;
        }
        for what in &rule.has {
            let has = match what.as_str() {
                "tools" => prompt.tools,
                "images" => prompt.images,
                _ => prompt.thinking,
            };
            hold(has, &mut why, what.clone(), ": none")?;
        }
        for (name, value) in &self.headers {
            let seen = headers.get(name).map(|seen| seen.as_bytes());
            let holds = seen.is_some_and(|seen| value == "*" || seen == value.as_bytes());
            hold(holds, &mut why, format!("header {name}"), ": not so")?;
        }
        if let Some(intent) = &rule.intent {
            let word = match reading.intent {
                Intent::Code => "code",
                Intent::Short => "short",
                Intent::General => "general",
            };
            hold(word == intent, &mut why, reading.why.clone(), &format!(" reads as {word}"))?;
        }
        if !self.words.is_empty() || !self.patterns.is_empty() {
            let text = clip(&prompt.text);
            let word = self.words.iter().find(|(_, regex)| regex.is_match(text));
            let word = word.map(|(word, _)| format!("keyword {word}"));
            let pattern = || self.patterns.iter().position(|regex| regex.is_match(text));
            let found = word.or_else(|| pattern().map(|at| format!("regex[{at}]")));
            why.push(found.ok_or("no keyword and no regex matches")?);
        }
        Ok(if why.is_empty() { "matches everything".into() } else { why.join(", ") })
    }
}

fn hold(holds: bool, why: &mut Vec<String>, what: String, not: &str) -> Result<(), String> {
    if !holds {
        return Err(format!("{what} {}", not.trim_start()));
    }
    why.push(what);
    Ok(())
}

fn otherwise(why: &str) -> Matched {
    Matched {
        rule: "default".into(),
        why: why.into(),
        model: "default".into(),
        fallbacks: Vec::new(),
    }
}

fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
