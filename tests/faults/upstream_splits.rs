//! Row U11: where a stream is split on its way says nothing, and changes nothing.

use crate::rig::{Chaosd, End, Framing, Reply, Row, Script, Setup, chat, each, full};
use serde_json::Value;
use std::time::Duration;

/// Letters of two, three and four bytes, quotes, and line ends in words.
const WORDS: [&str; 4] = ["wörld ", "— 日本語", "🦀\r\n\"", "\u{0}\\ data: x\n\n"];

/// An answer's events without what differs each time: its name and its time.
fn same(answer: &str) -> Vec<Value> {
    let line = |line: &str| {
        let text = line.strip_prefix("data: ").unwrap_or(line);
        let mut json: Value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
        strip(&mut json);
        json
    };
    answer.lines().map(line).collect()
}

fn strip(json: &mut Value) {
    match json {
        Value::Object(map) => {
            for name in ["id", "created", "created_at", "completed_at", "item_id"] {
                map.remove(name);
            }
            map.retain(|name, _| !name.ends_with("_duration"));
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The stream as an OpenAI with other line ends sends it.
fn carriages(mut reply: Reply) -> Reply {
    for piece in &mut reply.pieces {
        let text = String::from_utf8(piece.to_vec()).unwrap();
        *piece = text.replace('\n', "\r\n").into();
    }
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u11_a_stream_split_anywhere_is_the_same_stream() {
    let mut splits = 0;
    let mut last: Option<Row> = None;
    for (path, kind) in [
        ("/api/chat", "ollama"),
        ("/v1/chat/completions", "ollama"),
        ("/v1/messages", "ollama"),
        ("/api/chat", "openai"),
        ("/v1/chat/completions", "openai"),
        ("/v1/messages", "crlf"),
    ] {
        let reply = match kind {
            "ollama" => Reply::chat(&WORDS),
            "openai" => Reply::chunks(&WORDS),
            _ => carriages(Reply::chunks(&WORDS)),
        };
        let (up, setup) = match kind {
            "ollama" => {
                let up = Chaosd::ollama(&["m"]).await;
                (up.clone(), Setup::ollama(&up))
            }
            _ => {
                let up = Chaosd::openai(&["m"]).await;
                (up.clone(), Setup::new().upstream("openai", "openai", &up))
            }
        };
        let length = reply.body().len();
        let whole = reply.clone();
        // The number in the prompt is where it is split; two more are for pieces of one byte, and for the wire itself.
        up.rule(move |call| {
            call.asks?;
            let whole = whole.clone();
            Some(match call.number() {
                0 => whole.into(),
                at if at < length => whole.split_at(at).into(),
                at if at == length => whole.pieces_of(1).into(),
                at if at == length + 1 => whole.framed(Framing::Close).pieces_of(1).into(),
                _ => Script::from(whole).dribble(1, Duration::ZERO),
            })
        });
        let row = Row::start("U11", setup).await;
        let unsplit = row.ask(path, &chat("m", 0, true)).await;
        assert_eq!(unsplit.end, End::Complete, "{path} {kind}: {}", unsplit.text());
        let expected = same(&unsplit.text());
        assert!(!unsplit.text().contains('\u{fffd}'));
        let step = if full() { 1 } else { 3 };
        let places = (1..length).step_by(step).chain(length..length + 3);
        let all: Vec<_> = places
            .map(|at| {
                let (asker, expected) = (row.asker(), expected.clone());
                async move {
                    let answer = asker.ask(path, &chat("m", at, true)).await;
                    assert_eq!(same(&answer.text()), expected, "{path} split at {at}");
                    assert_eq!(answer.end, End::Complete, "{path} split at {at}");
                }
            })
            .collect();
        splits += all.len();
        each(all, 8).await;
        if let Some(row) = last.replace(row) {
            row.check().await;
        }
    }
    let mut row = last.unwrap();
    row.figure(format!("{splits} splits on the wire, 0 differences"));
    row.check().await;
}
