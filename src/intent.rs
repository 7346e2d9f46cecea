//! What a prompt is for: code, something short, or anything else.
//!
//! A fenced block, a traceback or "Python function" say code; "dress code" and "import duties" do
//! not. Every signal has a name and a weight; they add up, so that a decision can be explained.

mod depth;
mod rules;

use regex::bytes::{RegexSet, RegexSetBuilder, SetMatches};
use rules::{Kind, LISTS, RULES};
use std::sync::LazyLock;

/// From this score on a text is about code.
pub const THRESHOLD: f32 = 0.5;

/// The most that words shared with ordinary life can add up to: less than [`THRESHOLD`], so that a
/// long text without anything surer never becomes code by its length.
const WEAK_CAP: f32 = 0.45;

/// How much of a text is looked at, in bytes. Of a longer one, the first and the last half of it: that
/// is where people put the question.
const MAX_BYTES: usize = 32 * 1024;

/// The most tokens that still count as short.
pub const SHORT_TOKENS: usize = 60;

/// The most messages that still count as short: a system prompt, two exchanges and the question.
pub const SHORT_MESSAGES: usize = 6;

/// The most memory one lazily built automaton may take, in bytes. Generous, because an automaton that
/// outgrows it is thrown away in the middle of a text and built again.
const DFA_BYTES: usize = 16 << 20;

/// What was found in a text that speaks for code.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// How sure it is that the text is about code, from 0 (nothing found) to 1.
    pub score: f32,
    /// The names of the signals, the surest first, none twice; empty when nothing was found.
    pub why: Vec<&'static str>,
}

/// Tells whether a text is about code. Compiled once; cheap to ask.
#[derive(Debug)]
pub struct CodeIntent {
    set: RegexSet,
}

impl CodeIntent {
    /// The shipped signals.
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<CodeIntent> = LazyLock::new(|| CodeIntent { set: compile_rules() });
        &SHIPPED
    }

    /// What speaks for code in `text`. Looks at 32 KiB at most: of a longer text at its beginning and its end.
    pub fn signals(&self, text: &str) -> Signals {
        let (head, tail) = ends(text.as_bytes());
        let mut found = vec![false; RULES.len()];
        mark(&mut found, &self.set.matches(head));
        if !tail.is_empty() {
            mark(&mut found, &self.set.matches(tail));
        }
        add_up(&found)
    }

    /// Whether `text` is about code: its score reaches [`THRESHOLD`].
    pub fn is_code(&self, text: &str) -> bool {
        self.signals(text).score >= THRESHOLD
    }
}

/// What a prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To write, mend or explain code.
    Code,
    /// A short question that a small model answers well.
    Short,
    /// Everything else.
    General,
}

/// An intent and the reason for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What the prompt is for.
    pub intent: Intent,
    /// Why, for people: `fenced block, traceback`, `about 12 tokens`, `asks for depth: prove`. Never
    /// holds text from the prompt, other than words that the shipped rules know.
    pub why: String,
    /// How much spoke for code, from 0 to 1, whatever the intent became.
    pub score: f32,
}

/// Reads what a prompt is for: code first, then short, otherwise general.
///
/// `text` is what the person wrote (one message or several joined). `estimated_tokens` is the
/// estimate for the whole prompt, `messages` the number of messages in it. Short means at most
/// [`SHORT_TOKENS`] tokens in at most [`SHORT_MESSAGES`] messages, and no demand for depth: "Prove that
/// sqrt(2) is irrational" is a short text and not work for a small model.
pub fn read(text: &str, estimated_tokens: usize, messages: usize) -> Reading {
    let Signals { score, why } = CodeIntent::shipped().signals(text);
    if score >= THRESHOLD {
        return Reading { intent: Intent::Code, why: why.join(", "), score };
    }
    let (intent, why) = if estimated_tokens > SHORT_TOKENS {
        (Intent::General, format!("about {estimated_tokens} tokens"))
    } else if messages > SHORT_MESSAGES {
        (Intent::General, format!("{messages} messages"))
    } else if let Some(demand) = depth::demand(text) {
        (Intent::General, format!("asks for depth: {demand}"))
    } else {
        (Intent::Short, format!("about {estimated_tokens} tokens"))
    };
    Reading { intent, why, score }
}

fn compile_rules() -> RegexSet {
    let patterns = RULES.iter().map(|rule| {
        LISTS.iter().fold(rule.pattern.to_owned(), |text, (name, words)| text.replace(name, words))
    });
    compile(patterns)
}

/// One automaton for all patterns: multi-line, without case, over bytes.
#[expect(clippy::expect_used, reason = "the patterns are constants that a test compiles")]
fn compile(patterns: impl Iterator<Item = String>) -> RegexSet {
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .multi_line(true)
        .unicode(false)
        .size_limit(DFA_BYTES)
        .dfa_size_limit(DFA_BYTES)
        .build()
        .expect("shipped patterns compile")
}

/// The text, or the two ends of a long one.
fn ends(text: &[u8]) -> (&[u8], &[u8]) {
    if text.len() <= MAX_BYTES {
        return (text, &[]);
    }
    let half = MAX_BYTES / 2;
    (&text[..half], &text[text.len() - half..])
}

fn mark(found: &mut [bool], matches: &SetMatches) {
    for index in matches {
        found[index] = true;
    }
}

fn add_up(found: &[bool]) -> Signals {
    let (mut strong, mut weak) = (0.0_f32, 0.0_f32);
    let mut why = Vec::new();
    for (rule, _) in RULES.iter().zip(found).filter(|(_, found)| **found) {
        match rule.kind {
            Kind::Strong => strong += rule.weight,
            Kind::Weak => weak += rule.weight,
        }
        if !why.contains(&rule.why) {
            why.push(rule.why);
        }
    }
    Signals { score: (strong + weak.min(WEAK_CAP)).min(1.0), why }
}

#[cfg(test)]
mod tests;
