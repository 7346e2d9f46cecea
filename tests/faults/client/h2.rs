//! HTTP/2 clients that flood, that take nothing, and that give up one of many streams.

use super::{
    h2wire::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, H2, HEADERS, PING, RESET, SETTINGS,
        WINDOW, frame, headers, request,
    },
    json::cpu,
};
use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, ms, times};
use std::time::{Duration, Instant};

/// The ledger speaks HTTP/1 only.
const WHY: &str = "requests over HTTP/2 are not in the ledger; the test itself looks at each";

#[tokio::test]
async fn c11_a_flood_of_frames_ends_its_own_connection_and_costs_the_others_nothing() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[log]\nlevel = \"info\"\n");
    let mut row = Row::start("C11", setup).await.waive("I1", WHY).waive("I2", WHY).waive("I8", WHY);
    let before = row.program.rss_kib();
    let count = times(20_000, 1_000_000);
    let block = headers(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/api/chat"),
        (":authority", "localhost"),
        ("content-type", "application/json"),
    ]);
    let body = chat("m", 1, true).to_string();
    for name in ["reset", "reset with a body", "continuation", "settings", "ping", "window"] {
        let mut h2 = H2::connect(row.program.addr, &[]).await;
        let mut bytes = match name {
            "continuation" => frame(HEADERS, 0, 1, &block),
            _ => Vec::new(),
        };
        for nth in 0..count as u32 {
            let stream = 2 * nth + 1;
            bytes.extend(match name {
                "reset" => {
                    let mut two = frame(HEADERS, END_HEADERS, stream, &block);
                    two.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
                    two
                }
                "reset with a body" => {
                    let mut two = request(stream, "/api/chat", &body);
                    two.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
                    two
                }
                "continuation" => frame(CONTINUATION, 0, 1, &headers(&[("x", "y")])),
                "settings" => frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]),
                "ping" => frame(PING, 0, 0, b"12345678"),
                _ => frame(WINDOW, 0, 0, &1_u32.to_be_bytes()),
            });
        }
        let (begun, used) = (Instant::now(), cpu(&row));
        // Nothing is read meanwhile, so that what is answered piles up.
        let mut sent = 0;
        for piece in bytes.chunks(64 * 1024) {
            let written = tokio::time::timeout(Duration::from_secs(1), h2.write(piece)).await;
            if written != Ok(true) {
                break;
            }
            sent += piece.len();
        }
        let asked = Instant::now();
        let answer = row.ask("/api/chat", &chat("m", 2, true)).await;
        assert_eq!(answer.end, End::Complete, "{name}");
        let other = asked.elapsed();
        assert!(other < Duration::from_secs(2), "{name}: another client waited {other:?}");
        let calls = up.calls().len();
        let state = if h2.write(&frame(PING, 0, 0, b"12345678")).await { "open" } else { "closed" };
        row.figure(format!(
            "{name}: {sent} of {} bytes taken, {calls} calls so far, {state}, {} of a core in {}",
            bytes.len(),
            ms(cpu(&row) - used),
            ms(begun.elapsed())
        ));
        assert!(calls < 1000, "{name}: {calls} calls upstream for requests that were taken back");
        drop(h2);
    }
    let grown = row.program.rss_kib().saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB");
    row.figure(format!("{grown} KiB more in the end"));
    row.check().await;
}

#[tokio::test]
async fn c11_a_client_that_opens_no_window_loses_its_stream_and_keeps_the_others() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[server]\nwrite_s = 1\n");
    let mut row = Row::start("C11", setup).await.waive("I1", WHY).waive("I2", WHY).waive("I8", WHY);
    // A window of nothing for every stream.
    let mut h2 = H2::connect(row.program.addr, &[(4, 0)]).await;
    up.next(Script::from(Reply::chat(&["one", "two"])).then(Act::Stall));
    let begun = Instant::now();
    assert!(h2.write(&request(1, "/api/chat", &chat("m", 1, true).to_string())).await);
    let reset = h2.until(RESET, 1).await.expect("the connection stays");
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(reset.payload.len(), 4);
    row.figure(format!("reset after {}", ms(took)));

    // Another stream of the same connection, with a window of its own.
    assert!(h2.write(&request(3, "/api/chat", &chat("m", 2, true).to_string())).await);
    assert!(h2.write(&frame(WINDOW, 0, 3, &60_000_u32.to_be_bytes())).await);
    let answer = h2.answer(3).await.expect("an answer");
    assert!(answer.contains("\"done\":true"), "{answer}");

    // One that waits for the model, and not for its client, is not late.
    up.next(Script::from(Reply::chat(&["slow"])).after(Act::Wait(Duration::from_millis(2500))));
    assert!(h2.write(&request(5, "/api/chat", &chat("m", 3, true).to_string())).await);
    assert!(h2.write(&frame(WINDOW, 0, 5, &60_000_u32.to_be_bytes())).await);
    let answer = h2.answer(5).await.expect("an answer");
    assert!(answer.contains("slow"), "{answer}");
    drop(h2);
    row.check().await;
}

#[tokio::test]
async fn c12_a_stream_that_is_reset_takes_its_own_upstream_request_and_no_other() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("C12", Setup::ollama(&up)).await;
    let mut row = row.waive("I1", WHY).waive("I2", WHY).waive("I8", WHY);
    let script =
        Script::from(Reply::chat(&["one", "two"])).at(2, Act::Wait(Duration::from_secs(1)));
    up.always(script);
    let mut h2 = H2::connect(row.program.addr, &[]).await;
    for nth in 0..3_u32 {
        let body = chat("m", nth as usize, true).to_string();
        assert!(h2.write(&request(2 * nth + 1, "/api/chat", &body)).await);
        h2.until(DATA, 2 * nth + 1).await.expect("a first word");
    }
    let reset = Instant::now();
    assert!(h2.write(&frame(RESET, 0, 3, &8_u32.to_be_bytes())).await);
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let frame = h2.next().await.expect("the connection stays");
        assert_ne!(frame.kind, GOAWAY);
        if frame.flags & END_STREAM != 0 && [DATA, HEADERS].contains(&frame.kind) {
            ended.push(frame.stream);
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, [1, 5], "the others end as they would have");
    let calls = up.calls();
    let left: Vec<_> = calls.iter().filter_map(|call| call.left).collect();
    assert_eq!(left.len(), 1, "one call was cut");
    row.figure(format!("cut after {}", ms(left[0].saturating_duration_since(reset))));
    drop(h2);
    row.check().await;
}
