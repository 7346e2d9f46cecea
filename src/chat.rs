//! The common tongue: requests and answers in OpenAI's shapes, as plain structs that keep numbers, schemas and arguments as they were written.
//!
//! A dialect reads its own JSON into these and writes them as its own JSON. What a dialect cannot say is
//! either refused with a reason or named in [`Request::dropped`]; it is never lost silently.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A piece of JSON exactly as it was written.
pub type Raw = Box<RawValue>;

/// A request, whatever it is for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The model as the client wrote it.
    pub model: String,
    /// Whether the answer is to be streamed; always known, the dialect's default is already applied.
    pub stream: bool,
    /// What is wanted.
    pub task: Task,
    /// How tokens are chosen, and how many.
    pub sampling: Sampling,
    /// What only Ollama understands, kept for an upstream that does.
    pub native: Native,
    /// Fields that change the answer a little, that the target cannot be told, and that were therefore left out.
    pub dropped: Vec<&'static str>,
}

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Task {
    /// The next message of a conversation.
    Chat(Conversation),
    /// The continuation of a text.
    Complete(Completion),
    /// Vectors for texts.
    Embed(Embedding),
}

/// A conversation, oldest message first.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// Never empty.
    pub messages: Vec<Message>,
    /// Functions that may be called; empty when none.
    pub tools: Vec<Tool>,
    /// The form of the answer; `None` is free text.
    pub format: Option<Format>,
    /// Whether to think first; `None` leaves it to the model.
    pub think: Option<Think>,
    /// How tool use was constrained, as the client wrote it; `None` leaves it to the model.
    pub tool_choice: Option<Raw>,
    /// Whether several tools may be called at once; `None` leaves it to the model.
    pub parallel_tools: Option<bool>,
}

/// A text to continue.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// What comes before.
    pub prompt: String,
    /// What comes after, for filling the middle.
    pub suffix: Option<String>,
    /// A system message for models that chat.
    pub system: Option<String>,
    /// Whether the prompt goes to the model without a template. OpenAI's completions say nothing about it.
    pub raw: Option<bool>,
    /// Whether the prompt must stay one text, and may not become a conversation.
    pub verbatim: bool,
    /// Pictures or sound that belong to the prompt.
    pub media: Vec<Media>,
    /// The form of the answer; `None` is free text.
    pub format: Option<Format>,
    /// Whether to think first; `None` leaves it to the model.
    pub think: Option<Think>,
}

/// Texts to turn into vectors.
#[derive(Clone, Debug, Default)]
pub struct Embedding {
    /// One or more texts.
    pub input: Vec<String>,
    /// Length of the vectors; `None` is the model's own.
    pub dimensions: Option<Number>,
}

/// One message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`; others are handed on as they are.
    pub role: String,
    /// All text of the message; empty when it has none.
    pub text: String,
    /// Pictures or sound, in order.
    pub media: Vec<Media>,
    /// What the assistant thought before it spoke.
    pub thinking: Option<String>,
    /// Functions that the assistant called.
    pub calls: Vec<Call>,
    /// Which call a tool's message answers, by id.
    pub call_id: Option<String>,
    /// Which function a tool's message answers, by name.
    pub tool_name: Option<String>,
}

/// A picture or a sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What it is, as far as its first bytes or its sender tell: `image/png`, `audio/wav`.
    pub mime: &'static str,
    /// Standard base64 with padding.
    pub base64: String,
}

/// A function that may be called.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// A JSON schema of its arguments.
    pub parameters: Option<Raw>,
    /// OpenAI's `strict`, as written.
    pub strict: Option<Raw>,
}

/// A function call, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its id; `None` where the dialect needs none.
    pub id: Option<String>,
    /// The function's name.
    pub name: String,
    /// The arguments, a JSON object as text, in their original order.
    pub arguments: String,
}

/// The form that an answer must have.
#[derive(Clone, Debug)]
pub enum Format {
    /// Any JSON.
    Json,
    /// JSON that fits this schema.
    Schema(Raw),
}

/// Whether to think first, and how hard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Think {
    /// Not at all.
    Off,
    /// As the model sees fit.
    On,
    /// `low`, `medium`, `high` or `max`.
    Level(&'static str),
}

/// How tokens are chosen, and how many. Every `None` is the upstream's own default.
#[derive(Clone, Debug, Default)]
pub struct Sampling {
    /// 0 to 2.
    pub temperature: Option<Number>,
    /// 0 to 1.
    pub top_p: Option<Number>,
    /// At least 1.
    pub top_k: Option<Number>,
    /// 0 to 1.
    pub min_p: Option<Number>,
    /// -2 to 2.
    pub frequency_penalty: Option<Number>,
    /// -2 to 2.
    pub presence_penalty: Option<Number>,
    /// 1 is none.
    pub repeat_penalty: Option<Number>,
    /// The same seed gives the same answer, where the upstream can.
    pub seed: Option<Number>,
    /// At least 1.
    pub max_tokens: Option<Number>,
    /// Texts that end the answer; empty when none.
    pub stop: Vec<String>,
}

/// What only Ollama understands.
#[derive(Clone, Debug, Default)]
pub struct Native {
    /// How long the model stays loaded afterwards.
    pub keep_alive: Option<Raw>,
    /// Whether a prompt longer than the context may be cut.
    pub truncate: Option<bool>,
    /// Whether the context may be shifted when it is full.
    pub shift: Option<bool>,
    /// Options beyond [`Sampling`], in the order they came. The last of equal names wins, also over [`Sampling`].
    pub options: Vec<(String, Raw)>,
}

/// A number exactly as it was written, so that 1.0 stays 1.0 and 2⁶³ stays 2⁶³.
#[derive(Clone, Debug)]
pub struct Number(Raw);

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
        usage: crate::dialect::Usage,
    },
}

/// What a model said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The text.
    pub text: String,
    /// What it thought before.
    pub thinking: String,
    /// Functions it called, in order.
    pub calls: Vec<Call>,
    /// Why it ended; `None` when the upstream did not bring it to an end.
    pub finish: Option<Finish>,
    /// Tokens, where the upstream counted them.
    pub usage: crate::dialect::Usage,
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
    /// A function call, or a piece of one.
    Tool(Piece),
    /// Why the answer ended. More events may follow.
    Finish(Finish),
    /// Tokens. The last one counts.
    Usage(crate::dialect::Usage),
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
    /// Most tokens it can look at; 0 when not known.
    pub context: u64,
    /// Whether it runs elsewhere, behind the upstream that lists it.
    pub remote: bool,
}

// === impl Number ===

impl Number {
    /// The number that this JSON is; `None` for anything else.
    pub fn new(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| Self(raw.to_owned()))
    }

    /// A number from text that is one.
    pub fn literal(text: &'static str) -> Option<Self> {
        RawValue::from_string(text.to_owned()).ok().and_then(|raw| Self::new(&raw))
    }

    /// Its value; infinite when too large.
    pub fn value(&self) -> f64 {
        self.0.get().parse().unwrap_or(f64::NAN)
    }

    /// As it was written.
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

// === impl Said ===

impl Said {
    /// Adds what this step says; [`Delta::End`] and [`Delta::Error`] are the caller's to watch.
    pub fn add(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.text.push_str(&text),
            Delta::Thinking(text) => self.thinking.push_str(&text),
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
