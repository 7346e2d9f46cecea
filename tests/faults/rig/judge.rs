//! What a client may conclude from an answer: whether it was whole, an error, or cut.

use serde_json::Value;

/// How a request ended, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The dialect's terminal came, once, and nothing contradicts it.
    Complete,
    /// A status of 400 or more.
    Refused,
    /// A stream said in its own dialect that it failed, and had no terminal.
    ErrorEvent,
    /// It stopped without a terminal and without a word.
    Cut,
    /// The client left before the end.
    Left,
    /// It both succeeded and failed, or succeeded twice.
    Lie,
}

/// Judges an answer. `whole`: its body ended as HTTP says it should.
pub(crate) fn judge(kind: &str, status: u16, body: &[u8], whole: bool) -> End {
    if status >= 400 {
        return if whole { End::Refused } else { End::Cut };
    }
    let text = String::from_utf8_lossy(body);
    let (terminals, errors) = if kind.starts_with("text/event-stream") {
        events(&text)
    } else if kind.starts_with("application/x-ndjson") {
        lines(&text)
    } else {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let error = json.as_ref().is_some_and(is_error);
        let good = whole && !error && (json.is_some() || !kind.starts_with("application/json"));
        (usize::from(good), usize::from(error))
    };
    match (terminals, errors) {
        (1, 0) => End::Complete,
        (0, 0) => End::Cut,
        (0, 1) => End::ErrorEvent,
        _ => End::Lie,
    }
}

fn events(text: &str) -> (usize, usize) {
    let data = text.split("\n\n").filter_map(|event| {
        event.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim)
    });
    let mut counts = (0, 0);
    for data in data {
        let json: Value = serde_json::from_str(data).unwrap_or_default();
        let kind = json["type"].as_str().unwrap_or_default();
        let end = ["message_stop", "response.completed", "response.incomplete"].contains(&kind);
        counts.0 += usize::from(data == "[DONE]" || end);
        counts.1 += usize::from(is_error(&json));
    }
    counts
}

fn lines(text: &str) -> (usize, usize) {
    let mut counts = (0, 0);
    for line in text.lines() {
        let json: Value = serde_json::from_str(line).unwrap_or_default();
        counts.0 += usize::from(json["done"] == true);
        counts.1 += usize::from(is_error(&json));
    }
    counts
}

fn is_error(json: &Value) -> bool {
    let kind = json["type"].as_str().unwrap_or_default();
    kind == "error" || kind == "response.failed" || json.get("error").is_some_and(|e| !e.is_null())
}

/// Reads a chunked body piece by piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    stand: Stand,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stand {
    #[default]
    Size,
    Data(usize),
    Trailers,
    Done,
}

impl Chunks {
    /// Takes from `wire` what it can and adds it to `body`; whether the body is all there.
    pub(crate) fn feed(&mut self, wire: &mut Vec<u8>, body: &mut Vec<u8>) -> bool {
        let mut at = 0;
        loop {
            let rest = &wire[at..];
            match self.stand {
                Stand::Done => break,
                Stand::Data(left) => {
                    let now = rest.len().min(left);
                    body.extend_from_slice(&rest[..now]);
                    at += now;
                    self.stand = if now == left { Stand::Size } else { Stand::Data(left - now) };
                    if now < left {
                        break;
                    }
                }
                Stand::Size | Stand::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', rest) else { break };
                    let line = String::from_utf8_lossy(&rest[..end]);
                    let line = line.trim();
                    match self.stand {
                        Stand::Trailers if line.is_empty() => self.stand = Stand::Done,
                        // The line end of the chunk before.
                        Stand::Size if line.is_empty() => {}
                        Stand::Size => {
                            let size = line.split(';').next().unwrap_or_default().trim();
                            self.stand = match usize::from_str_radix(size, 16) {
                                Ok(0) => Stand::Trailers,
                                Ok(size) => Stand::Data(size),
                                Err(_) => break,
                            };
                        }
                        _ => {}
                    }
                    at += end + 1;
                }
            }
        }
        wire.drain(..at);
        matches!(self.stand, Stand::Done)
    }
}
