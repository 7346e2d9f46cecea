//! The common tongue: requests and answers in OpenAI's shapes, as plain structs that keep numbers, schemas and arguments as they were written.
//!
//! A dialect reads its own JSON into these and writes them as its own JSON. What a dialect cannot say is
//! either refused with a reason or named in [`Request::dropped`]; it is never lost silently.

mod answer;
mod media;
mod think;

pub use answer::{Answer, Delta, Finish, Model, Piece, Said, Token, Vector};
pub use media::{Media, Source};
pub use think::{Effort, Think};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

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
    /// How many answers are wanted, each on its own; 1 unless the client asks for more.
    pub choices: usize,
    /// Who asks, in the client's own words, for the upstream's watch over misuse.
    pub user: Option<String>,
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
    /// Which tools must or may be called; `None` leaves it to the model.
    pub tool_choice: Option<Choice>,
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
    /// What it says and shows, in order; empty when it says nothing.
    pub content: Vec<Part>,
    /// What the assistant thought before it spoke.
    pub thinking: Option<String>,
    /// The upstream's seal on that thinking, which it wants back (Anthropic's `signature`).
    pub signature: Option<String>,
    /// Functions that the assistant called.
    pub calls: Vec<Call>,
    /// Which call a tool's message answers, by id.
    pub call_id: Option<String>,
    /// Which function a tool's message answers, by name.
    pub tool_name: Option<String>,
    /// Whether a tool's message tells of a failure.
    pub failed: bool,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text; may be empty.
    Text(String),
    /// A picture, a sound or a document.
    Media(Media),
}

/// Which tools must or may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// As the model sees fit.
    Auto,
    /// None, though there are some.
    None,
    /// At least one, whichever it is.
    Required,
    /// This one.
    Named(String),
    /// These only; at least one of them where `required`.
    Allowed {
        /// Whether one must be called.
        required: bool,
        /// Their names; never empty.
        names: Vec<String>,
    },
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
    Schema(Schema),
}

/// A JSON schema for an answer, and what a dialect may say about it.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The schema, a JSON object.
    pub schema: Raw,
    /// What the client calls it.
    pub name: Option<String>,
    /// What the client says it is for.
    pub description: Option<String>,
    /// Whether the answer must fit it to the letter; `None` leaves it to the upstream.
    pub strict: Option<bool>,
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
    /// Tokens are told with their probabilities, and each with so many likely others, 0 to 20; `None`: without.
    pub logprobs: Option<u8>,
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

// === impl Message ===

impl Message {
    /// A message of nothing but text.
    pub fn new(role: &str, text: &str) -> Self {
        let content = vec![Part::Text(text.to_owned())];
        Self { role: role.to_owned(), content, ..Self::default() }
    }

    /// All its text, the parts on lines of their own.
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Media(_) => None,
        });
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let mut all = [first, second].join("\n");
                texts.for_each(|text| all.extend(["\n", text]));
                Cow::Owned(all)
            }
        }
    }

    /// Its pictures, sounds and documents, in order.
    pub fn media(&self) -> impl Iterator<Item = &Media> {
        self.content.iter().filter_map(|part| match part {
            Part::Media(media) => Some(media),
            Part::Text(_) => None,
        })
    }
}

// === impl Number ===

impl Number {
    /// The number that this JSON is; `None` for anything else.
    pub fn new(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| Self(raw.to_owned()))
    }

    /// A number from text that is one.
    pub fn literal(text: &str) -> Option<Self> {
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

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Number {}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
