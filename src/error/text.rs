//! What each failure is told as: what happened, why, and what to do.

use super::Error;
use std::fmt;

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
            Self::Throttled { wait } => write!(
                f,
                "too many wrong keys came from this address; the next one is looked at in {} s",
                wait.as_secs() + 1
            ),
            Self::BodyTimeout { waited } => write!(
                f,
                "the request body did not come within {} s; send it faster, or raise server.body_idle_s \
                 or server.body_s",
                waited.as_secs_f32()
            ),
            Self::UriTooLong { limit } => {
                write!(f, "the request's path and query are longer than {limit} bytes")
            }
            Self::NoMemory => f.write_str(
                "no memory is free for another request body; try again in a moment, or raise \
                 server.max_buffered_mb",
            ),
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
            Self::Connect { upstream, why } | Self::ConnectTimeout { upstream, why } => {
                write!(f, "cannot reach {upstream} {why}")
            }
            Self::Open { upstream, after, last } => write!(
                f,
                "{last}; {upstream} keeps failing and is left alone for {} s",
                after.as_secs_f32().ceil().max(1.0)
            ),
            Self::Dead { upstream, waited } => write!(
                f,
                "{upstream} took the request and has stopped answering anything; given up after {:.1} s",
                waited.as_secs_f32()
            ),
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
            Self::TooMuch { upstream, limit, setting } => {
                write!(f, "the answer of {upstream} is longer than {limit} bytes ({setting})")
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
                let after = after.as_secs_f64().ceil().max(1.0);
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
