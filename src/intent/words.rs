//! Cuts a text into words of known classes, one pass, whatever the language.

use super::lexicon::{CLASSES, PHRASES, bit};
use std::{collections::HashMap, sync::LazyLock};

/// The longest word that is looked up, in bytes; the lexicon has none longer.
const MAX_WORD: usize = 40;

/// One word of a text, without its letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// Which word of the lexicon; 0 for one that it does not have.
    pub(super) id: u16,
    /// The classes it belongs to, one bit each.
    pub(super) classes: u64,
    /// Which sentence it stands in, counted from 0. A line's end also ends a sentence.
    pub(super) sentence: u32,
}

/// The words, classes and phrases that the rules know, ready to be looked up.
#[derive(Debug)]
pub(super) struct Lexicon {
    ids: HashMap<&'static str, u16>,
    classes: Vec<u64>,
    /// By first word: the words that follow, and the index into `PHRASES`.
    phrases: Vec<Vec<(Vec<u16>, usize)>>,
}

impl Lexicon {
    /// The shipped one.
    pub(super) fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Lexicon> = LazyLock::new(Lexicon::build);
        &SHIPPED
    }

    fn build() -> Self {
        let mut lexicon = Self { ids: HashMap::new(), classes: vec![0], phrases: vec![Vec::new()] };
        for (class, words) in CLASSES {
            for word in words.split_whitespace() {
                let id = lexicon.id(word);
                lexicon.classes[usize::from(id)] |= bit(*class);
            }
        }
        for (index, phrases) in PHRASES.iter().enumerate() {
            for phrase in phrases.words.split('|') {
                let mut ids = phrase.split_whitespace().map(|word| lexicon.id(word));
                let Some(first) = ids.next() else { continue };
                let rest = ids.collect();
                lexicon.phrases[usize::from(first)].push((rest, index));
            }
        }
        lexicon
    }

    fn id(&mut self, word: &'static str) -> u16 {
        let next = u16::try_from(self.classes.len()).unwrap_or(u16::MAX);
        let id = *self.ids.entry(word).or_insert(next);
        if id == next {
            self.classes.push(0);
            self.phrases.push(Vec::new());
        }
        id
    }

    /// The words of `text`. Hyphens and apostrophes part words, `+`, `#` and `_` belong to them.
    pub(super) fn words(&self, text: &str) -> Vec<Word> {
        let mut words = Vec::with_capacity(text.len() / 5);
        let mut sentence = 0;
        let mut buffer = String::with_capacity(MAX_WORD);
        let mut chars = text.char_indices().peekable();
        while let Some((_, c)) = chars.next() {
            if in_word(c) {
                buffer.clear();
                push_lower(&mut buffer, c);
                while let Some((_, c)) =
                    chars.next_if(|(_, c)| in_word(*c) || matches!(c, '+' | '#'))
                {
                    if buffer.len() <= MAX_WORD {
                        push_lower(&mut buffer, c);
                    }
                }
                words.push(self.word(&buffer, sentence));
            } else if ends_sentence(c, chars.peek().map(|(_, next)| *next)) {
                sentence += 1;
            }
        }
        words
    }

    /// Looks a word up, as it stands or without a plural's `s`.
    fn word(&self, text: &str, sentence: u32) -> Word {
        let id = self.ids.get(text).or_else(|| self.ids.get(text.strip_suffix('s')?));
        let id = id.copied().unwrap_or_default();
        Word { id, classes: self.classes[usize::from(id)], sentence }
    }

    /// Calls `found` with the index of each phrase in `words` and the position of its first word.
    pub(super) fn phrases(&self, words: &[Word], mut found: impl FnMut(usize, usize)) {
        for (at, word) in words.iter().enumerate() {
            for (rest, index) in &self.phrases[usize::from(word.id)] {
                let follows = words[at + 1..].iter().map(|word| word.id);
                if follows.take(rest.len()).eq(rest.iter().copied()) {
                    found(*index, at);
                }
            }
        }
    }
}

/// Letters and digits, but for the scripts that do not part words by spaces.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (c > '\u{bf}' && c < '\u{2e80}' && c.is_alphabetic())
}

fn push_lower(buffer: &mut String, c: char) {
    if c.is_ascii() { buffer.push(c.to_ascii_lowercase()) } else { buffer.extend(c.to_lowercase()) }
}

/// A full stop inside of `node.js` or `3.5` does not end a sentence.
fn ends_sentence(c: char, next: Option<char>) -> bool {
    match c {
        '\n' | ';' | '。' | '？' | '！' => true,
        '.' | '?' | '!' | ':' => next.is_none_or(|next| next.is_whitespace() || next == '"'),
        _ => false,
    }
}
