//! The client's own account: every request that was sent, what came back, and how it ended.

use super::{
    LIMIT,
    chaosd::header,
    judge::{Chunks, End, judge},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// One request, as its client saw it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) nth: usize,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Whether the gateway must have a row of it. Not for what is no request.
    pub(crate) counts: bool,
    pub(crate) sent: Instant,
    /// When the first byte of the body came, after it was sent.
    pub(crate) first: Option<Duration>,
    /// When it was over.
    pub(crate) took: Duration,
    /// 0 when no head came.
    pub(crate) status: u16,
    /// The head as it came; empty when none did.
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as HTTP says it should.
    pub(crate) whole: bool,
    pub(crate) end: End,
}

/// All entries of a row. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Entry>>>);

/// A request under way; dropped before its end, its client has left.
#[derive(Debug)]
pub(crate) struct Open {
    ledger: Ledger,
    entry: Entry,
    stream: TcpStream,
    /// Bytes that have come and are not in the entry yet.
    wire: Vec<u8>,
    chunks: Chunks,
    over: bool,
}

// === impl Entry ===

impl Entry {
    /// The gateway's own name for it, which is also its row's.
    pub(crate) fn id(&self) -> &str {
        self.header("x-request-id")
    }

    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.head, name).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What the model said, in whichever dialect, streamed or not.
    pub(crate) fn said(&self) -> String {
        said(&self.text())
    }
}

/// What the model said in this body, in whichever dialect, streamed or not.
pub(crate) fn said(body: &str) -> String {
    let pieces = body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
    let said = pieces.filter_map(|piece| {
        let json: Value = serde_json::from_str(piece.trim()).ok()?;
        let places = [
            "/message/content",
            "/response",
            "/choices/0/delta/content",
            "/choices/0/message/content",
            "/delta/text",
            "/content/0/text",
        ];
        let delta =
            (json["type"] == "response.output_text.delta").then(|| json.get("delta")).flatten();
        let found = delta.or_else(|| places.iter().find_map(|at| json.pointer(at)));
        found?.as_str().map(str::to_owned)
    });
    said.collect()
}

// === impl Ledger ===

impl Ledger {
    /// What has been sent so far, and is over.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// Sends JSON and waits for the end of the answer.
    pub(crate) async fn ask(
        &self,
        to: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Entry {
        self.open(to, path, headers, body).await.finish().await
    }

    /// Sends JSON and does not wait.
    pub(crate) async fn open(
        &self,
        to: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Open {
        let body = body.to_string();
        let mut text = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(to, format!("{text}\r\n{body}").as_bytes()).await
    }

    /// `GET`, without a body.
    pub(crate) async fn get(&self, to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Entry {
        let mut text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(to, format!("{text}\r\n").as_bytes()).await.finish().await
    }

    /// Sends these bytes, which are one request, on a connection of their own.
    pub(crate) async fn raw(&self, to: SocketAddr, bytes: &[u8]) -> Open {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let _ = stream.write_all(bytes).await;
        let line = String::from_utf8_lossy(bytes);
        let mut line = line.split_whitespace();
        let mut next = || line.next().unwrap_or_default().to_owned();
        let entry = Entry {
            nth: 0,
            method: next(),
            path: next(),
            counts: true,
            sent: Instant::now(),
            first: None,
            took: Duration::ZERO,
            status: 0,
            head: String::new(),
            body: Vec::new(),
            whole: false,
            end: End::Left,
        };
        Open {
            ledger: self.clone(),
            entry,
            stream,
            wire: Vec::new(),
            chunks: Chunks::default(),
            over: false,
        }
    }

    fn note(&self, entry: &mut Entry) {
        let mut entries = self.0.lock().unwrap();
        entry.nth = entries.len();
        entries.push(entry.clone());
    }
}

// === impl Open ===

impl Open {
    /// Not a request that the gateway must have a row of.
    pub(crate) fn uncounted(mut self) -> Self {
        self.entry.counts = false;
        self
    }

    /// What has come so far.
    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The connection, for whoever wants to write more.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Reads once; whether there may be more.
    pub(crate) async fn read(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let count = self.stream.read(&mut piece).await.unwrap_or(0);
        self.wire.extend_from_slice(&piece[..count]);
        if self.entry.head.is_empty()
            && let Some(at) = self.wire.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let rest = self.wire.split_off(at + 4);
            self.entry.head = String::from_utf8_lossy(&self.wire).into_owned();
            self.wire = rest;
            let status = self.entry.head.split(' ').nth(1);
            self.entry.status = status.and_then(|text| text.parse().ok()).unwrap_or(0);
        }
        if self.entry.head.is_empty() {
            return count > 0;
        }
        let length = header(&self.entry.head, "content-length");
        let length: Option<usize> = length.and_then(|text| text.parse().ok());
        let Entry { head, body, whole, .. } = &mut self.entry;
        if header(head, "transfer-encoding").is_some() {
            *whole = self.chunks.feed(&mut self.wire, body);
        } else {
            let room = length.unwrap_or(usize::MAX).saturating_sub(body.len());
            body.extend(self.wire.drain(..self.wire.len().min(room)));
            *whole = length.map_or(count == 0, |length| body.len() >= length);
        }
        if !self.entry.body.is_empty() {
            self.entry.first.get_or_insert(self.entry.sent.elapsed());
        }
        count > 0 && !self.entry.whole
    }

    /// Reads until the body has these words; `false` if it ended without them.
    pub(crate) async fn until(&mut self, words: &str) -> bool {
        let reading = async {
            let there =
                |entry: &Entry| memchr::memmem::find(&entry.body, words.as_bytes()).is_some();
            while !there(&self.entry) {
                if !self.read().await {
                    return there(&self.entry);
                }
            }
            true
        };
        timeout(LIMIT, reading).await.expect("an answer that goes on")
    }

    /// Waits for the end, and notes it.
    pub(crate) async fn finish(mut self) -> Entry {
        let reading = async { while !self.entry.whole && self.read().await {} };
        timeout(LIMIT, reading).await.expect("an answer that ends");
        let entry = &mut self.entry;
        let kind = header(&entry.head, "content-type").unwrap_or_default();
        entry.end = match entry.status {
            0 => End::Cut,
            status => judge(kind, status, &entry.body, entry.whole),
        };
        entry.took = entry.sent.elapsed();
        self.over = true;
        self.ledger.note(entry);
        self.entry.clone()
    }

    /// Hangs up; says when.
    pub(crate) fn leave(self) -> Instant {
        drop(self);
        Instant::now()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.over {
            self.entry.took = self.entry.sent.elapsed();
            let ledger = self.ledger.clone();
            ledger.note(&mut self.entry);
        }
    }
}
