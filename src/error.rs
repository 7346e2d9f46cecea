//! The short list of what can go wrong, each with its status, its code, and whether another try is worth it.
//!
//! A message says what happened, why, and what to do, in one sentence. It never holds a prompt or a
//! credential. Who renders it for a client is the client's dialect.

mod text;
mod told;
mod worth;

pub use self::worth::{Again, Fault};

use std::{sync::Arc, time::Duration};

/// What can go wrong between a client's request and an upstream's answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The body is not JSON, or not the JSON this operation takes. The text says where and what was expected.
    BadRequest(String),
    /// A field that would have to be dropped silently to reach this target.
    Untranslatable {
        /// The field or feature, as the client wrote it.
        what: String,
        /// The dialect that cannot say it.
        to: &'static str,
        /// Why, and what would work.
        why: String,
    },
    /// No key, or a wrong one.
    Unauthorized(String),
    /// Too many wrong keys came from this address.
    Throttled {
        /// How long none from there will be looked at.
        wait: Duration,
    },
    /// A host, an origin, or an operation that this listener does not allow.
    Forbidden(String),
    /// Neither an upstream nor an alias knows the model.
    ModelNotFound(String),
    /// Nothing is at this path.
    NotFound(String),
    /// The body is larger than what must be read whole.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body, decompressed, is larger than what is read whole.
    DecodedTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body kept the gateway waiting.
    BodyTimeout {
        /// How long was waited.
        waited: Duration,
    },
    /// The path and query are longer than any route takes.
    UriTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Request bodies take all the memory that they may, or the program nearly all that the system allows it.
    NoMemory,
    /// The body is compressed in a way that is not read.
    UnsupportedEncoding(String),
    /// The route exists but not with this method.
    MethodNotAllowed(String),
    /// No upstream can do this operation.
    Unsupported(String),
    /// No connection to the upstream.
    Connect {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// The address, and the reason as the system gave it.
        why: String,
    },
    /// No connection to the upstream within the time for it: another try would take as long.
    ConnectTimeout {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// The address, and how long was waited.
        why: String,
    },
    /// The upstream has failed so often that it is left alone for a while.
    Open {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// How long, from now.
        after: Duration,
        /// The last failure, in a sentence.
        last: Arc<str>,
    },
    /// The upstream took the request and then stopped to answer anything.
    Dead {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// How long was waited.
        waited: Duration,
    },
    /// The connection broke, or what came was not HTTP.
    Broken {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// How it broke.
        why: String,
    },
    /// The answer ended before its dialect's terminal.
    Incomplete {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
    },
    /// The upstream reported a failure inside a successful answer.
    Reported {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// The upstream's own words.
        message: String,
    },
    /// The upstream answered with something that is not in its dialect (an HTML page, say).
    NotUnderstood {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// What came instead.
        why: String,
    },
    /// The model was to call a function, and did not.
    NoCall {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// What came instead.
        why: String,
    },
    /// Nothing meaningful came in time.
    FirstByteTimeout {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// How long was waited.
        waited: Duration,
    },
    /// A stream fell silent.
    Idle {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// How long was waited.
        waited: Duration,
    },
    /// The answer as a whole took too long.
    TotalTimeout {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// How long was waited.
        waited: Duration,
    },
    /// The answer is longer than it may be.
    TooMuch {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// The limit, in bytes.
        limit: usize,
        /// The key of the configuration that sets it.
        setting: &'static str,
    },
    /// The upstream has as many requests in flight as it may, and as many wait, or this one has waited long enough.
    Overloaded {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
        /// The requests in flight that it may have; 0: it was not that limit.
        limit: usize,
        /// How many wait.
        queued: usize,
        /// How long this one has waited; zero: there was no room to wait.
        waited: Duration,
        /// When there is likely to be a place, judged by how long answers took so far.
        after: Duration,
    },
    /// The upstream is this gateway.
    Loop {
        /// The upstream's name in the configuration.
        upstream: Arc<str>,
    },
    /// Every attempt failed.
    AllFailed {
        /// One line an attempt: target and reason.
        attempts: Arc<[String]>,
        /// The error of the last one, which gives the status.
        last: Box<Self>,
    },
    /// The gateway is being stopped, and waits for nobody any longer.
    Stopped,
    /// A defect of ours.
    Internal(String),
}

impl std::error::Error for Error {}
