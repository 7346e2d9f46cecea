//! Rows A: who may come in, and what must never get out.

mod door;
mod keys;
mod paths;
mod secrets;
mod trying;

use crate::rig::{Chaosd, Entry, Row, chat};

/// A key that nobody could guess.
const KEY: &str = "canary-key-of-the-gateway-5b20";

/// One request with these header lines, as they stand; the body is a question.
async fn send(row: &Row, method: &str, target: &str, lines: &str) -> Entry {
    let body = if method == "GET" { String::new() } else { chat("m", 0, false).to_string() };
    let host = if lines.to_lowercase().contains("host:") { "" } else { "host: localhost\r\n" };
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n{host}{lines}").into_bytes();
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
    row.raw(&bytes).await.finish().await
}

/// What reached an upstream because somebody asked for it; the gateway's own looks are not.
fn reached(up: &Chaosd) -> Vec<String> {
    const OWN: [&str; 4] = ["GET /api/tags", "GET /api/version", "GET /api/ps", "GET /v1/models"];
    let lines = up.all().into_iter().map(|call| format!("{} {}", call.method, call.path));
    lines.filter(|line| !OWN.contains(&line.as_str())).collect()
}
