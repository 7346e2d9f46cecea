//! Writes answers as OpenAI gives them.

use crate::{
    chat::{Answer, Call, Delta, Finish, Piece, Said, Vector},
    dialect::{Operation, Reply, Usage, WriteAnswer, base64, json},
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

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
}

// Source: openai-python types/chat/chat_completion.py, chat_completion_chunk.py, types/completion.py.
#[derive(Serialize)]
struct Object<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Counts>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Words<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Words<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    // Completions have no place for it; as an extra field it is at least not lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a str>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Words<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
}

#[derive(Serialize)]
struct Called<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Clone, Copy, Serialize)]
struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

/// As Ollama's own /v1 says it. Source: ollama openai/openai.go.
const FINGERPRINT: &str = "fp_ollama";

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let (prompt, completion) = (usage.prompt.unwrap_or(0), usage.completion.unwrap_or(0));
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt.saturating_add(completion),
        }
    }
}

/// The `delta` of a chunk, or what a completion chunk has instead.
#[derive(Default)]
struct Step<'a> {
    text: Option<&'a str>,
    thinking: Option<&'a str>,
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
            tool_calls: step.call.into_iter().collect(),
        });
        let choice = Choice {
            index: 0,
            delta,
            message: None,
            text: (!chat).then_some(step.text.unwrap_or("")),
            reasoning: step.thinking.filter(|_| !chat),
            logprobs: None,
            finish_reason: step.finish,
        };
        let usage = self.reply.usage.then_some(None);
        self.event(&[choice], usage, out);
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
        let made = self.reply.call_id(piece.index);
        let call = Called {
            index: Some(piece.index),
            id: first.then(|| piece.id.as_deref().unwrap_or(&made)),
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
        self.finished = true;
        let finish = reason(finish, !self.called.is_empty());
        self.step(Step { finish: Some(finish), ..Step::default() }, out);
    }
}

impl WriteAnswer for Writer {
    fn write(&mut self, delta: Delta, _now_ms: u64, out: &mut BytesMut) -> Result<(), String> {
        match delta {
            Delta::Text(text) => self.step(Step { text: Some(&text), ..Step::default() }, out),
            Delta::Thinking(text) => {
                self.step(Step { thinking: Some(&text), ..Step::default() }, out);
            }
            Delta::Tool(piece) => self.call(&piece, out),
            Delta::Finish(finish) if !self.finished => self.finish(finish, out),
            Delta::Finish(_) => {}
            Delta::Usage(usage) => self.usage = usage,
            Delta::Error(message) => return Err(message),
            Delta::End => {
                if !self.finished {
                    self.finish(Finish::Other, out);
                }
                if self.reply.usage {
                    self.event(&[], Some(Some(self.usage.into())), out);
                }
                out.put_slice(DONE);
            }
        }
        Ok(())
    }
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
        index: 0,
        delta: None,
        message: chat.then(|| Words {
            role: Some("assistant"),
            content: Some((!silent).then_some(&said.text)),
            reasoning: thinking,
            tool_calls: calls.collect(),
        }),
        text: (!chat).then_some(&said.text),
        reasoning: thinking.filter(|_| !chat),
        logprobs: None,
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
            Vector::Written(raw) if reply.base64 => {
                // Read once already, when the answer was.
                let floats = serde_json::from_str::<Vec<f32>>(raw.get()).unwrap_or_default();
                Out::Base64(base64::encode_floats(&floats))
            }
            Vector::Written(raw) => Out::Written(raw),
            Vector::Floats(floats) if reply.base64 => Out::Base64(base64::encode_floats(floats)),
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
