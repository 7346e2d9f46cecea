//! Framing only: NDJSON lines and server-sent events, cut from bytes that may be split anywhere.
//!
//! Both cutters own what they are given and hand out slices of it: an event that lies wholly inside one
//! piece costs no allocation and no copy. What is carried over to the next piece is bounded by [`MAX_EVENT`].

use bytes::{Bytes, BytesMut};

/// Most bytes of one line or one event. Source: ollama api/client.go, whose scanner stops at 8,000,000.
pub const MAX_EVENT: usize = 8 * 1024 * 1024;

/// A line or an event is longer than [`MAX_EVENT`]; the stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Cuts NDJSON into lines.
#[derive(Debug, Default)]
pub struct Lines {
    cutter: Cutter,
}

/// Cuts a `text/event-stream` into events.
#[derive(Debug, Default)]
pub struct Events {
    cutter: Cutter,
    event: Pending,
    begun: bool,
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `data` lines, joined by newlines; or the value of a bare `error` line.
    pub data: Bytes,
    /// Whether the event calls itself an error: `event: error`, or a bare `error: {…}` line.
    pub error: bool,
    /// Whether it did so without a `data` line, so that a client's reader would not see it.
    pub bare: bool,
}

/// Cuts at line ends; what is left over waits for the next piece.
#[derive(Debug, Default)]
struct Cutter {
    piece: Bytes,
    carry: BytesMut,
    taken: usize,
    carriage: bool,
}

#[derive(Debug, Default)]
struct Pending {
    data: Option<Bytes>,
    bare: Option<Bytes>,
    error: bool,
    /// Whether any of its lines has come.
    begun: bool,
}

// === impl Lines ===

impl Lines {
    /// Takes the next piece of the stream. Call [`Lines::next`] until it gives `None` before the next piece.
    pub fn push(&mut self, piece: Bytes) {
        self.cutter.push(piece);
    }

    /// The next whole line that is not blank, without its end.
    #[expect(clippy::should_implement_trait, reason = "an iterator would promise an end")]
    pub fn next(&mut self) -> Option<Result<Bytes, TooLong>> {
        loop {
            match self.cutter.line(false)? {
                Ok(line) if line.trim_ascii().is_empty() => {}
                found => return Some(found),
            }
        }
    }

    /// The last line, if the stream ended without a newline.
    pub fn end(&mut self) -> Option<Bytes> {
        let line = self.cutter.rest();
        (!line.trim_ascii().is_empty()).then_some(line)
    }

    /// Bytes of the newest piece that the lines given out so far have used.
    pub fn taken(&self) -> usize {
        self.cutter.taken
    }

    /// Whether the stream stands inside a line.
    pub fn inside(&self) -> bool {
        !self.cutter.carry.is_empty()
    }
}

// === impl Events ===

impl Events {
    /// Takes the next piece of the stream. Call [`Events::next`] until it gives `None` before the next piece.
    pub fn push(&mut self, piece: Bytes) {
        self.cutter.push(piece);
    }

    /// The next event that has data.
    #[expect(clippy::should_implement_trait, reason = "an iterator would promise an end")]
    pub fn next(&mut self) -> Option<Result<Event, TooLong>> {
        loop {
            let line = match self.cutter.line(true)? {
                Ok(line) => line,
                Err(long) => return Some(Err(long)),
            };
            if line.is_empty() {
                if let Some(event) = self.event.take() {
                    return Some(Ok(event));
                }
            } else if let Err(long) = self.field(line) {
                return Some(Err(long));
            }
        }
    }

    /// The last event, if the stream ended without a blank line. It may be cut short.
    pub fn end(&mut self) -> Option<Event> {
        let line = self.cutter.rest();
        if !line.is_empty() && self.field(line).is_err() {
            return None;
        }
        self.event.take()
    }

    /// Bytes of the newest piece that the events given out so far have used.
    pub fn taken(&self) -> usize {
        self.cutter.taken
    }

    /// Whether the stream stands inside an event.
    pub fn inside(&self) -> bool {
        !self.cutter.carry.is_empty() || self.event.begun
    }

    // Source: WHATWG HTML, server-sent events, "interpreting an event stream".
    fn field(&mut self, mut line: Bytes) -> Result<(), TooLong> {
        if !self.begun {
            self.begun = true;
            if line.starts_with(b"\xef\xbb\xbf") {
                line = line.slice(3..);
            }
        }
        let (name, value) = match memchr::memchr(b':', &line) {
            Some(0) => return Ok(()),
            Some(at) => {
                let skip = if line.get(at + 1) == Some(&b' ') { at + 2 } else { at + 1 };
                (&line[..at], line.slice(skip..))
            }
            None => (&line[..], Bytes::new()),
        };
        self.event.begun |= !name.is_empty();
        match name {
            b"data" => append(&mut self.event.data, value),
            b"event" => {
                self.event.error = value.as_ref() == b"error";
                Ok(())
            }
            // Not in the standard: llama.cpp until the middle of 2025 (its pull request 16109).
            b"error" => append(&mut self.event.bare, value),
            _ => Ok(()),
        }
    }
}

fn append(text: &mut Option<Bytes>, more: Bytes) -> Result<(), TooLong> {
    *text = Some(match text.take() {
        None => more,
        Some(before) if before.len() + more.len() < MAX_EVENT => {
            let mut joined = BytesMut::with_capacity(before.len() + more.len() + 1);
            joined.extend_from_slice(&before);
            joined.extend_from_slice(b"\n");
            joined.extend_from_slice(&more);
            joined.freeze()
        }
        Some(_) => return Err(TooLong),
    });
    Ok(())
}

// === impl Event ===

impl Event {
    /// A line is an event that is nothing but data.
    pub fn line(data: Bytes) -> Self {
        Self { data, error: false, bare: false }
    }
}

// === impl Pending ===

impl Pending {
    fn take(&mut self) -> Option<Event> {
        let Self { data, bare, error, .. } = std::mem::take(self);
        match (data, bare) {
            (_, Some(data)) => Some(Event { data, error: true, bare: true }),
            (Some(data), None) if !data.is_empty() => Some(Event { data, error, bare: false }),
            _ => None,
        }
    }
}

// === impl Cutter ===

impl Cutter {
    fn push(&mut self, piece: Bytes) {
        self.taken = 0;
        if self.piece.is_empty() {
            self.piece = piece;
        } else {
            let mut joined = BytesMut::with_capacity(self.piece.len() + piece.len());
            joined.extend_from_slice(&self.piece);
            joined.extend_from_slice(&piece);
            self.piece = joined.freeze();
        }
    }

    /// The next line without its end; `carriage` says whether CR, alone or before LF, ends a line too.
    fn line(&mut self, carriage: bool) -> Option<Result<Bytes, TooLong>> {
        if self.carriage && !self.piece.is_empty() {
            self.carriage = false;
            if self.piece[0] == b'\n' {
                self.take(1);
            }
        }
        let end = if carriage {
            memchr::memchr2(b'\n', b'\r', &self.piece)
        } else {
            memchr::memchr(b'\n', &self.piece)
        };
        let Some(end) = end else {
            let rest = self.take(self.piece.len());
            self.carry.extend_from_slice(&rest);
            return (self.carry.len() > MAX_EVENT).then_some(Err(TooLong));
        };
        if self.carry.len() + end > MAX_EVENT {
            return Some(Err(TooLong));
        }
        let piece = self.take(end + 1);
        self.carriage = piece[end] == b'\r';
        // The LF of a CR LF belongs to this line when it is already here.
        if self.carriage && self.piece.first() == Some(&b'\n') {
            self.take(1);
            self.carriage = false;
        }
        Some(Ok(if self.carry.is_empty() {
            piece.slice(..end)
        } else {
            self.carry.extend_from_slice(&piece[..end]);
            self.carry.split().freeze()
        }))
    }

    fn rest(&mut self) -> Bytes {
        let rest = self.take(self.piece.len());
        self.carry.extend_from_slice(&rest);
        self.carry.split().freeze()
    }

    fn take(&mut self, count: usize) -> Bytes {
        self.taken += count;
        self.piece.split_to(count)
    }
}

#[cfg(test)]
mod tests;
