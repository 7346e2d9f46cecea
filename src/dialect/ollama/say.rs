//! Writes answers as Ollama gives them.

use super::write::Called;
use crate::{
    chat::{Answer, Call, Delta, Finish, Said, Token, Vector},
    dialect::{
        Operation, Reply, Usage, WriteAnswer,
        alike::invalid_call,
        json,
        time::Utc,
        tokens::{self, Told},
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

/// Writes the lines of `/api/chat` or `/api/generate`.
#[derive(Debug)]
pub(super) struct Writer {
    operation: Operation,
    reply: Reply,
    calls: Vec<Call>,
    finish: Option<Finish>,
    usage: Usage,
    tokens: Vec<Token>,
    first_ms: Option<u64>,
    last_ms: u64,
}

// Source: ollama api/types.go ChatResponse, GenerateResponse, Metrics. Zero durations and counts are left out there.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    created_at: Utc,
    // ollama-python requires `role`; `content` is always there, also when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Told<'a>>,
    done: bool,
    #[serde(flatten)]
    last: Option<Last<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [Called<'a>],
}

#[derive(Serialize)]
struct Last<'a> {
    done_reason: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [Called<'a>],
    total_duration: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_count: Option<u64>,
    eval_duration: u64,
}

/// What one line says.
#[derive(Default)]
struct Words<'a> {
    text: &'a str,
    thinking: Option<&'a str>,
    calls: &'a [Called<'a>],
    tokens: &'a [Token],
}

/// A line without a word, before there is an answer.
pub(super) fn nothing(operation: Operation, model: &str, now_ms: u64) -> bytes::Bytes {
    let chat = operation == Operation::Chat;
    let message = Message { role: "assistant", content: "", thinking: None, tool_calls: &[] };
    let mut line = Vec::with_capacity(128);
    json::write(
        &mut line,
        &Line {
            model,
            created_at: Utc(now_ms),
            message: chat.then_some(message),
            response: (!chat).then_some(""),
            thinking: None,
            logprobs: Vec::new(),
            done: false,
            last: None,
        },
    );
    line.push(b'\n');
    line.into()
}

impl Writer {
    pub(super) fn new(operation: Operation, reply: Reply) -> Self {
        Self {
            operation,
            last_ms: reply.created_ms,
            reply,
            calls: Vec::new(),
            finish: None,
            usage: Usage::default(),
            tokens: Vec::new(),
            first_ms: None,
        }
    }

    fn line(&self, words: &Words<'_>, done: bool, now_ms: u64, out: impl bytes::BufMut) {
        let chat = self.operation == Operation::Chat;
        let line = Line {
            model: &self.reply.model,
            created_at: Utc(now_ms),
            message: chat.then_some(Message {
                role: "assistant",
                content: words.text,
                thinking: words.thinking,
                tool_calls: words.calls,
            }),
            response: (!chat).then_some(words.text),
            thinking: words.thinking.filter(|_| !chat),
            logprobs: tokens::short(words.tokens),
            done,
            last: done.then(|| self.last(if chat { &[] } else { words.calls }, now_ms)),
        };
        json::write(&mut out.writer(), &line);
    }

    fn last<'a>(&self, tool_calls: &'a [Called<'a>], now_ms: u64) -> Last<'a> {
        const NS_PER_MS: u64 = 1_000_000;
        let ns = |from: u64, to: u64| to.saturating_sub(from).saturating_mul(NS_PER_MS);
        let (start, first) = (self.reply.created_ms, self.first_ms);
        let counted = |count: Option<u64>| count.filter(|count| *count > 0);
        Last {
            done_reason: if self.finish == Some(Finish::Length) { "length" } else { "stop" },
            tool_calls,
            // Clients divide by durations, so none of them is 0.
            total_duration: ns(start, now_ms).max(1),
            prompt_eval_count: counted(self.usage.prompt),
            prompt_eval_duration: first.map(|first| ns(start, first).max(1)),
            eval_count: counted(self.usage.completion),
            eval_duration: ns(first.unwrap_or(start), self.last_ms).max(1),
        }
    }

    /// The calls gathered so far, with ids. A call whose arguments were cut off by the token limit is left out.
    fn gathered(&mut self) -> Result<Vec<Call>, String> {
        let mut whole = Vec::with_capacity(self.calls.len());
        for (index, mut call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            if Called::new(index, &call).is_some() {
                if call.id.is_none() {
                    call.id = Some(self.reply.call_id(index));
                }
                whole.push(call);
            } else if self.finish != Some(Finish::Length) {
                return Err(invalid_call(&call.name));
            }
        }
        Ok(whole)
    }
}

impl WriteAnswer for Writer {
    fn write(&mut self, delta: Delta, now_ms: u64, out: &mut BytesMut) -> Result<(), String> {
        if matches!(delta, Delta::Text(_) | Delta::Thinking(_) | Delta::Tool(_)) {
            self.first_ms.get_or_insert(now_ms);
            self.last_ms = now_ms;
        }
        match delta {
            Delta::Text(text) => {
                let words = Words { text: &text, tokens: &self.tokens, ..Words::default() };
                self.line(&words, false, now_ms, &mut *out);
                self.tokens.clear();
            }
            // They go with the text that follows.
            Delta::Tokens(tokens) => {
                self.tokens.extend(tokens);
                return Ok(());
            }
            // Ollama has no seal for what was thought.
            Delta::Signature(_) => return Ok(()),
            Delta::Thinking(text) => {
                let words = Words { thinking: Some(&text), ..Words::default() };
                self.line(&words, false, now_ms, &mut *out);
            }
            Delta::Tool(piece) => {
                Call::add(&mut self.calls, piece);
                return Ok(());
            }
            Delta::Finish(finish) => {
                self.finish = Some(finish);
                return Ok(());
            }
            Delta::Usage(usage) => {
                self.usage = usage;
                return Ok(());
            }
            Delta::Error(message) => return Err(message),
            Delta::End => {
                let calls = self.gathered()?;
                let calls = called(&calls);
                let mut words = Words { calls: &calls, tokens: &self.tokens, ..Words::default() };
                if self.operation == Operation::Chat && !calls.is_empty() {
                    self.line(&words, false, now_ms, &mut *out);
                    out.put_u8(b'\n');
                    (words.calls, words.tokens) = (&[], &[]);
                }
                self.line(&words, true, now_ms, &mut *out);
            }
        }
        out.put_u8(b'\n');
        Ok(())
    }
}

fn called(calls: &[Call]) -> Vec<Called<'_>> {
    calls.iter().enumerate().filter_map(|(index, call)| Called::new(index, call)).collect()
}

pub(super) fn whole(
    operation: Operation,
    answer: Answer,
    reply: &Reply,
    now_ms: u64,
) -> Result<Bytes, String> {
    match answer {
        Answer::Vectors { vectors, usage } => {
            Ok(embedded(operation, &vectors, usage, reply, now_ms))
        }
        Answer::Said(said) => {
            let mut writer = Writer::new(operation, reply.clone());
            let Said { text, thinking, calls, finish, usage, tokens, .. } = said;
            (writer.calls, writer.finish, writer.usage) = (calls, finish, usage);
            writer.last_ms = now_ms;
            let calls = writer.gathered()?;
            let thinking = Some(&*thinking).filter(|text| !text.is_empty());
            let words = Words { text: &text, thinking, calls: &called(&calls), tokens: &tokens };
            let mut out = BytesMut::with_capacity(text.len() + 512);
            writer.line(&words, true, now_ms, &mut out);
            Ok(out.freeze())
        }
    }
}

fn embedded(
    operation: Operation,
    vectors: &[Vector],
    usage: Usage,
    reply: &Reply,
    now_ms: u64,
) -> Bytes {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Out<'a> {
        Written(&'a RawValue),
        Floats(&'a [f32]),
    }
    // Source: ollama api/types.go EmbedResponse, EmbeddingResponse.
    #[derive(Serialize)]
    struct Many<'a> {
        model: &'a str,
        embeddings: Vec<Out<'a>>,
        total_duration: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_eval_count: Option<u64>,
    }
    #[derive(Serialize)]
    struct One<'a> {
        embedding: Out<'a>,
    }
    let mut embeddings = vectors.iter().map(|vector| match vector {
        Vector::Written(raw) => Out::Written(raw),
        Vector::Floats(floats) => Out::Floats(floats),
    });
    if operation == Operation::EmbedOne {
        return json::bytes(&One { embedding: embeddings.next().unwrap_or(Out::Floats(&[])) });
    }
    json::bytes(&Many {
        model: &reply.model,
        embeddings: embeddings.collect(),
        total_duration: now_ms.saturating_sub(reply.created_ms).saturating_mul(1_000_000).max(1),
        prompt_eval_count: usage.prompt.filter(|count| *count > 0),
    })
}
