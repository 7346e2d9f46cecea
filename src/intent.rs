//! What a prompt is for: code, something short, or anything else.
//!
//! A fenced block, a traceback or "Python function" say code; "dress code" and "import duties" do
//! not. Every signal has a name and a weight; they add up, so that a decision can be explained.

mod lexicon;
mod pairs;
mod shapes;
mod words;

use lexicon::{Class, PHRASES, Says, bit};
use pairs::{Means, PAIRS};
use shapes::SHAPES;
use std::sync::LazyLock;
use words::{Lexicon, Word};

/// From this score on a text is about code.
pub const THRESHOLD: f32 = 0.5;

/// The most that words shared with ordinary life can add up to in a long text: less than
/// [`THRESHOLD`], so that a text without anything surer never becomes code by its length.
const WEAK_CAP: f32 = 0.45;

/// The same for a text of few words, where every word was meant.
const WEAK_CAP_FEW: f32 = 0.65;

/// How many words are few.
const FEW_WORDS: usize = 60;

/// How much of a text is looked at, in bytes. Of a longer one, the first and the last half of it: that
/// is where people put the question.
const MAX_BYTES: usize = 32 * 1024;

/// The most tokens that still count as short.
pub const SHORT_TOKENS: usize = 60;

/// The most messages that still count as short: a system prompt, two exchanges and the question.
pub const SHORT_MESSAGES: usize = 6;

/// What was found in a text that speaks for code.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// How sure it is that the text is about code, from 0 (nothing found) to 1.
    pub score: f32,
    /// The names of the signals, the surest first, none twice; empty when nothing was found.
    pub why: Vec<&'static str>,
}

/// Tells whether a text is about code. Prepared once; cheap to ask.
#[derive(Debug)]
pub struct CodeIntent {
    lexicon: &'static Lexicon,
}

impl CodeIntent {
    /// The shipped signals. The first call prepares them, which takes some milliseconds.
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<CodeIntent> = LazyLock::new(|| {
            shapes::prepare();
            CodeIntent { lexicon: Lexicon::shipped() }
        });
        &SHIPPED
    }

    /// What speaks for code in `text`. Looks at 32 KiB at most: of a longer text at its beginning and its end.
    pub fn signals(&self, text: &str) -> Signals {
        self.look(text).signals()
    }

    /// Whether `text` is about code: its score reaches [`THRESHOLD`].
    pub fn is_code(&self, text: &str) -> bool {
        self.signals(text).score >= THRESHOLD
    }

    fn look(&self, text: &str) -> Found {
        let mut found = Found::default();
        let (head, tail) = ends(text);
        for part in [head, tail] {
            if part.is_empty() {
                continue;
            }
            shapes::shapes(part, |index| found.shapes |= 1 << index);
            let words = self.lexicon.words(part);
            found.words += words.len();
            found.named |= words.iter().any(|word| word.classes & bit(Class::Sure) != 0);
            self.lexicon.phrases(&words, |index, at| {
                if PHRASES[index].says != Says::DepthAsCommand || begins_command(&words, at) {
                    found.phrases |= 1 << index;
                }
            });
            pairs::pairs(&words, |index| found.pairs |= 1 << index);
        }
        found
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
    /// holds text from the prompt, only names of rules.
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
    let found = CodeIntent::shipped().look(text);
    let Signals { score, why } = found.signals();
    if score >= THRESHOLD {
        return Reading { intent: Intent::Code, why: why.join(", "), score };
    }
    let (intent, why) = if estimated_tokens > SHORT_TOKENS {
        (Intent::General, about(estimated_tokens))
    } else if messages > SHORT_MESSAGES {
        (Intent::General, format!("{messages} messages"))
    } else if let Some(demand) = found.demand() {
        (Intent::General, format!("asks for depth: {demand}"))
    } else {
        (Intent::Short, about(estimated_tokens))
    };
    Reading { intent, why, score }
}

/// An estimate of tokens, in words.
pub(crate) fn about(tokens: usize) -> String {
    if tokens == 1 { "about 1 token".into() } else { format!("about {tokens} tokens") }
}

/// Which rules matched, one bit each by their index.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    shapes: u64,
    phrases: u64,
    pairs: u64,
    /// How many words were read.
    words: usize,
    /// Whether one of them names a language or tool and nothing else.
    named: bool,
}

const _: () = assert!(SHAPES.len() <= 64 && PHRASES.len() <= 64 && PAIRS.len() <= 64);

impl Found {
    fn shapes(self) -> impl Iterator<Item = &'static shapes::Shape> {
        SHAPES.iter().enumerate().filter(move |(i, _)| self.shapes & (1 << i) != 0).map(|(_, s)| s)
    }

    fn phrases(self) -> impl Iterator<Item = &'static lexicon::Phrases> {
        PHRASES
            .iter()
            .enumerate()
            .filter(move |(i, _)| self.phrases & (1 << i) != 0)
            .map(|(_, p)| p)
    }

    fn pairs(self) -> impl Iterator<Item = &'static pairs::Pair> {
        PAIRS.iter().enumerate().filter(move |(i, _)| self.pairs & (1 << i) != 0).map(|(_, p)| p)
    }

    fn signals(self) -> Signals {
        let (mut sure, mut weak) = (Vec::new(), Vec::new());
        let shapes = self.shapes().map(|shape| (shape.why, shape.says));
        for (why, says) in shapes.chain(self.phrases().map(|phrases| (phrases.why, phrases.says))) {
            match says {
                Says::Code(weight) => sure.push((why, weight)),
                Says::PerhapsCode(weight) => weak.push((why, weight)),
                Says::Depth | Says::DepthAsCommand | Says::Brief => {}
            }
        }
        for pair in self.pairs() {
            if let Means::Code(weight) = pair.means {
                sure.push((pair.why, weight));
            }
        }
        let few = self.words <= FEW_WORDS;
        match (self.named, few) {
            (true, true) => sure.push(("language by name", THRESHOLD)),
            (true, false) => weak.push(("language by name", 0.35)),
            (false, _) => {}
        }
        let cap = if few { WEAK_CAP_FEW } else { WEAK_CAP };
        sure.sort_by(|a, b| b.1.total_cmp(&a.1));
        let weight =
            |signals: &[(&str, f32)]| signals.iter().fold(0.0, |sum, (_, weight)| sum + weight);
        let score = (weight(&sure) + weight(&weak).min(cap)).min(1.0);
        let mut why = Vec::with_capacity(sure.len() + weak.len());
        for (name, _) in sure.into_iter().chain(weak) {
            if !why.contains(&name) {
                why.push(name);
            }
        }
        Signals { score, why }
    }

    /// The first demand for depth. A wish for brevity outweighs all but a proof.
    fn demand(self) -> Option<&'static str> {
        let shapes = self.shapes().map(|shape| (shape.why, shape.says));
        let mut named = shapes.chain(self.phrases().map(|phrases| (phrases.why, phrases.says)));
        let demand = named.find(|(_, says)| matches!(says, Says::Depth | Says::DepthAsCommand));
        let demand = demand.map(|(why, _)| why);
        let demand =
            demand.or_else(|| self.pairs().find(|p| p.means == Means::Depth).map(|p| p.why))?;
        let brief = self.phrases().any(|phrases| phrases.says == Says::Brief);
        (demand == "prove" || !brief).then_some(demand)
    }
}

/// Whether the word at `at` begins a sentence, or follows a polite opening.
fn begins_command(words: &[Word], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| words[before]) else { return true };
    before.sentence != words[at].sentence || before.classes & bit(Class::Polite) != 0
}

/// The text, or the two ends of a long one.
fn ends(text: &str) -> (&str, &str) {
    if text.len() <= MAX_BYTES {
        return (text, "");
    }
    let half = MAX_BYTES / 2;
    let boundary = |at: usize| (at..text.len()).find(|at| text.is_char_boundary(*at));
    let (head, tail) = (boundary(half), boundary(text.len() - half));
    (&text[..head.unwrap_or(half)], &text[tail.unwrap_or(text.len())..])
}

#[cfg(test)]
mod tests;
