//! Rows U12 to U17: upstreams that stop talking, or do not stop.

use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, full, ms, quantile};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use std::{
    io::Write,
    time::{Duration, Instant},
};

const PATHS: [&str; 3] = ["/api/chat", "/v1/chat/completions", "/v1/messages"];

fn line(word: &str) -> String {
    format!(
        "{{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00Z\",\
         \"message\":{{\"role\":\"assistant\",\"content\":\"{word}\"}},\"done\":false}}\n"
    )
}

/// The head of a stream, and a first word.
fn begun() -> Script {
    let mut script = Script::from(Reply::chat(&["one"]));
    script.acts.truncate(2);
    script
}

/// A chunk of a chunked body.
fn chunk(data: &str) -> Bytes {
    format!("{:x}\r\n{data}\r\n", data.len()).into()
}

#[tokio::test]
async fn u12_a_stream_that_falls_silent_is_ended_with_an_error_and_its_place_is_free() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[upstream.ollama]\nidle_s = 0.3\nmax_in_flight = 1\n");
    let mut row = Row::start("U12", setup).await;
    let mut late = Vec::new();
    for (nth, path) in PATHS.iter().enumerate() {
        up.next(begun().then(Act::Stall));
        let answer = row.ask(path, &chat("m", 2 * nth, true)).await;
        assert_eq!((answer.status, answer.end), (200, End::ErrorEvent), "{}", answer.text());
        late.push(answer.took);
        up.left(2 * nth).await;
        let answer = row.ask(path, &chat("m", 2 * nth + 1, true)).await;
        assert_eq!(answer.end, End::Complete, "the only place is free again: {}", answer.text());
    }
    assert!(late.iter().all(|late| *late >= Duration::from_millis(300)), "{late:?}");
    row.figure(format!(
        "told {} after the last word, of 300 ms allowed",
        ms(quantile(&mut late, 1.0))
    ));
    let idle = row.program.rows().iter().filter(|row| row["error_code"] == "idle_timeout").count();
    assert_eq!(idle, 3);
    row.check().await;
}

#[tokio::test]
async fn u13_a_stream_that_dribbles_for_ever_is_ended_at_its_total_time() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[upstream.ollama]\nidle_s = 1\ntotal_s = 1.2\n");
    let mut row = Row::start("U13", setup).await;
    let before = row.program.rss_kib();
    let dribble = Script::raw(chunk(&line("x"))).dribble(1, Duration::from_millis(20));
    let mut script = begun();
    for _ in 0..20 {
        script.acts.extend(dribble.acts.clone());
    }
    for (nth, path) in PATHS.iter().enumerate() {
        up.next(script.clone());
        let answer = row.ask(path, &chat("m", nth, true)).await;
        assert_eq!((answer.status, answer.end), (200, End::ErrorEvent), "{}", answer.text());
        assert!(answer.took < Duration::from_secs(3), "{:?}", answer.took);
        up.left(nth).await;
        row.figure(ms(answer.took));
    }
    let grown = row.program.rss_kib().saturating_sub(before);
    row.figure(format!("of 1200 ms allowed; memory grew by {grown} KiB"));
    assert!(grown < 32 << 10, "{grown} KiB");
    row.check().await;
}

#[tokio::test]
async fn u14_a_line_without_an_end_is_an_error_at_the_limit() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("U14", Setup::ollama(&up)).await;
    let before = row.program.rss_kib();
    let endless = Act::Forever(chunk(&"a".repeat(256 << 10)));
    let head = Script::raw(Reply::chat(&[]).head());
    let open = Act::Send(chunk("{\"message\":{\"role\":\"assistant\",\"content\":\""));
    for (nth, path) in PATHS.iter().enumerate() {
        // Before anything has come that means something, and after.
        up.always(head.clone().then(open.clone()).then(endless.clone()));
        let answer = row.ask(path, &chat("m", 2 * nth, true)).await;
        assert_eq!(
            answer.end,
            End::Refused,
            "{path}: {:?} {} bytes",
            answer.status,
            answer.body.len()
        );
        up.always(begun().then(open.clone()).then(endless.clone()));
        let answer = row.ask(path, &chat("m", 2 * nth + 1, true)).await;
        assert_eq!((answer.status, answer.end), (200, End::ErrorEvent), "{path}");
    }
    // An unstreamed answer without an end, in either dialect.
    let whole = Script::raw(Reply::json(&json!({})).framed(crate::rig::Framing::Chunked).head());
    up.always(whole.then(open).then(endless));
    let peak = row.program.rss_kib().saturating_sub(before);
    row.figure(format!("told at 8 MiB of one line; memory grew by {} MiB", peak >> 10));
    assert!(peak < 200 << 10, "{peak} KiB");
    crate::rig::until("calls that are over", || up.calls().iter().all(|call| call.left.is_some()))
        .await;
    row.check().await;
}

#[tokio::test]
async fn u15_a_stream_without_an_end_is_ended_at_its_limit() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up)
        .toml("[server]\nmax_stream_bytes = 4000000\nmax_answer_bytes = 2000000\n");
    let mut row = Row::start("U15", setup).await;
    let before = row.program.rss_kib();
    let endless = |text: String| Act::Forever(chunk(&text));
    let head = Script::raw(Reply::chat(&[]).head());
    let mut nth = 0;
    for path in PATHS {
        // Words for ever; and lines for ever that mean nothing.
        for (word, end) in [("x", End::ErrorEvent), ("", End::Refused)] {
            up.always(head.clone().then(endless(line(word).repeat(300))));
            let begun = Instant::now();
            let answer = row.ask(path, &chat("m", nth, true)).await;
            assert_eq!(answer.end, end, "{path} {word:?}: {}", answer.status);
            assert!(begun.elapsed() < Duration::from_secs(20));
            assert!(answer.body.len() < 12_000_000, "{}", answer.body.len());
            nth += 1;
        }
        // Unstreamed, and as an error.
        for status in [200, 500] {
            let reply =
                Reply { status, ..Reply::json(&json!({})).framed(crate::rig::Framing::Chunked) };
            up.always(Script::raw(reply.head()).then(endless("[1,2,3,".repeat(9000))));
            let answer = row.ask(path, &chat("m", nth, false)).await;
            let fine = matches!(answer.end, End::Refused | End::Cut);
            assert!(fine, "{path} {status}: {:?} {}", answer.end, answer.status);
            assert!(answer.body.len() < 12_000_000, "{}", answer.body.len());
            nth += 1;
        }
    }
    let grown = row.program.rss_kib().saturating_sub(before);
    row.figure(format!(
        "ended at 4 MB of a stream, 2 MB of an answer; memory grew by {} MiB",
        grown >> 10
    ));
    assert!(grown < 200 << 10, "{grown} KiB");
    crate::rig::until("calls that are over", || up.calls().iter().all(|call| call.left.is_some()))
        .await;
    row.check().await;
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

/// The same answer, compressed though nobody asked for that.
fn compressed(reply: Reply) -> Reply {
    let body = gzip(&reply.body());
    Reply { pieces: vec![body], ..reply }.with("content-encoding", "gzip")
}

#[tokio::test]
async fn u16_an_answer_that_is_compressed_unasked_is_read_all_the_same() {
    let (up, other) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    let row = Row::start("U16", Setup::ollama(&up).upstream("other", "openai", &other)).await;
    up.rule(|call| {
        call.asks?;
        assert_eq!(call.header("accept-encoding"), "identity");
        let streamed = call.json()["stream"] != false;
        let reply = if streamed { Reply::chat(&["wör", "ld"]) } else { Reply::said("wörld") };
        Some(compressed(reply).into())
    });
    other.rule(|call| {
        call.asks?;
        let streamed = call.json()["stream"] == true;
        let reply =
            if streamed { Reply::chunks(&["wör", "ld"]) } else { Reply::completion("wörld") };
        Some(compressed(reply).into())
    });
    for model in ["m", "g"] {
        for path in PATHS {
            for stream in [true, false] {
                let answer = row.ask(path, &chat(model, 0, stream)).await;
                let what = format!("{model} {path} {stream}: {} {}", answer.status, answer.text());
                assert_eq!(
                    (answer.end, answer.said().as_str()),
                    (End::Complete, "wörld"),
                    "{what}"
                );
                assert_eq!(answer.header("content-encoding"), "", "{what}");
            }
        }
    }
    // An error page, too; and a coding that nobody knows.
    let error = Reply::error(400, &json!({ "error": "no such option" }));
    up.always(compressed(error));
    for path in PATHS {
        let answer = row.ask(path, &chat("m", 0, true)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("no such option"), "{}", answer.text());
    }
    up.always(Reply::said("wörld").with("content-encoding", "br"));
    for path in PATHS {
        let answer = row.ask(path, &chat("m", 0, false)).await;
        assert_eq!((answer.status, answer.end), (502, End::Refused), "{}", answer.text());
    }
    row.check().await;
}

#[tokio::test]
async fn u17_a_bomb_is_not_unpacked() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[server]\nmax_answer_bytes = 2000000\n");
    let mut row = Row::start("U17", setup).await;
    let before = row.program.rss_kib();
    // A member of 16 MiB of spaces, again and again: one stream to whoever unpacks it.
    let member = gzip(&vec![b' '; 16 << 20]);
    let count = if full() { 640 } else { 20 };
    let bomb = vec![member; count].concat();
    row.figure(format!("{} KiB that hold {} MiB", bomb.len() >> 10, count * 16));
    for path in PATHS {
        for stream in [true, false] {
            for status in [200, 500] {
                let kind = if stream { "application/x-ndjson" } else { "application/json" };
                let reply = Reply { status, ..Reply::new(kind, bomb.clone()) };
                up.always(reply.with("content-encoding", "gzip"));
                let answer = row.ask(path, &chat("m", 0, stream)).await;
                assert_eq!(answer.end, End::Refused, "{path} {stream}: {}", answer.status);
                assert!(answer.status >= 500 && answer.body.len() < 10_000, "{}", answer.status);
            }
        }
    }
    let grown = row.program.rss_kib().saturating_sub(before);
    row.figure(format!("memory grew by {} MiB", grown >> 10));
    assert!(grown < 100 << 10, "{grown} KiB");
    row.check().await;
}
