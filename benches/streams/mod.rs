//! Streams of 200 events in each dialect, and a request of 32 KiB.

use bytes::Bytes;
use serde_json::{Value, json};
use unigate::{
    dialect::{Dialect, Operation, Reply, Wishes},
    translate::{Flow, Pair},
};

/// Events of a stream, its end included.
pub(crate) const EVENTS: usize = 200;

/// The time, in milliseconds since 1970.
pub(crate) const NOW: u64 = 1_785_000_002_000;

/// What such a stream is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Text,
    Thinking,
    /// The arguments of one call, piece by piece.
    Call,
}

const WORDS: [&str; 5] = ["The", " ferry", " left", ",\n", " \"quietly\""];

pub(crate) fn flow(
    client: &'static dyn Dialect,
    upstream: &'static dyn Dialect,
    strip_usage: bool,
) -> Flow {
    let pair = Pair { client, upstream, operation: Operation::Chat };
    let id = "0123456789abcdef01234567".into();
    let wishes = Wishes { usage: true, ..Wishes::default() };
    let reply = Reply { wishes, ..Reply::new(id, NOW - 2000, "auto".into()) };
    pair.flow(&reply, strip_usage)
}

/// A stream of text.
pub(crate) fn text(dialect: &str) -> Vec<Bytes> {
    stream(dialect, About::Text)
}

/// A stream as its events, as the upstreams of this dialect send it.
pub(crate) fn stream(dialect: &str, about: About) -> Vec<Bytes> {
    let events = match dialect {
        "ollama" => ollama(about),
        "anthropic" => anthropic(about),
        _ => openai(about),
    };
    assert_eq!(events.len(), EVENTS);
    events
}

/// The piece of this place: arguments begin and end as an object does.
fn piece(about: About, at: usize, count: usize) -> String {
    match about {
        About::Call if at == 0 => "{\"said\":\"".to_owned(),
        About::Call if at + 1 == count => "\"}".to_owned(),
        About::Call => " ferry".to_owned(),
        About::Text | About::Thinking => WORDS[at % WORDS.len()].to_owned(),
    }
}

/// An Ollama has its calls whole, so that its stream about one is of text but for one line.
fn ollama(about: About) -> Vec<Bytes> {
    let line = |at: usize| {
        let word = piece(About::Text, at, EVENTS);
        let mut line = json!({ "model": "llama3.1:8b", "created_at": "2026-01-01T00:00:00.123456Z",
            "message": { "role": "assistant", "content": word }, "done": false });
        if about == About::Thinking {
            line["message"] = json!({ "role": "assistant", "content": "", "thinking": word });
        }
        if about == About::Call && at + 2 == EVENTS {
            let function = json!({ "name": "say", "arguments": { "said": "ferry" } });
            line["message"]["tool_calls"] = json!([{ "function": function }]);
        }
        if at + 1 == EVENTS {
            line["done"] = true.into();
            line["done_reason"] = "stop".into();
            line["prompt_eval_count"] = 26.into();
            line["eval_count"] = EVENTS.into();
        }
        Bytes::from(format!("{line}\n"))
    };
    (0..EVENTS).map(line).collect()
}

/// Pieces, a finish, usage, and the terminal.
fn openai(about: About) -> Vec<Bytes> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({ "id": "chatcmpl-abcdefghijklmnopqrstuvwxyz", "model": "gpt-4o-mini",
            "object": "chat.completion.chunk", "created": 1_785_000_000,
            "system_fingerprint": "fp_0123456789", "choices": choices, "usage": usage });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let choice = |delta: Value, finish: Value| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
    let delta = |at: usize| {
        let piece = piece(about, at, EVENTS - 3);
        match about {
            About::Text => json!({ "content": piece }),
            About::Thinking => json!({ "reasoning": piece }),
            About::Call if at == 0 => json!({ "tool_calls": [{ "index": 0, "id": "call_abcdefgh",
                "type": "function", "function": { "name": "say", "arguments": piece } }] }),
            About::Call => {
                json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] })
            }
        }
    };
    let mut events: Vec<Bytes> =
        (0..EVENTS - 3).map(|at| chunk(choice(delta(at), Value::Null), Value::Null)).collect();
    events.push(chunk(choice(json!({}), "stop".into()), Value::Null));
    let usage = json!({ "prompt_tokens": 26, "completion_tokens": 197, "total_tokens": 223 });
    events.push(chunk(json!([]), usage));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// A beginning, one block in pieces, and the end.
fn anthropic(about: About) -> Vec<Bytes> {
    let event = |mut event: Value, name: &str| {
        event["type"] = name.into();
        Bytes::from(format!("event: {name}\ndata: {event}\n\n"))
    };
    let usage = json!({ "input_tokens": 26, "output_tokens": 1 });
    let message = json!({ "id": "msg_abcdefghijklmnopqrstuvwx", "type": "message", "role": "assistant",
        "model": "claude-sonnet", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": usage });
    let (block, kind, key) = match about {
        About::Text => (json!({ "type": "text", "text": "" }), "text_delta", "text"),
        About::Thinking => {
            let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
            (block, "thinking_delta", "thinking")
        }
        About::Call => {
            let block =
                json!({ "type": "tool_use", "id": "toolu_abcdefgh", "name": "say", "input": {} });
            (block, "input_json_delta", "partial_json")
        }
    };
    let count = EVENTS - 5;
    let mut events = vec![
        event(json!({ "message": message }), "message_start"),
        event(json!({ "index": 0, "content_block": block }), "content_block_start"),
    ];
    events.extend((0..count).map(|at| {
        let mut delta = json!({ "type": kind });
        delta[key] = piece(about, at, count).into();
        event(json!({ "index": 0, "delta": delta }), "content_block_delta")
    }));
    let reason = if about == About::Call { "tool_use" } else { "end_turn" };
    let delta = json!({ "stop_reason": reason, "stop_sequence": null });
    let usage = json!({ "output_tokens": 197 });
    events.push(event(json!({ "index": 0 }), "content_block_stop"));
    events.push(event(json!({ "delta": delta, "usage": usage }), "message_delta"));
    events.push(event(json!({}), "message_stop"));
    events
}

/// A chat of about 32 KiB: a system prompt and 15 turns, the model behind them.
pub(crate) fn request(dialect: &str) -> Bytes {
    const TURNS: usize = 15;
    let word = "The harbour was quiet when the last ferry left, \"quietly\" as he said.\n";
    let turn = |at: usize| {
        let role = if at.is_multiple_of(2) { "user" } else { "assistant" };
        json!({ "role": role, "content": word.repeat(30) })
    };
    let system = json!({ "role": "system", "content": "You are a helpful guide." });
    let turns: Vec<Value> = (0..TURNS).map(turn).collect();
    let body = match dialect {
        "anthropic" => {
            json!({ "messages": turns, "system": system["content"], "max_tokens": 512 })
        }
        "responses" => json!({ "input": turns, "instructions": system["content"] }),
        _ => {
            let mut all = vec![system];
            all.extend(turns);
            json!({ "messages": all })
        }
    };
    let body = body.to_string();
    let body = format!("{},\"model\":\"m\",\"stream\":true}}", &body[..body.len() - 1]);
    assert!((31 * 1024..36 * 1024).contains(&body.len()), "{} bytes", body.len());
    body.into()
}
