//! Which coding a body has, and its decoding in portions under a cap.

use super::zstd::Frames;
use crate::error::Error;
use bytes::{Buf, Bytes};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};
use std::io::{self, BufRead, Read};

/// Bytes read, or written, before others get their turn: well below a millisecond's work.
pub(super) const STEP: usize = 128 * 1024;

/// Most of a header's value that is repeated in an error.
const MAX_NAME: usize = 64;

/// A coding that is read here. Source: RFC 9110 8.4.1, RFC 8878 7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Gzip,
    /// The zlib format; what some call deflate without it is none.
    Deflate,
}

/// A body on its way to being decoded.
pub(super) struct Decoder {
    coding: Coding,
    source: Source,
    out: Out,
}

enum Source {
    Zstd(Box<Frames>),
    Gzip(Box<MultiGzDecoder<Portion>>),
    Deflate(Box<ZlibDecoder<Portion>>),
}

/// What was decoded so far; never more than the limit, nor room for it.
pub(super) struct Out {
    bytes: Vec<u8>,
    limit: usize,
}

/// Why a body cannot be decoded.
#[derive(Debug)]
pub(super) enum Stop {
    TooLarge,
    Corrupt(String),
}

/// A body of which no more than a portion is read at a time.
struct Portion {
    rest: Bytes,
    now: usize,
}

// === impl Coding ===

impl Coding {
    /// The coding that the header names; `None` when it names none.
    ///
    /// # Errors
    /// [`Error::UnsupportedEncoding`] for one that is not known, and for several on top of one another.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let mut found = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes());
            for name in text.split(',').map(str::trim) {
                let coding = match name.to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "zstd" => Self::Zstd,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(unsupported(&format!("{:?} is not read", cut(name)))),
                };
                if found.replace(coding).is_some() {
                    return Err(unsupported("the body is compressed more than once"));
                }
            }
        }
        Ok(found)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }
}

fn cut(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

fn unsupported(why: &str) -> Error {
    Error::UnsupportedEncoding(format!(
        "unsupported Content-Encoding: {why}; send zstd, gzip, deflate or an uncompressed body"
    ))
}

// === impl Decoder ===

impl Decoder {
    /// Decodes to at most `limit` bytes. Nothing happens before [`Decoder::step`].
    pub(super) fn new(coding: Coding, body: Bytes, limit: usize) -> Self {
        let portion = |rest| Portion { rest, now: 0 };
        let source = match coding {
            Coding::Zstd => Source::Zstd(Box::new(Frames::new(body))),
            Coding::Gzip => Source::Gzip(Box::new(MultiGzDecoder::new(portion(body)))),
            Coding::Deflate => Source::Deflate(Box::new(ZlibDecoder::new(portion(body)))),
        };
        Self { coding, source, out: Out { bytes: Vec::new(), limit } }
    }

    /// Goes on for a portion; whether that was the last.
    ///
    /// # Errors
    /// [`Error::DecodedTooLarge`] once there is more than the limit, [`Error::BadRequest`] for what is not in this
    /// coding, is broken, or ends too early. Nothing can be done with the decoder after that.
    pub(super) fn step(&mut self) -> Result<bool, Error> {
        let out = &mut self.out;
        let step = match &mut self.source {
            Source::Zstd(frames) => frames.step(out),
            Source::Gzip(reader) => {
                reader.get_mut().now = STEP;
                read(reader, out)
            }
            Source::Deflate(reader) => {
                reader.get_mut().now = STEP;
                read(reader, out).and_then(|done| match done {
                    true if !reader.get_ref().rest.is_empty() => {
                        Err(Stop::Corrupt("something follows its end".into()))
                    }
                    done => Ok(done),
                })
            }
        };
        step.map_err(|stop| match stop {
            Stop::TooLarge => Error::DecodedTooLarge { limit: self.out.limit },
            Stop::Corrupt(why) => Error::BadRequest(format!(
                "the request body is not the {} that its Content-Encoding says: {why}",
                self.coding.name()
            )),
        })
    }

    /// Bytes that came out so far.
    pub(super) fn written(&self) -> usize {
        self.out.len()
    }

    /// Bytes of memory held for what comes out.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.out.bytes.capacity()
    }

    /// What was decoded.
    pub(super) fn finish(self) -> Bytes {
        let mut bytes = self.out.bytes;
        // It is held for as long as the answer takes.
        bytes.shrink_to_fit();
        bytes.into()
    }
}

/// Reads until the portion or a step's worth of room is used up; whether the end was reached.
fn read(reader: &mut impl Read, out: &mut Out) -> Result<bool, Stop> {
    // One byte more than may be shows that there is one.
    let read = out.fill(STEP.min(out.room().saturating_add(1)), |room| reader.read(room));
    match read {
        Ok(_) if out.bytes.len() > out.limit => Err(Stop::TooLarge),
        Ok(count) => Ok(count == 0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(Stop::Corrupt(error.to_string())),
    }
}

// === impl Out ===

impl Out {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How much may still come.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
    }

    /// Appends what `read` writes into `count` bytes of room.
    pub(super) fn fill(
        &mut self,
        count: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let was = self.bytes.len();
        let needed = was + count;
        if needed > self.bytes.capacity() {
            // Doubled, as a vector would, but not beyond the limit.
            let size = (self.bytes.capacity() * 2).min(self.limit).max(needed);
            self.bytes.reserve_exact(size - was);
        }
        self.bytes.resize(needed, 0);
        let read = read(&mut self.bytes[was..]);
        self.bytes.truncate(was + read.as_ref().map_or(0, |count| *count));
        read
    }
}

// === impl Portion ===

impl BufRead for Portion {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.now == 0 && !self.rest.is_empty() {
            // The decoders take this for what it is: they go on where they were.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.rest[..self.now.min(self.rest.len())])
    }

    fn consume(&mut self, count: usize) {
        self.rest.advance(count);
        self.now -= count;
    }
}

impl Read for Portion {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
