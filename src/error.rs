//! The short list of what can go wrong, each with its status, its code, and whether another try is worth it.
//!
//! A message says what happened, why, and what to do, in one sentence. It never holds a prompt or a
//! credential. Who renders it for a client is the client's dialect.

use http::StatusCode;
use std::{fmt, sync::Arc, time::Duration};

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
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::ModelNotFound(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::TooLarge { .. } | Self::DecodedTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Connect { .. } | Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken { .. }
            | Self::Incomplete { .. }
            | Self::NotUnderstood { .. }
            | Self::NoCall { .. } => StatusCode::BAD_GATEWAY,
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
            Self::Forbidden(_) => "forbidden",
            Self::ModelNotFound(_) => "model_not_found",
            Self::NotFound(_) => "not_found",
            Self::TooLarge { .. } | Self::DecodedTooLarge { .. } => "request_too_large",
            Self::UnsupportedEncoding(_) => "unsupported_encoding",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::Unsupported(_) => "unsupported",
            Self::Connect { .. } => "upstream_unavailable",
            Self::Broken { .. } => "upstream_broken",
            Self::Incomplete { .. } => "upstream_incomplete",
            Self::Reported { .. } => "upstream_error",
            Self::NotUnderstood { .. } => "upstream_not_understood",
            Self::NoCall { .. } => "no_function_call",
            Self::FirstByteTimeout { .. } => "first_byte_timeout",
            Self::Idle { .. } => "idle_timeout",
            Self::TotalTimeout { .. } => "total_timeout",
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
            | Self::Forbidden(_)
            | Self::ModelNotFound(_)
            | Self::NotFound(_)
            | Self::TooLarge { .. }
            | Self::DecodedTooLarge { .. }
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
            | Self::FirstByteTimeout { .. }
            | Self::Idle { .. }
            | Self::TotalTimeout { .. }
            | Self::Overloaded { .. } => Again::NextTarget,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::BadRequest(_)
            | Self::Untranslatable { .. }
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::ModelNotFound(_)
            | Self::NotFound(_)
            | Self::TooLarge { .. }
            | Self::DecodedTooLarge { .. }
            | Self::UnsupportedEncoding(_)
            | Self::MethodNotAllowed(_)
            | Self::Unsupported(_) => Fault::Client,
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Incomplete { .. }
            | Self::Reported { .. }
            | Self::NotUnderstood { .. }
            | Self::NoCall { .. }
            | Self::FirstByteTimeout { .. }
            | Self::Idle { .. }
            | Self::TotalTimeout { .. }
            | Self::AllFailed { .. } => Fault::Upstream,
            Self::Overloaded { .. } | Self::Loop { .. } | Self::Internal(_) => Fault::Gateway,
        }
    }

    /// When the client may come again; `None` where that is not worth saying.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { after, .. } => Some(*after),
            Self::Connect { .. } => Some(Duration::from_secs(5)),
            Self::AllFailed { last, .. } => last.retry_after(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(text)
            | Self::Unauthorized(text)
            | Self::Forbidden(text)
            | Self::ModelNotFound(text)
            | Self::NotFound(text)
            | Self::UnsupportedEncoding(text)
            | Self::MethodNotAllowed(text)
            | Self::Unsupported(text) => f.write_str(text),
            Self::Internal(text) => write!(f, "internal error: {text}"),
            Self::Untranslatable { what, to, why } => {
                write!(f, "cannot send {what:?} to a model that speaks {to}: {why}")
            }
            Self::TooLarge { limit } => write!(
                f,
                "the request body is larger than {limit} bytes, the most that can be translated; \
                 raise server.max_body_bytes"
            ),
            Self::DecodedTooLarge { limit } => write!(
                f,
                "the request body is larger than {limit} bytes once it is decompressed, the most that is \
                 read; send less or raise server.max_body_bytes"
            ),
            Self::Connect { upstream, why } => write!(f, "cannot reach {upstream} {why}"),
            Self::Broken { upstream, why } => {
                write!(f, "the connection to {upstream} broke: {why}")
            }
            Self::Incomplete { upstream } => {
                write!(f, "{upstream} ended its answer before it was complete")
            }
            Self::Reported { message, .. } => f.write_str(message),
            Self::NotUnderstood { upstream, why } => {
                write!(f, "{upstream} did not answer in its own dialect: {why}")
            }
            Self::NoCall { upstream, why } => write!(f, "{upstream}: {why}"),
            Self::FirstByteTimeout { upstream, waited } => write!(
                f,
                "no answer from {upstream} within {} s; the model may still be loading. \
                 Raise upstream.{upstream}.first_byte_s or load the model first",
                waited.as_secs_f32()
            ),
            Self::Idle { upstream, waited } => {
                write!(f, "nothing came from {upstream} for {} s", waited.as_secs_f32())
            }
            Self::TotalTimeout { upstream, waited } => write!(
                f,
                "the answer of {upstream} took longer than {} s (upstream.{upstream}.total_s)",
                waited.as_secs_f32()
            ),
            Self::Overloaded { upstream, limit, queued, waited, after } => {
                match (waited.is_zero(), limit) {
                    (true, 0) => write!(f, "{queued} requests wait for {upstream} already")?,
                    (true, _) => write!(
                        f,
                        "{limit} requests are in flight to {upstream}, which is the limit, and {queued} wait"
                    )?,
                    (false, _) => write!(
                        f,
                        "no place among the requests to {upstream} within {:.1} s (upstream.{upstream}.queue_s)",
                        waited.as_secs_f32()
                    )?,
                }
                let after = after.as_secs().max(1);
                write!(f, "; judging by how long answers take, there may be one in {after} s")
            }
            Self::Loop { upstream } => write!(
                f,
                "upstream {upstream:?} points back to this gateway; set upstream.{upstream}.url"
            ),
            Self::AllFailed { attempts, .. } => {
                write!(f, "all {} attempts failed: {}", attempts.len(), attempts.join("; "))
            }
        }
    }
}

impl std::error::Error for Error {}
