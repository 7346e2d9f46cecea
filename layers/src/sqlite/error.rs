//! Why a log cannot be opened.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// Why a log cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SqliteError {
    /// The file cannot be opened or is no database, or its schema cannot be brought up to date.
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A newer version of the program wrote the file.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its `user_version`.
        found: usize,
        /// The highest that this program knows.
        known: usize,
    },
    /// The writer's thread cannot be started.
    Thread(std::io::Error),
}

// === impl SqliteError ===

impl SqliteError {
    // For those who are shown the state of the log, but not where it is.
    pub(super) fn without_path(&self) -> String {
        match self {
            Self::Open { source, .. } => match source.sqlite_error() {
                Some(error) => format!("cannot open the log: {error}"),
                None => "cannot open the log".into(),
            },
            Self::Newer { .. } => "the log was written by a newer version".into(),
            Self::Thread(_) => self.to_string(),
        }
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, .. } => write!(f, "cannot open the log {}", path.display()),
            Self::Newer { path, found, known } => write!(
                f,
                "the log {} was written by a newer version: its schema is {found}, this \
                 program knows up to {known}",
                path.display()
            ),
            Self::Thread(_) => f.write_str("cannot start the thread that writes the log"),
        }
    }
}

impl Error for SqliteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open { source, .. } => Some(source),
            Self::Newer { .. } => None,
            Self::Thread(source) => Some(source),
        }
    }
}
