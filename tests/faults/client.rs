//! Rows C: what clients do.

mod crowd;
mod framing;
mod h2;
mod h2wire;
mod json;
mod leaving;
mod packed;
mod slow;

use crate::rig::{Entry, LIMIT, Row};
use tokio::{io::AsyncReadExt, time::timeout};

/// Sends these bytes and reads until the gateway hangs up; what came first, and all that came behind it. For requests
/// that hyper itself may refuse, of which there is no row.
async fn refused(row: &Row, bytes: &[u8]) -> (Entry, Vec<u8>) {
    let mut open = row.raw(bytes).await.uncounted();
    let mut rest = Vec::new();
    timeout(LIMIT, async {
        while open.read().await {}
        let _ = open.stream().read_to_end(&mut rest).await;
    })
    .await
    .unwrap_or_else(|_| panic!("it does not hang up: {}", String::from_utf8_lossy(bytes)));
    (open.finish().await, rest)
}

/// A request in full, with `content-length` and these further lines, each with its CRLF.
fn post(path: &str, lines: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{lines}\r\n{body}"
    )
    .into_bytes()
}
