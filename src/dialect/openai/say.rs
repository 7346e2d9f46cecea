//! Writes answers as OpenAI gives them.

mod shape;

pub(super) use self::shape::Counts;
use self::shape::{Called, Choice, Function, Logprobs, Object, Words};
use super::detail::Detail;
use crate::{
    chat::{Answer, Call, Delta, Finish, Piece, Said, Token, Vector},
    dialect::{Operation, Reply, Usage, WriteAnswer, base64, json, tokens},
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Writes the events of `/v1/chat/completions` or `/v1/completions`.
#[derive(Debug)]
pub(super) struct Writer {
    operation: Operation,
    reply: Reply,
    id: String,
    usage: Usage,
    begun: bool,
    finished: bool,
    called: Vec<bool>,
    /// Those of the text that comes next.
    tokens: Vec<Token>,
    /// Characters of the text so far, counted only where a token's place is told.
    offset: usize,
}

/// As Ollama's own /v1 says it. Source: ollama openai/openai.go.
const FINGERPRINT: &str = "fp_ollama";

/// The `delta` of a chunk, or what a completion chunk has instead.
#[derive(Default)]
struct Step<'a> {
    text: Option<&'a str>,
    thinking: Option<&'a str>,
    seal: Option<&'a str>,
    tokens: &'a [Token],
    call: Option<Called<'a>>,
    finish: Option<&'static str>,
}

impl Writer {
    pub(super) fn new(operation: Operation, reply: Reply) -> Self {
        Self {
            id: id(operation, &reply),
            operation,
            reply,
            usage: Usage::default(),
            begun: false,
            finished: false,
            called: Vec::new(),
            tokens: Vec::new(),
            offset: 0,
        }
    }

    fn event(&self, choices: &[Choice<'_>], usage: Option<Option<Counts>>, out: &mut BytesMut) {
        let object = match self.operation {
            Operation::Chat => "chat.completion.chunk",
            _ => "text_completion",
        };
        out.put_slice(b"data: ");
        let object = Object {
            id: &self.id,
            object,
            created: self.reply.created_ms / 1000,
            model: &self.reply.model,
            system_fingerprint: FINGERPRINT,
            choices,
            usage,
        };
        json::write(&mut out.writer(), &object);
        out.put_slice(b"\n\n");
    }

    /// One chunk. The first one of a chat says the role, and has a content even when it says nothing.
    fn step(&mut self, step: Step<'_>, out: &mut BytesMut) {
        let chat = self.operation == Operation::Chat;
        let first = !std::mem::replace(&mut self.begun, true);
        let delta = chat.then(|| Words {
            role: first.then_some("assistant"),
            content: step.text.or(first.then_some("")).map(Some),
            reasoning: step.thinking,
            reasoning_details: step.seal.map(|seal| [Detail::new("", seal)]),
            tool_calls: step.call.into_iter().collect(),
        });
        let logprobs = logprobs(self.operation, step.tokens, &mut self.offset);
        let choice = Choice {
            index: self.reply.choice.unwrap_or(0),
            delta,
            message: None,
            text: (!chat).then_some(step.text.unwrap_or("")),
            reasoning: step.thinking.filter(|_| !chat),
            logprobs,
            finish_reason: step.finish,
        };
        let usage = self.reply.wishes.usage.then_some(None);
        self.event(&[choice], usage, out);
    }

    fn tail(&self, out: &mut BytesMut) {
        if self.reply.wishes.usage {
            self.event(&[], Some(Some(self.usage.into())), out);
        }
        out.put_slice(DONE);
    }

    fn call(&mut self, piece: &Piece, out: &mut BytesMut) {
        if piece.index >= Call::MAX || self.operation != Operation::Chat {
            return;
        }
        if self.called.len() <= piece.index {
            self.called.resize(piece.index + 1, false);
        }
        // Said once: the Python client's accumulator would write an id or a name twice in a row.
        // Source: openai-python lib/streaming/_deltas.py.
        let first = !std::mem::replace(&mut self.called[piece.index], true);
        let id = piece.id.as_deref().map(Cow::Borrowed);
        let id = first.then(|| id.unwrap_or_else(|| self.reply.call_id(piece.index).into()));
        let call = Called {
            index: Some(piece.index),
            id: id.as_deref(),
            r#type: first.then_some("function"),
            function: Function {
                name: first.then(|| piece.name.as_deref().unwrap_or("")),
                arguments: &piece.arguments,
            },
        };
        self.step(Step { call: Some(call), ..Step::default() }, out);
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        let chat = self.operation == Operation::Chat;
        if chat && !self.begun {
            self.step(Step::default(), out);
        }
        if !self.tokens.is_empty() {
            let tokens = std::mem::take(&mut self.tokens);
            self.step(Step { text: Some(""), tokens: &tokens, ..Step::default() }, out);
        }
        self.finished = true;
        let finish = reason(finish, !self.called.is_empty());
        self.step(Step { finish: Some(finish), ..Step::default() }, out);
    }
}

impl WriteAnswer for Writer {
    fn write(&mut self, delta: Delta, _now_ms: u64, out: &mut BytesMut) -> Result<(), String> {
        match delta {
            Delta::Text(text) => {
                let tokens = std::mem::take(&mut self.tokens);
                let step = Step { text: Some(&text), tokens: &tokens, ..Step::default() };
                self.step(step, out);
            }
            // They go with the text that follows.
            Delta::Tokens(tokens) => self.tokens.extend(tokens),
            Delta::Signature(seal) if self.operation == Operation::Chat => {
                self.step(Step { seal: Some(&seal), ..Step::default() }, out);
            }
            Delta::Thinking(text) => {
                self.step(Step { thinking: Some(&text), ..Step::default() }, out);
            }
            Delta::Tool(piece) => self.call(&piece, out),
            Delta::Finish(finish) if !self.finished => self.finish(finish, out),
            Delta::Signature(_) | Delta::Finish(_) => {}
            Delta::Usage(usage) => self.usage = usage,
            Delta::Error(message) => return Err(message),
            Delta::End => {
                if !self.finished {
                    self.finish(Finish::Other, out);
                }
                // The end of one of several is the end of nothing else.
                if self.reply.choice.is_none() {
                    self.tail(out);
                }
            }
        }
        Ok(())
    }
}

/// The end of a stream of several choices: the tokens of them all where they were asked for, and the terminal.
pub(super) fn tail(operation: Operation, reply: &Reply, usage: Usage) -> Bytes {
    let mut out = BytesMut::new();
    Writer { usage, ..Writer::new(operation, reply.clone()) }.tail(&mut out);
    out.freeze()
}

/// The terminal, exactly: the newest Node client compares it whole. Source: openai-node core/streaming.ts.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

fn id(operation: Operation, reply: &Reply) -> String {
    let prefix = if operation == Operation::Chat { "chatcmpl" } else { "cmpl" };
    format!("{prefix}-{}", reply.id)
}

fn reason(finish: Finish, called: bool) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::Filter => "content_filter",
        Finish::Tools => "tool_calls",
        Finish::Stop | Finish::Other if called => "tool_calls",
        Finish::Stop | Finish::Other => "stop",
    }
}

pub(super) fn whole(operation: Operation, answer: Answer, reply: &Reply) -> Bytes {
    match answer {
        Answer::Said(said) => spoken(operation, &said, reply),
        Answer::Vectors { vectors, usage } => embedded(&vectors, usage, reply),
    }
}

fn spoken(operation: Operation, said: &Said, reply: &Reply) -> Bytes {
    let chat = operation == Operation::Chat;
    let made = (0..said.calls.len()).map(|index| reply.call_id(index)).collect::<Vec<_>>();
    let calls = said.calls.iter().zip(&made).map(|(call, made)| Called {
        index: None,
        id: Some(call.id.as_deref().unwrap_or(made)),
        r#type: Some("function"),
        function: Function { name: Some(&call.name), arguments: &call.arguments },
    });
    let silent = said.text.is_empty() && !said.calls.is_empty();
    let thinking = Some(&*said.thinking).filter(|text| !text.is_empty());
    let choice = Choice {
        index: reply.choice.unwrap_or(0),
        delta: None,
        message: chat.then(|| Words {
            role: Some("assistant"),
            content: Some((!silent).then_some(&said.text)),
            reasoning: thinking,
            reasoning_details: Some(&*said.signature)
                .filter(|seal| !seal.is_empty())
                .map(|seal| [Detail::new(&said.thinking, seal)]),
            tool_calls: calls.collect(),
        }),
        text: (!chat).then_some(&said.text),
        reasoning: thinking.filter(|_| !chat),
        logprobs: logprobs(operation, &said.tokens, &mut 0),
        finish_reason: Some(reason(
            said.finish.unwrap_or(Finish::Other),
            chat && !said.calls.is_empty(),
        )),
    };
    json::bytes(&Object {
        id: &id(operation, reply),
        object: if chat { "chat.completion" } else { "text_completion" },
        created: reply.created_ms / 1000,
        model: &reply.model,
        system_fingerprint: FINGERPRINT,
        choices: &[choice],
        usage: Some(Some(said.usage.into())),
    })
}

/// What is told of these tokens, the first of which begins at `offset`; nothing where there are none.
fn logprobs<'a>(
    operation: Operation,
    list: &'a [Token],
    offset: &mut usize,
) -> Option<Logprobs<'a>> {
    if list.is_empty() {
        return None;
    }
    if operation == Operation::Chat {
        return Some(Logprobs::Chat { content: tokens::full(list), refusal: None });
    }
    let places = list.iter().map(|token| {
        let place = *offset;
        *offset += token.text.chars().count();
        place
    });
    let others = |token: &'a Token| token.others.iter().map(|t| (&*t.text, &t.logprob)).collect();
    Some(Logprobs::Text {
        text_offset: places.collect(),
        tokens: list.iter().map(|token| &*token.text).collect(),
        token_logprobs: list.iter().map(|token| &token.logprob).collect(),
        top_logprobs: list.iter().map(others).collect(),
    })
}

fn embedded(vectors: &[Vector], usage: Usage, reply: &Reply) -> Bytes {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Out<'a> {
        Written(&'a RawValue),
        Floats(&'a [f32]),
        Base64(String),
    }
    // Source: openai-python types/create_embedding_response.py.
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: Vec<Item<'a>>,
        model: &'a str,
        usage: Counted,
    }
    #[derive(Serialize)]
    struct Item<'a> {
        object: &'static str,
        index: usize,
        embedding: Out<'a>,
    }
    #[derive(Serialize)]
    struct Counted {
        prompt_tokens: u64,
        total_tokens: u64,
    }
    let data = vectors.iter().enumerate().map(|(index, vector)| Item {
        object: "embedding",
        index,
        embedding: match vector {
            Vector::Written(raw) if reply.wishes.base64 => {
                // Read once already, when the answer was.
                let floats = serde_json::from_str::<Vec<f32>>(raw.get()).unwrap_or_default();
                Out::Base64(base64::encode_floats(&floats))
            }
            Vector::Written(raw) => Out::Written(raw),
            Vector::Floats(floats) if reply.wishes.base64 => {
                Out::Base64(base64::encode_floats(floats))
            }
            Vector::Floats(floats) => Out::Floats(floats),
        },
    });
    let tokens = usage.prompt.unwrap_or(0);
    json::bytes(&List {
        object: "list",
        data: data.collect(),
        model: &reply.model,
        usage: Counted { prompt_tokens: tokens, total_tokens: tokens },
    })
}
