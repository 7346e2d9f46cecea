//! Clients that send little that unpacks to much.

use super::refused;
use crate::rig::{Chaosd, Row, Setup, chat, ms};
use flate2::{Compression, write::GzEncoder};
use std::{io::Write, time::Instant};

/// So many mebibytes of spaces in a request, packed.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(br#"{"model":"m","messages":[],"x":""#).unwrap();
    let spaces = vec![b' '; 1 << 20];
    (0..mebibytes).for_each(|_| packed.write_all(&spaces).unwrap());
    packed.write_all(b"\"}").unwrap();
    packed.finish().unwrap()
}

fn post(path: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-encoding: gzip\r\ncontent-length: {}\r\n{lines}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[tokio::test]
async fn c14_a_bomb_is_unpacked_for_nobody_unknown_and_no_further_than_the_limit() {
    const KEY: &str = "canary-key-of-c14-0123456789";
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).key(KEY).toml("[server]\nmax_body_bytes = 1000000\n");
    let mut row = Row::start("C14", setup).await;
    let body = bomb(256);
    assert!(body.len() < 1_000_000, "{}", body.len());
    let before = row.program.rss_kib();
    let (entry, _) =
        refused(&row, &post("/v1/chat/completions", "connection: close\r\n", &body)).await;
    assert_eq!(entry.status, 401, "{}", entry.head);
    let known = format!("x-api-key: {KEY}\r\nconnection: close\r\n");
    for path in ["/v1/chat/completions", "/v1/messages", "/v1/responses"] {
        let begun = Instant::now();
        let entry = row.raw(&post(path, &known, &body)).await.finish().await;
        assert_eq!(entry.status, 413, "{path}: {}", entry.text());
        assert!(entry.text().contains("decompressed"), "{path}: {}", entry.text());
        row.figure(format!("{path}: {}", ms(begun.elapsed())));
    }
    let other = post("/v1/chat/completions", &known, b"x");
    let other = String::from_utf8(other).unwrap().replace("gzip", "compress");
    let entry = row.raw(other.as_bytes()).await.finish().await;
    assert_eq!(entry.status, 415, "{}", entry.text());
    assert_eq!(up.calls().len(), 0, "nothing of it went on");
    let grown = row.program.rss_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB for what nobody may send");
    row.figure(format!("{grown} KiB"));
    assert_eq!(row.ask("/api/chat", &chat("m", 1, true)).await.status, 200);
    row.check().await;
}
