//! Whose fault an error is, and whether another try is worth it.

use super::Error;

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
            | Self::Stopped
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
            Self::Overloaded { .. }
            | Self::NoMemory
            | Self::Loop { .. }
            | Self::Stopped
            | Self::Internal(_) => Fault::Gateway,
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
