//! What an upstream is to do: bytes on the wire, silence, and the ways to hang up.

use bytes::Bytes;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// One step on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// These bytes, in a write of their own.
    Send(Bytes),
    /// Nothing, for a while.
    Wait(Duration),
    /// Nothing, until the test says so.
    Until(Arc<Notify>),
    /// Nothing, until the model is loaded; see [`super::Chaosd::loads`].
    Load(String),
    /// Nothing, until one of the upstream's slots is free; see [`super::Chaosd::slots`].
    Slot,
    /// Nothing, until the peer leaves.
    Stall,
    /// These bytes, again and again, until the peer leaves.
    Forever(Bytes),
    /// Hangs up in order.
    Fin,
    /// Hangs up with a reset.
    Reset,
}

/// Steps in their order. After the last one the connection is kept, unless it says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) acts: Vec<Act>,
}

/// How a body's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunked,
    /// By the end of the connection.
    Close,
}

/// An answer in order, to be bent by what it is made into.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) framing: Framing,
}

// === impl Script ===

impl Script {
    /// These bytes and nothing else, whatever they are.
    pub(crate) fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { acts: vec![Act::Send(bytes.into())] }
    }

    /// One act.
    pub(crate) fn just(act: Act) -> Self {
        Self { acts: vec![act] }
    }

    /// The same, and then this.
    pub(crate) fn then(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// This, and then the same.
    pub(crate) fn after(mut self, act: Act) -> Self {
        self.acts.insert(0, act);
        self
    }

    /// This before the act with that number. The head is act 0, each piece of the body one more.
    pub(crate) fn at(mut self, place: usize, act: Act) -> Self {
        self.acts.insert(place, act);
        self
    }

    /// How many bytes it sends.
    pub(crate) fn len(&self) -> usize {
        self.acts.iter().map(|act| if let Act::Send(bytes) = act { bytes.len() } else { 0 }).sum()
    }

    /// The first `keep` bytes, and then this.
    pub(crate) fn cut(self, keep: usize, then: Act) -> Self {
        let mut left = keep;
        let mut acts = Vec::new();
        for act in self.acts {
            match act {
                Act::Send(bytes) if bytes.len() >= left => {
                    acts.push(Act::Send(bytes.slice(..left)));
                    break;
                }
                Act::Send(bytes) => {
                    left -= bytes.len();
                    acts.push(Act::Send(bytes));
                }
                act => acts.push(act),
            }
        }
        acts.push(then);
        Self { acts }
    }

    /// The same bytes in writes of `size` each, with `wait` between them.
    pub(crate) fn dribble(self, size: usize, wait: Duration) -> Self {
        let mut acts = Vec::new();
        for act in self.acts {
            let Act::Send(bytes) = act else {
                acts.push(act);
                continue;
            };
            for from in (0..bytes.len()).step_by(size) {
                acts.push(Act::Send(bytes.slice(from..bytes.len().min(from + size))));
                acts.push(Act::Wait(wait));
            }
        }
        Self { acts }
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        let mut acts: Vec<Act> = reply.wire().into_iter().map(Act::Send).collect();
        if reply.framing == Framing::Close {
            acts.push(Act::Fin);
        }
        Self { acts }
    }
}

// === impl Reply ===

impl Reply {
    /// A body of one piece, with its length.
    pub(crate) fn new(kind: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            pieces: vec![body.into()],
            framing: Framing::Length,
        }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::new("application/json", body.to_string())
    }

    /// This status with this JSON.
    pub(crate) fn error(status: u16, body: &Value) -> Self {
        Self { status, ..Self::json(body) }
    }

    /// An NDJSON stream, a chunk a line.
    pub(crate) fn lines(lines: &[Value]) -> Self {
        let pieces = lines.iter().map(|line| format!("{line}\n").into()).collect();
        Self { pieces, framing: Framing::Chunked, ..Self::new("application/x-ndjson", "") }
    }

    /// An SSE stream, a chunk an event, `[DONE]` at its end.
    pub(crate) fn events(events: &[Value]) -> Self {
        let event = |event: &Value| Bytes::from(format!("data: {event}\n\n"));
        let mut pieces: Vec<Bytes> = events.iter().map(event).collect();
        pieces.push("data: [DONE]\n\n".into());
        Self { pieces, framing: Framing::Chunked, ..Self::new("text/event-stream", "") }
    }

    /// What Ollama streams for these words.
    pub(crate) fn chat(words: &[&str]) -> Self {
        let line = |word: &str| {
            json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z",
                "message": { "role": "assistant", "content": word }, "done": false })
        };
        let mut lines: Vec<Value> = words.iter().map(|word| line(word)).collect();
        let mut done = line("");
        done["done"] = true.into();
        done["done_reason"] = "stop".into();
        done["prompt_eval_count"] = 3.into();
        done["eval_count"] = words.len().into();
        lines.push(done);
        Self::lines(&lines)
    }

    /// What Ollama answers, unstreamed.
    pub(crate) fn said(text: &str) -> Self {
        Self::json(&json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z",
            "message": { "role": "assistant", "content": text }, "done": true,
            "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2 }))
    }

    /// What an OpenAI streams for these words.
    pub(crate) fn chunks(words: &[&str]) -> Self {
        let chunk = |delta: Value, finish: Value| {
            json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "g",
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        };
        let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
        chunks.extend(words.iter().map(|word| chunk(json!({ "content": word }), Value::Null)));
        chunks.push(chunk(json!({}), "stop".into()));
        let mut usage = chunk(json!({}), Value::Null);
        usage["choices"] = json!([]);
        usage["usage"] = json!({ "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 });
        chunks.push(usage);
        Self::events(&chunks)
    }

    /// What an OpenAI answers, unstreamed.
    pub(crate) fn completion(text: &str) -> Self {
        Self::json(&json!({ "id": "c1", "object": "chat.completion", "created": 1, "model": "g",
            "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": text } }],
            "usage": { "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 } }))
    }

    /// The same with one header more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with its end known otherwise.
    pub(crate) fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// The first `keep` pieces of the body, and its end in order.
    pub(crate) fn first(mut self, keep: usize) -> Self {
        self.pieces.truncate(keep);
        self
    }

    /// One piece more, at this place.
    pub(crate) fn piece(mut self, place: usize, piece: impl Into<Bytes>) -> Self {
        self.pieces.insert(place, piece.into());
        self
    }

    /// The same body in pieces of `size` bytes.
    pub(crate) fn pieces_of(mut self, size: usize) -> Self {
        let body = self.body();
        let cut = |from: usize| body.slice(from..body.len().min(from + size));
        self.pieces = (0..body.len()).step_by(size).map(cut).collect();
        self
    }

    /// The same body in two pieces, cut there.
    pub(crate) fn split_at(mut self, at: usize) -> Self {
        let body = self.body();
        self.pieces = vec![body.slice(..at), body.slice(at..)];
        self
    }

    /// The whole body.
    pub(crate) fn body(&self) -> Bytes {
        self.pieces.concat().into()
    }

    /// The head alone.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} As Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            Framing::Length => {
                let length: usize = self.pieces.iter().map(Bytes::len).sum();
                head.push_str(&format!("content-length: {length}\r\n"));
            }
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::Close => head.push_str("connection: close\r\n"),
        }
        head + "\r\n"
    }

    /// What goes on the wire: the head, each piece in its frame, the end.
    pub(crate) fn wire(&self) -> Vec<Bytes> {
        let mut wire = vec![Bytes::from(self.head())];
        for piece in self.pieces.iter().filter(|piece| !piece.is_empty()) {
            wire.push(match self.framing {
                Framing::Chunked => {
                    let size = format!("{:x}\r\n", piece.len());
                    [size.as_bytes(), piece, b"\r\n"].concat().into()
                }
                Framing::Length | Framing::Close => piece.clone(),
            });
        }
        if self.framing == Framing::Chunked {
            wire.push(Bytes::from_static(b"0\r\n\r\n"));
        }
        wire
    }
}
