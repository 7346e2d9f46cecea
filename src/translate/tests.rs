mod anthropic;
mod invariants;
mod ollama_to_openai;
mod openai_to_ollama;
mod providers;
mod responses;
mod same;

use super::*;
use crate::dialect::{
    Wishes, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI, responses::RESPONSES,
};
use serde_json::Value;

const NOW: u64 = 1_785_000_002_000;

fn pair(client: &'static dyn Dialect, upstream: &'static dyn Dialect, op: Operation) -> Pair {
    Pair { client, upstream, operation: op }
}

/// An OpenAI client in front of Ollama.
fn openai_front(operation: Operation) -> Pair {
    pair(&OPENAI, &OLLAMA, operation)
}

/// An Ollama client in front of OpenAI.
fn ollama_front(operation: Operation) -> Pair {
    pair(&OLLAMA, &OPENAI, operation)
}

fn reply(usage: bool) -> Reply {
    let id = "0123456789abcdef01234567".into();
    let wishes = Wishes { usage, ..Wishes::default() };
    Reply { wishes, ..Reply::new(id, 1_785_000_000_000, "asked".into()) }
}

fn name() -> Arc<str> {
    "up".into()
}

fn fixture(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
    std::fs::read(format!("{root}{path}")).unwrap()
}

/// The whole stream at once, and what came of it.
fn through(pair: Pair, usage: bool, stream: &[u8]) -> (String, State) {
    let mut flow = pair.flow(&reply(usage), false);
    let mut out = flow.feed(Bytes::copy_from_slice(stream), NOW).to_vec();
    out.extend_from_slice(&flow.end(&name(), NOW));
    (String::from_utf8(out).unwrap(), flow.state().clone())
}

fn frames(stream: &str) -> Vec<Value> {
    let events = stream.split_terminator("\n\n");
    events
        .map(|event| {
            let data = event.strip_prefix("data: ").expect("only data lines");
            serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()))
        })
        .collect()
}

fn lines(stream: &str) -> Vec<Value> {
    assert!(stream.is_empty() || stream.ends_with('\n'), "{stream:?}");
    stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The request that goes upstream.
fn sent(pair: Pair, body: &str) -> Result<Value, Error> {
    let outgoing = pair.request(&Bytes::copy_from_slice(body.as_bytes()), &Aim::default())?;
    Ok(serde_json::from_slice(&outgoing.body).unwrap())
}

fn refused(pair: Pair, body: &str) -> String {
    let error = sent(pair, body).expect_err(body);
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    error.to_string()
}
