//! What a client is told of an error beside the sentence: a status, a word, and when to come again.

use super::Error;
use http::StatusCode;
use std::time::Duration;

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
            | Self::Overloaded { .. }
            | Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::Stopped => "gateway_stopped",
            Self::Internal(_) => "internal_error",
        }
    }

    /// When the client may come again; `None` where that is not worth saying.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoMemory | Self::Stopped => Some(Duration::from_secs(1)),
            Self::Throttled { wait } => Some(*wait + Duration::from_secs(1)),
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Dead { .. } => {
                Some(Duration::from_secs(5))
            }
            Self::Overloaded { after, .. } | Self::Open { after, .. } => Some(*after),
            Self::AllFailed { last, .. } => last.retry_after(),
            _ => None,
        }
    }
}
