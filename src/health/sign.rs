//! What an answer, or the lack of one, says of the upstream.

use super::Kind;
use crate::error::Error;
use http::StatusCode;
use std::sync::Arc;

/// What a result says of whoever was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nothing: it was not asked, or it is not its fault.
    Nothing,
    /// It is there.
    Alive,
    /// It failed once.
    Failed(Arc<str>),
    /// It is certainly not there.
    Gone(Arc<str>),
}

/// Reads a result.
pub(super) fn read(upstream: &str, kind: Kind, result: Result<StatusCode, &Error>) -> Sign {
    match result {
        Ok(status) if kind == Kind::Cloud && fails(status) => {
            Sign::Failed(format!("{upstream} answered with status {}", status.as_u16()).into())
        }
        Ok(_) => Sign::Alive,
        Err(error) => read_error(kind, error),
    }
}

fn read_error(kind: Kind, error: &Error) -> Sign {
    let failed = || Sign::Failed(error.to_string().into());
    match error {
        Error::Dead { .. } => Sign::Gone(error.to_string().into()),
        Error::Connect { .. } | Error::ConnectTimeout { .. } => failed(),
        Error::Broken { .. }
        | Error::Incomplete { .. }
        | Error::FirstByteTimeout { .. }
        | Error::TotalTimeout { .. } => match kind {
            Kind::Cloud => failed(),
            // A runner that crashed, a model that takes long: the machine is there.
            Kind::Local | Kind::Off => Sign::Nothing,
        },
        // Something came, and was read.
        Error::Reported { .. }
        | Error::NoCall { .. }
        | Error::NotUnderstood { .. }
        | Error::Idle { .. } => match kind {
            Kind::Local => Sign::Alive,
            Kind::Cloud | Kind::Off => Sign::Nothing,
        },
        _ => Sign::Nothing,
    }
}

/// Whether a status is the machine's own failure. 429 is none, nor is 501.
fn fails(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504 | 529)
}
