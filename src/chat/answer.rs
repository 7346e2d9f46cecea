//! Answers of the common tongue: whole, and step by step.

use super::{Call, Number, Raw};
use crate::dialect::Usage;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was complete, or a stop text came.
    Stop,
    /// The token limit or the end of the context was reached.
    Length,
    /// Functions were called.
    Tools,
    /// A filter stopped it.
    Filter,
    /// The upstream gave a reason that has no name here, or none.
    Other,
}

/// A token of the answer, and how likely it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its text.
    pub text: String,
    /// The natural logarithm of its probability.
    pub logprob: Number,
    /// Its bytes, where the upstream tells them: a token may be a part of a character.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens at its place, without others of their own.
    pub others: Vec<Self>,
}

/// An unstreamed answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// What the model said.
    Said(Said),
    /// Vectors, in the order of the texts.
    Vectors {
        /// One for each text.
        vectors: Vec<Vector>,
        /// Tokens of the texts, where the upstream counted them.
        usage: Usage,
    },
}

/// What a model said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The text.
    pub text: String,
    /// What it thought before.
    pub thinking: String,
    /// The upstream's seal on that thinking; empty where it has none.
    pub signature: String,
    /// Functions it called, in order.
    pub calls: Vec<Call>,
    /// Why it ended; `None` when the upstream did not bring it to an end.
    pub finish: Option<Finish>,
    /// Tokens, where the upstream counted them.
    pub usage: Usage,
    /// The tokens of the text with their probabilities, where they were asked for.
    pub tokens: Vec<Token>,
}

/// One vector.
#[derive(Clone, Debug)]
pub enum Vector {
    /// A JSON array of numbers as it was written.
    Written(Raw),
    /// Decoded from base64.
    Floats(Vec<f32>),
}

/// One step of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// More text; never empty.
    Text(String),
    /// More thinking; never empty.
    Thinking(String),
    /// The upstream's seal on the thinking so far.
    Signature(String),
    /// The tokens of the text that comes next, with their probabilities. The text may stay out.
    Tokens(Vec<Token>),
    /// A function call, or a piece of one.
    Tool(Piece),
    /// Why the answer ended. More events may follow.
    Finish(Finish),
    /// Tokens. The last one counts.
    Usage(Usage),
    /// The dialect's terminal: nothing follows.
    End,
    /// The upstream says that it failed: nothing follows.
    Error(String),
}

/// A function call, or a piece of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Which call of the answer, from 0.
    pub index: usize,
    /// Its id, with the first piece at the latest if at all.
    pub id: Option<String>,
    /// The function's name, with the first piece.
    pub name: Option<String>,
    /// More of the arguments' text.
    pub arguments: String,
}

/// A model as lists name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The name to ask for.
    pub name: String,
    /// When it was last changed, in seconds since 1970; 0 when not known.
    pub modified_s: u64,
    /// Whose it is; `library` or empty when not known.
    pub owner: String,
    /// Bytes on disk; 0 when not known.
    pub size: u64,
    /// Parameters as Ollama writes them (`7.6B`); empty when not known.
    pub parameters: String,
    /// The family (`llama`); empty when not known.
    pub family: String,
    /// What it can do (`completion`, `tools`, `vision`, `embedding`, `thinking`); empty when not known.
    pub capabilities: Vec<String>,
    /// Most tokens it looks at: as it is loaded, where it is, else as many as it can. 0 when not known.
    pub context: u64,
    /// Whether it runs elsewhere, behind the upstream that lists it.
    pub remote: bool,
}

// === impl Said ===

impl Said {
    /// Adds what this step says; [`Delta::End`] and [`Delta::Error`] are the caller's to watch.
    pub fn add(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.text.push_str(&text),
            Delta::Thinking(text) => self.thinking.push_str(&text),
            Delta::Signature(seal) => self.signature.push_str(&seal),
            Delta::Tokens(tokens) => self.tokens.extend(tokens),
            Delta::Tool(piece) => Call::add(&mut self.calls, piece),
            Delta::Finish(finish) => self.finish = Some(finish),
            Delta::Usage(usage) => self.usage = usage,
            Delta::End | Delta::Error(_) => {}
        }
    }

    /// The steps of a stream that says the same.
    pub fn deltas(self) -> Vec<Delta> {
        let mut deltas = Vec::new();
        if !self.thinking.is_empty() {
            deltas.push(Delta::Thinking(self.thinking));
        }
        if !self.signature.is_empty() {
            deltas.push(Delta::Signature(self.signature));
        }
        if !self.tokens.is_empty() {
            deltas.push(Delta::Tokens(self.tokens));
        }
        if !self.text.is_empty() {
            deltas.push(Delta::Text(self.text));
        }
        deltas.extend(self.calls.into_iter().enumerate().map(|(index, call)| {
            Delta::Tool(Piece {
                index,
                id: call.id,
                name: Some(call.name),
                arguments: call.arguments,
            })
        }));
        deltas.extend(self.finish.map(Delta::Finish));
        deltas.push(Delta::Usage(self.usage));
        deltas.push(Delta::End);
        deltas
    }
}

// === impl Call ===

impl Call {
    /// Most calls of one answer; pieces of later ones are left out.
    pub const MAX: usize = 1024;

    /// Adds a piece to the call it belongs to.
    pub fn add(calls: &mut Vec<Self>, piece: Piece) {
        if piece.index >= Self::MAX {
            return;
        }
        while calls.len() <= piece.index {
            calls.push(Self { id: None, name: String::new(), arguments: String::new() });
        }
        let call = &mut calls[piece.index];
        if call.id.is_none() {
            call.id = piece.id;
        }
        if let (true, Some(name)) = (call.name.is_empty(), piece.name) {
            call.name = name;
        }
        call.arguments.push_str(&piece.arguments);
    }
}
