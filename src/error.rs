//! The short list of what can go wrong, each with its status, its code, and whether another try is worth it.
//!
//! A message says what happened, why, and what to do, in one sentence. It never holds a prompt or a
//! credential. Who renders it for a client is the client's dialect.

mod text;

use http::StatusCode;
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
    /// A defect of ours.
    Internal(String),
}

/// Whether, and where, another attempt is worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Another attempt cannot help, or would repeat what the client did wrong.
    Never,
    /// The same target may well answer.
    SameTarget,
    /// Only another target can answer.
    NextTarget,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client's.
    Client,
    /// The upstream's.
    Upstream,
    /// Ours.
    Gateway,
}

impl Error {
    /// The status a client sees.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::Untranslatable { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::ModelNotFound(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::TooLarge { .. } | Self::DecodedTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::UnsupportedEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Open { .. }
            | Self::Dead { .. }
            | Self::NoMemory
            | Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken { .. }
            | Self::Incomplete { .. }
            | Self::NotUnderstood { .. }
            | Self::NoCall { .. }
            | Self::TooMuch { .. } => StatusCode::BAD_GATEWAY,
            Self::Reported { .. } | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::FirstByteTimeout { .. } | Self::Idle { .. } | Self::TotalTimeout { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Loop { .. } => StatusCode::LOOP_DETECTED,
            Self::AllFailed { last, .. } => last.status(),
        }
    }

    /// A stable `snake_case` word for logs and clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "invalid_request",
            Self::Untranslatable { .. } => "unsupported_by_target",
            Self::Unauthorized(_) => "invalid_api_key",
            Self::Throttled { .. } => "too_many_failures",
            Self::Forbidden(_) => "forbidden",
            Self::ModelNotFound(_) => "model_not_found",
            Self::NotFound(_) => "not_found",
            Self::TooLarge { .. } | Self::DecodedTooLarge { .. } => "request_too_large",
            Self::BodyTimeout { .. } => "request_timeout",
            Self::UriTooLong { .. } => "uri_too_long",
            Self::NoMemory => "out_of_memory",
            Self::UnsupportedEncoding(_) => "unsupported_encoding",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Unsupported(_) => "unsupported",
            Self::Connect { .. } | Self::ConnectTimeout { .. } => "upstream_unavailable",
            Self::Open { .. } => "upstream_left_alone",
            Self::Dead { .. } => "upstream_dead",
            Self::Broken { .. } => "upstream_broken",
            Self::Incomplete { .. } => "upstream_incomplete",
            Self::Reported { .. } => "upstream_error",
            Self::NotUnderstood { .. } => "upstream_not_understood",
            Self::NoCall { .. } => "no_function_call",
            Self::FirstByteTimeout { .. } => "first_byte_timeout",
            Self::Idle { .. } => "idle_timeout",
            Self::TotalTimeout { .. } => "total_timeout",
            Self::TooMuch { .. } => "answer_too_large",
            Self::Overloaded { .. } => "overloaded",
            Self::Loop { .. } => "loop_detected",
            Self::AllFailed { .. } => "all_attempts_failed",
            Self::Internal(_) => "internal_error",
        }
    }

    /// Whether another attempt is worth it, and where.
    pub fn again(&self) -> Again {
        match self {
            Self::BadRequest(_)
            | Self::Unauthorized(_)
            | Self::Throttled { .. }
            | Self::Forbidden(_)
            | Self::ModelNotFound(_)
            | Self::NotFound(_)
            | Self::TooLarge { .. }
            | Self::DecodedTooLarge { .. }
            | Self::BodyTimeout { .. }
            | Self::UriTooLong { .. }
            | Self::NoMemory
            | Self::UnsupportedEncoding(_)
            | Self::MethodNotAllowed(_)
            | Self::Loop { .. }
            | Self::AllFailed { .. }
            | Self::Internal(_) => Again::Never,
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Incomplete { .. }
            | Self::Reported { .. }
            | Self::NoCall { .. } => Again::SameTarget,
            Self::Untranslatable { .. }
            | Self::Unsupported(_)
            | Self::NotUnderstood { .. }
            | Self::ConnectTimeout { .. }
            | Self::Open { .. }
            | Self::Dead { .. }
            | Self::FirstByteTimeout { .. }
            | Self::Idle { .. }
            | Self::TotalTimeout { .. }
            | Self::TooMuch { .. }
            | Self::Overloaded { .. } => Again::NextTarget,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::BadRequest(_)
            | Self::Untranslatable { .. }
            | Self::Unauthorized(_)
            | Self::Throttled { .. }
            | Self::Forbidden(_)
            | Self::ModelNotFound(_)
            | Self::NotFound(_)
            | Self::TooLarge { .. }
            | Self::DecodedTooLarge { .. }
            | Self::BodyTimeout { .. }
            | Self::UriTooLong { .. }
            | Self::UnsupportedEncoding(_)
            | Self::MethodNotAllowed(_)
            | Self::Unsupported(_) => Fault::Client,
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Open { .. }
            | Self::Dead { .. }
            | Self::Broken { .. }
            | Self::Incomplete { .. }
            | Self::Reported { .. }
            | Self::NotUnderstood { .. }
            | Self::NoCall { .. }
            | Self::FirstByteTimeout { .. }
            | Self::Idle { .. }
            | Self::TotalTimeout { .. }
            | Self::TooMuch { .. }
            | Self::AllFailed { .. } => Fault::Upstream,
            Self::Overloaded { .. } | Self::NoMemory | Self::Loop { .. } | Self::Internal(_) => {
                Fault::Gateway
            }
        }
    }

    /// When the client may come again; `None` where that is not worth saying.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { after, .. } => Some(*after),
            Self::NoMemory => Some(Duration::from_secs(1)),
            Self::Throttled { wait } => Some(*wait + Duration::from_secs(1)),
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Dead { .. } => {
                Some(Duration::from_secs(5))
            }
            Self::Open { after, .. } => Some(*after),
            Self::AllFailed { last, .. } => last.retry_after(),
            _ => None,
        }
    }

    /// Whether a client that tries again by itself would only multiply what was tried here already.
    ///
    /// Not where there is a time at which it may come again: that is what it is told then.
    pub fn is_spent(&self) -> bool {
        match self {
            Self::AllFailed { .. } | Self::Loop { .. } => true,
            _ => self.fault() == Fault::Upstream && self.retry_after().is_none(),
        }
    }
}

impl std::error::Error for Error {}
