//! Clients that are slow: to read, and to send.

use super::refused;
use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, full, ms, times, until};
use bytes::Bytes;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// One word of 64 KiB, again and again, far more than all buffers on the way hold.
fn torrent() -> Script {
    let line = json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": false,
        "message": { "role": "assistant", "content": "x".repeat(64 * 1024) } });
    let line = format!("{line}\n");
    let chunk = Bytes::from(format!("{:x}\r\n{line}\r\n", line.len()));
    let mut script = Script::raw(Reply::chat(&[]).head());
    script.acts.extend((0..1000).map(|_| Act::Send(chunk.clone())));
    script.then(Act::Stall)
}

#[tokio::test]
async fn c4_a_client_that_reads_nothing_is_dropped_and_its_upstream_with_it() {
    let up = Chaosd::ollama(&["m"]).await;
    up.always(torrent());
    let setup = Setup::ollama(&up).toml("[server]\nwrite_s = 1\n");
    let mut row = Row::start("C4", setup).await;
    let before = row.program.rss_kib();
    for (nth, path) in ["/api/chat", "/v1/chat/completions"].into_iter().enumerate() {
        let begun = Instant::now();
        let open = row.open(path, &chat("m", nth, true)).await;
        let left = up.left(nth).await.saturating_duration_since(begun);
        assert!(left >= Duration::from_secs(1), "{path}: it had its time");
        assert!(left < Duration::from_secs(8), "{path}: {left:?}");
        let grown = row.program.rss_kib().saturating_sub(before);
        assert!(grown < 32 * 1024, "{path}: {grown} KiB for what nobody reads");
        row.figure(format!("{path}: dropped after {}, {grown} KiB", ms(left)));
        assert_eq!(open.finish().await.end, End::Cut);
    }
    row.check().await;
}

#[tokio::test]
async fn c4_a_client_that_reads_a_little_now_and_then_is_not_dropped() {
    let up = Chaosd::ollama(&["m"]).await;
    up.always(torrent());
    let row = Row::start("C4", Setup::ollama(&up).toml("[server]\nwrite_s = 1\n")).await;
    let mut open = row.open("/api/chat", &chat("m", 0, true)).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        // Enough that the system tells the other end that there is room again.
        let until = open.entry().body.len() + (4 << 20);
        while open.entry().body.len() < until {
            assert!(open.read().await, "{}", open.entry().body.len());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(up.calls()[0].left, None, "the upstream goes on");
    open.leave();
    up.left(0).await;
    row.check().await;
}

#[tokio::test]
async fn c5_many_slow_streams_take_little_memory_each_and_leave_room_for_others() {
    let count = times(500, 9_500);
    let up = Chaosd::ollama(&["m"]).await;
    let words: Vec<Act> = (0..times(4, 1800))
        .flat_map(|_| {
            let line = json!({ "model": "m", "done": false, "created_at": "2026-01-01T00:00:00Z",
                "message": { "role": "assistant", "content": "word" } });
            let line = format!("{line}\n");
            let chunk = Bytes::from(format!("{:x}\r\n{line}\r\n", line.len()));
            [Act::Send(chunk), Act::Wait(Duration::from_secs(1))]
        })
        .collect();
    let mut script = Script::raw(Reply::chat(&[]).head());
    script.acts.extend(words);
    let script = script.then(Act::Stall);
    up.rule(move |call| call.asks.filter(|_| call.json()["model"] == "m").map(|_| script.clone()));
    let setup = Setup::ollama(&up).toml(
        "[server]\nmax_connections = 9700\n[log]\nlevel = \"info\"\n[upstream.ollama]\nidle_s = 3600.0\n",
    );
    let mut row = Row::start("C5", setup).await;
    row.ask("/api/chat", &chat("other", 0, true)).await;
    let before = row.program.rss_kib();
    let mut streams = Vec::new();
    for nth in 0..count {
        streams.push(row.open("/api/chat", &chat("m", nth, true)).await);
    }
    until("all of them upstream", || up.calls().len() > count).await;
    for stream in &mut streams {
        assert!(stream.until("word").await);
    }
    let first = row.program.rss_kib();
    // Nobody reads on; the words come.
    tokio::time::sleep(Duration::from_secs(if full() { 1800 } else { 2 })).await;
    let later = row.program.rss_kib();
    let each = first.saturating_sub(before) / count as u64;
    assert!(each < 128, "{each} KiB for each stream");
    let slope = later.saturating_sub(first);
    assert!(slope < 4 * 1024 + count as u64, "{slope} KiB more for the same streams");
    let answer = row.ask("/api/chat", &chat("other", count + 1, true)).await;
    assert_eq!(answer.end, End::Complete, "{}", answer.text());
    row.figure(format!(
        "{count} streams: {each} KiB each, {slope} KiB more later; another request took {}",
        ms(answer.took)
    ));
    let begun = Instant::now();
    drop(streams);
    let gone = || up.calls().iter().filter(|call| call.left.is_some()).count() >= count;
    until("the end of all streams upstream", gone).await;
    row.figure(format!("all gone upstream after {}", ms(begun.elapsed())));
    row.check().await;
}

#[tokio::test]
async fn c7_a_body_that_comes_too_slowly_is_given_up_and_holds_no_room() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml(
        "[server]\nmax_body_bytes = 10000000\nmax_buffered_mb = 21\nbody_idle_s = 1\nbody_s = 3\n",
    );
    let mut row = Row::start("C7", setup).await;
    for path in ["/api/chat", "/v1/chat/completions", "/v1/messages"] {
        for dribbles in [false, true] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 content-length: 10000000\r\n\r\n{{"
            );
            let begun = Instant::now();
            let mut open = row.raw(head.as_bytes()).await;
            let read = async {
                while open.entry().status == 0 {
                    let piece = Duration::from_millis(200);
                    if dribbles {
                        let _ = open.stream().write_all(b" ").await;
                    }
                    let _ = tokio::time::timeout(piece, open.read()).await;
                }
            };
            read.await;
            let took = begun.elapsed();
            let entry = open.finish().await;
            assert_eq!(entry.status, 408, "{path}: {}", entry.head);
            assert_eq!(entry.header("connection"), "close");
            assert!(entry.json().get("error").is_some(), "{path}: {}", entry.text());
            let expected = Duration::from_secs(if dribbles { 3 } else { 1 });
            assert!(took >= expected && took < expected * 3, "{path} {dribbles}: {took:?}");
            if path == "/api/chat" {
                row.figure(format!("dribbles {dribbles}: 408 after {}", ms(took)));
            }
        }
    }
    assert_eq!(up.calls().len(), 0);
    // Any two of those took all the room that there is.
    let answer = row.ask("/api/chat", &chat("m", 1, true)).await;
    assert_eq!(answer.end, End::Complete, "{}", answer.text());
    row.check().await;
}

#[tokio::test]
async fn c8_a_body_above_the_limit_is_refused_without_being_read() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[server]\nmax_body_bytes = 100000\n");
    let mut row = Row::start("C8", setup).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\n";

    // By its length: nothing of it has to come.
    let begun = Instant::now();
    let (entry, rest) =
        refused(&row, format!("{head}content-length: 100001\r\n\r\n").as_bytes()).await;
    assert_eq!((entry.status, rest.len()), (413, 0), "{}", entry.head);
    assert!(
        entry.json()["error"]["message"].as_str().unwrap().contains("100000"),
        "{}",
        entry.text()
    );
    row.figure(format!("by length: {}", ms(begun.elapsed())));

    // By what comes: the client may send on, and has its answer nevertheless.
    let mut open = row.raw(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).await;
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
    let mut sent = 0;
    while sent < 64 << 20 && open.stream().write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        let wait = tokio::time::timeout(Duration::from_millis(5), open.read());
        if wait.await.is_ok() {
            break;
        }
    }
    let entry = open.finish().await;
    assert_eq!(entry.status, 413, "{}", entry.head);
    assert!(sent < 8 << 20, "{sent} bytes went");
    row.figure(format!("by chunks: after {} KiB", sent >> 10));

    // A length that lies: what is too much is no request, and what is missing makes none.
    let body = chat("m", 1, false).to_string();
    let lie = format!("{head}content-length: 10\r\n\r\n{body}");
    let (entry, _) = refused(&row, lie.as_bytes()).await;
    assert_eq!(entry.status, 400, "{}", entry.text());
    let lie = format!("{head}content-length: {}\r\n\r\n{body}", body.len() + 5);
    let mut open = row.raw(lie.as_bytes()).await;
    open.stream().shutdown().await.unwrap();
    assert_ne!(open.finish().await.status, 200);
    assert_eq!(up.calls().len(), 0);
    row.check().await;
}

#[tokio::test]
async fn c9_a_stranger_who_asks_first_is_refused_and_not_told_to_go_on() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("C9", Setup::ollama(&up).key("canary-key-of-c9-0123456789")).await;
    let body = chat("m", 1, true).to_string();
    for (path, status) in [("/v1/chat/completions", 401), ("/api/chat", 403)] {
        for key in ["", "x-api-key: wrong\r\n"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nexpect: 100-continue\r\n{key}\r\n",
                body.len()
            );
            let (entry, rest) = refused(&row, head.as_bytes()).await;
            assert_eq!((entry.status, rest.len()), (status, 0), "{path}: {}", entry.head);
        }
        // Who may come in is told to.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\n\
             x-api-key: canary-key-of-c9-0123456789\r\n\r\n",
            body.len()
        );
        let mut open = row.raw(head.as_bytes()).await.uncounted();
        open.read().await;
        assert_eq!(open.entry().status, 100, "{}", open.entry().head);
        drop(open);
    }
    assert_eq!(up.calls().len(), 0);
    // Those who left after they were told have a row each, and know no id.
    row.waive("I1", "two clients left before they sent a body").check().await;
}
