//! Follows the heads of HTTP/1 requests on their way to hyper, for what hyper takes that others read differently.
//!
//! hyper drops the length of a request that has a transfer coding as well, and lets a line end without CR. Each is
//! allowed, and each is how a request is smuggled past a proxy that reads it the other way. By the time a service sees
//! the request nothing is left of it. So the bytes are followed here, by line in a head and by count in a body.
//!
//! Nothing is decided here but that a request is odd. Whoever is lost stops following, and hyper refuses what it
//! cannot read itself.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

/// What was odd on a connection so far. It never becomes good again: its requests are refused, and it is closed.
#[derive(Debug, Default)]
pub(super) struct Oddities(AtomicU8);

/// A request that can be read in two ways; pinned to it by the listener, for whoever refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous(pub &'static str);

/// Follows one connection.
#[derive(Debug)]
pub(super) struct Heads {
    at: At,
    /// What came of the line that has not ended, as far as it matters.
    line: Vec<u8>,
    /// Of the head that is being read.
    length: Option<u64>,
    chunked: bool,
    odd: Arc<Oddities>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first line of a head.
    Start,
    Head,
    /// So many bytes of a body, or of a chunk and the end of its line, are to come.
    Body(u64),
    Chunk(u64),
    /// At the line with the size of a chunk.
    Size,
    Trailers,
    /// Not HTTP/1, or nothing that hyper will read.
    Lost,
}

const BOTH: u8 = 1;
const BARE: u8 = 2;

/// The most that is kept of a line: the names and values that matter are far shorter.
const LINE: usize = 64;

// === impl Oddities ===

impl Oddities {
    /// What is odd, if it concerns a request with (`coded`) or without a transfer coding.
    pub(super) fn of(&self, coded: bool) -> Option<Ambiguous> {
        match self.0.load(Relaxed) {
            0 => None,
            odd if odd & BARE != 0 => Some(Ambiguous("a line of its head ends without CR")),
            _ if coded => Some(Ambiguous("it has both Content-Length and Transfer-Encoding")),
            _ => None,
        }
    }

    fn add(&self, odd: u8) {
        self.0.fetch_or(odd, Relaxed);
    }
}

// === impl Heads ===

impl Heads {
    pub(super) fn new(odd: Arc<Oddities>) -> Self {
        Self { at: At::Start, line: Vec::new(), length: None, chunked: false, odd }
    }

    /// The next bytes that came.
    pub(super) fn feed(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            match self.at {
                At::Lost => return,
                At::Body(left) | At::Chunk(left) => {
                    let skipped = usize::try_from(left).map_or(data.len(), |n| n.min(data.len()));
                    data = &data[skipped..];
                    let left = left - skipped as u64;
                    self.at = match (self.at, left) {
                        (At::Body(_), 0) => At::Start,
                        (At::Body(_), left) => At::Body(left),
                        (_, 0) => At::Size,
                        (_, left) => At::Chunk(left),
                    };
                }
                At::Start | At::Head | At::Size | At::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', data) else { return self.keep(data) };
                    self.keep(&data[..end]);
                    data = &data[end + 1..];
                    self.end_line();
                }
            }
        }
    }

    /// The last byte that came is always kept: it may be the CR.
    fn keep(&mut self, part: &[u8]) {
        let fits = LINE.saturating_sub(self.line.len()).min(part.len());
        self.line.extend_from_slice(&part[..fits]);
        if let (true, Some(last)) = (fits < part.len(), part.last()) {
            self.line.truncate(LINE);
            self.line.push(*last);
        }
    }

    fn end_line(&mut self) {
        let bare = self.line.last() != Some(&b'\r');
        if !bare {
            self.line.pop();
        }
        self.at = match self.at {
            // Empty lines before a request are nobody's; behind trailers one ends it.
            At::Start | At::Trailers if self.line.is_empty() => At::Start,
            At::Start if self.line.starts_with(b"PRI * HTTP/2") => At::Lost,
            At::Start | At::Head if bare => {
                self.odd.add(BARE);
                At::Lost
            }
            At::Start => At::Head,
            At::Head if self.line.is_empty() => self.end_head(),
            At::Head => self.header(),
            At::Size => match size(&self.line) {
                Some(0) => At::Trailers,
                Some(size) => At::Chunk(size.saturating_add(2)),
                None => At::Lost,
            },
            at => at,
        };
        self.line.clear();
    }

    fn header(&mut self) -> At {
        if let Some(colon) = memchr::memchr(b':', &self.line) {
            let (name, value) = (&self.line[..colon], self.line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                let length = str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                if length.is_none() {
                    // hyper looks at it only where there is no transfer coding.
                    self.odd.add(BOTH);
                }
                self.length = Some(length.unwrap_or(u64::MAX));
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                self.chunked = true;
            }
        }
        At::Head
    }

    fn end_head(&mut self) -> At {
        match (std::mem::take(&mut self.chunked), self.length.take()) {
            (true, Some(_)) => {
                self.odd.add(BOTH);
                At::Lost
            }
            (true, None) => At::Size,
            (false, None | Some(0)) => At::Start,
            (false, Some(length)) => At::Body(length),
        }
    }
}

fn size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    u64::from_str_radix(str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is odd of these bytes, in pieces of any size.
    #[track_caller]
    fn odd(bytes: &str) -> u8 {
        let mut seen = Vec::new();
        for size in [1, 2, 3, 7, 64, usize::MAX] {
            let odd = Arc::new(Oddities::default());
            let mut heads = Heads::new(odd.clone());
            bytes.as_bytes().chunks(size).for_each(|piece| heads.feed(piece));
            seen.push(odd.0.load(Relaxed));
        }
        assert!(seen.iter().all(|odd| *odd == seen[0]), "{seen:?}: {bytes:?}");
        seen[0]
    }

    #[test]
    fn a_length_beside_a_transfer_coding_is_odd_in_any_order_and_behind_any_request() {
        let both = "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        let other =
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nX: y\r\ncontent-length:3\r\n\r\n";
        let long = format!("x: {}\r\n", "v".repeat(1000));
        for before in [
            "",
            "\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab\ncd",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\na\nb\r\n0\r\nt: 1\r\n\r\n",
            &format!("GET / HTTP/1.1\r\n{long}\r\n"),
        ] {
            assert_eq!(odd(&format!("{before}{both}")), BOTH, "{before:?}");
            assert_eq!(odd(&format!("{before}{other}")), BOTH, "{before:?}");
            assert_eq!(odd(before), 0, "{before:?}");
        }
    }

    #[test]
    fn what_looks_like_a_header_inside_a_body_is_not_one() {
        let part = "--x\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n";
        let whole = format!(
            "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{part}GET / HTTP/1.1\r\n\r\n",
            part.len()
        );
        assert_eq!(odd(&whole), 0);
        let chunked = format!(
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{part}\r\n0\r\n\r\n",
            part.len()
        );
        assert_eq!(odd(&chunked), 0);
    }

    #[test]
    fn a_line_of_a_head_that_ends_without_cr_is_odd_and_one_of_a_body_is_not() {
        assert_eq!(odd("GET / HTTP/1.1\nhost: a\r\n\r\n"), BARE);
        assert_eq!(odd("GET / HTTP/1.1\r\nhost: a\n\r\n"), BARE);
        assert_eq!(odd("GET / HTTP/1.1\r\nhost: a\r\n\n"), BARE);
        let long = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", "a".repeat(200));
        assert_eq!(odd(&long), 0, "the CR of a long line is seen");
        assert_eq!(odd(&long.replacen("\r\n\r\n", "\n\r\n", 1)), BARE);
    }

    #[test]
    fn what_is_not_http_1_is_not_followed() {
        assert_eq!(odd("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\n\n"), 0);
    }

    #[test]
    fn a_length_that_is_none_makes_a_later_transfer_coding_odd() {
        let padded = format!("content-length:{}3", " ".repeat(100));
        for length in ["content-length: x", "content-length: -1", "Content-Length:", &padded] {
            assert_eq!(odd(&format!("POST / HTTP/1.1\r\n{length}\r\n\r\nabc")), BOTH, "{length}");
        }
    }
}
