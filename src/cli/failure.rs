//! Why a command did not do what was asked, and the exit status that says so.

use crate::config::ConfigError;
use std::io;

/// Why a command did not do what was asked.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Bad arguments or configuration.
    Usage(String),
    /// It could not be done.
    Failed(String),
    /// The gateway was stopped, and rows of the log are not in its file. It has said so itself.
    Incomplete,
    /// Whoever read the output has left, as `head` does. Not a failure of ours.
    Closed,
}

impl Failure {
    /// What to tell the user; `None` when there is nothing to tell.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Failed(message) => Some(message),
            Self::Incomplete | Self::Closed => None,
        }
    }

    /// The exit status: 64 for bad arguments or configuration, 1 for a failure, 3 for an incomplete log, 0 when only
    /// the reader left.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Failed(_) => 1,
            Self::Incomplete => 3,
            Self::Closed => 0,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Writing to stdout, the only input or output that commands leave unexplained.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(format!("cannot write the output: {error}")),
        }
    }
}
