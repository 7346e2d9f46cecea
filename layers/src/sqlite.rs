//! Rows in an SQLite file: a bounded queue, one thread, batched transactions, for any row that knows its table.
//!
//! ```
//! use std::time::Duration;
//! use unigate_layers::sqlite::{Row, SqliteLog, SqliteOptions};
//!
//! struct Line(String);
//!
//! impl Row for Line {
//!     const MIGRATIONS: &'static [&'static str] = &["CREATE TABLE lines (line TEXT NOT NULL) STRICT"];
//!     const INSERT: &'static str = "INSERT INTO lines (line) VALUES (?1)";
//!
//!     fn bind(&self, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<usize> {
//!         statement.execute([&self.0])
//!     }
//! }
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("log.db");
//! let log = SqliteLog::open(&path, SqliteOptions::default())?;
//! log.push(Line("hello".to_owned()));
//! assert_eq!(log.close(Duration::from_secs(5)), 0);
//! # Ok::<_, unigate_layers::sqlite::SqliteError>(())
//! ```

mod http_row;
mod writer;

pub use http_row::{HttpExchange, HttpRow};

use rusqlite::Statement;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use writer::Writer;

/// A row that knows its table.
pub trait Row: Send + 'static {
    /// The schema, as steps: step *n* takes a file from `user_version` *n* to *n* + 1. Only ever append. All
    /// missing steps run in one transaction when the file is opened.
    const MIGRATIONS: &'static [&'static str];

    /// The statement that [`bind`](Self::bind) executes.
    const INSERT: &'static str;

    /// Deletes what is older than `?1`, milliseconds since 1970, a few thousand rows at most: it is run until
    /// nothing is left. Default: empty, rows have no age.
    const PRUNE_OLDER: &'static str = "";

    /// Deletes the oldest `?1` rows. Default: empty, the file may grow.
    const PRUNE_OLDEST: &'static str = "";

    /// Executes the statement with this row's values.
    ///
    /// # Errors
    /// Whatever the statement says. A full disk or a locked file is tried again; a row that
    /// the table refuses is left out and counted.
    fn bind(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize>;
}

/// A log in an SQLite file. Clones write to the same file through the same queue.
///
/// Writing never waits: a row that finds the queue full is dropped and counted. While the file cannot be
/// written (disk full, locked, gone), rows are kept as long as the queue has room, and the write is tried
/// again after 100 ms, then less and less often, down to every 5 s.
/// Others may read the file meanwhile (WAL). When the last clone is dropped, what is queued is still
/// written, in the background; [`close`](Self::close) waits for it.
pub struct SqliteLog<R> {
    queue: SyncSender<Message<R>>,
    shared: Arc<Shared>,
}

/// How [`SqliteLog`] writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SqliteOptions {
    /// Rows that may wait. Default 8192, at least 1.
    pub queue: usize,
    /// Rows in a transaction. Default 512, at least 1; a smaller batch is written after 5 ms.
    pub batch: usize,
    /// Rows older than this go, by [`Row::PRUNE_OLDER`]. Default: none go.
    pub max_age: Option<Duration>,
    /// Above this size in bytes the oldest rows go, by [`Row::PRUNE_OLDEST`]. Default: the file may grow.
    pub max_bytes: Option<u64>,
}

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

enum Message<R> {
    // Boxed: the queue makes room for every row it may hold, and touches all of it at the start.
    Row(Box<R>),
    // Look at the flags.
    Wake,
}

#[derive(Default)]
struct Shared {
    // Taken into the queue; written; refused by the table. Each only grows.
    accepted: AtomicU64,
    written: AtomicU64,
    rejected: AtomicU64,
    // Not taken into the queue.
    overflowed: AtomicU64,
    // No more rows: write what is there and end.
    closing: AtomicBool,
    // The deadline of `close` is over: end at once.
    abandoned: AtomicBool,
    state: Mutex<State>,
    // Rang when a batch is done, at the end, and when a flag was set.
    bell: Condvar,
}

#[derive(Default)]
struct State {
    finished: bool,
    failing: Option<String>,
}

// === impl SqliteLog ===

impl<R: Row> SqliteLog<R> {
    /// Opens or creates the file, for its owner alone, and brings its schema up to date. The folder must exist.
    ///
    /// # Errors
    /// If the file cannot be opened or written, is no database, or was written by a newer version.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, SqliteError> {
        let (queue, rows) = sync_channel(options.queue.max(1));
        let shared = Arc::new(Shared::default());
        let writer = Writer::open(path.to_owned(), options, rows, Arc::clone(&shared))?;
        std::thread::Builder::new()
            .name("sqlite-log".to_owned())
            .spawn(move || writer.run())
            .map_err(SqliteError::Thread)?;
        Ok(Self { queue, shared })
    }

    /// Queues a row; drops and counts it if the queue is full or the log is closed. Never blocks.
    pub fn push(&self, row: R) {
        if self.shared.closing.load(Ordering::Acquire) {
            self.shared.overflowed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Counted first: the writer must not be ahead of the count.
        self.shared.accepted.fetch_add(1, Ordering::AcqRel);
        match self.queue.try_send(Message::Row(Box::new(row))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.accepted.fetch_sub(1, Ordering::AcqRel);
                self.shared.overflowed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Rows that will never be in the file: the queue was full, the log was closed, or the table refused them.
    pub fn dropped(&self) -> u64 {
        self.shared.overflowed.load(Ordering::Relaxed)
            + self.shared.rejected.load(Ordering::Relaxed)
    }

    /// Rows that are in the file.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Rows that wait to be written.
    pub fn waiting(&self) -> u64 {
        self.shared.waiting()
    }

    /// Why rows cannot be written at present. `None`: they can.
    pub fn failing(&self) -> Option<String> {
        self.shared.lock().failing.clone()
    }

    /// Waits until everything that was pushed before is in the file, at most this long. Blocks the thread:
    /// in async code call it from `spawn_blocking`. Returns whether it is.
    pub fn flush(&self, deadline: Duration) -> bool {
        let target = self.shared.accepted.load(Ordering::Acquire);
        self.shared.wait(deadline, |shared, state| state.finished || shared.done() >= target);
        self.shared.done() >= target
    }

    /// Takes no more rows, writes what is queued and moves everything into the main file, at most this
    /// long. Blocks the thread: in async code call it from `spawn_blocking`. Returns how many rows were lost, 0 if all is well.
    /// A second call waits likewise.
    pub fn close(&self, deadline: Duration) -> usize {
        self.shared.closing.store(true, Ordering::Release);
        // A full queue needs no bell: its reader is awake.
        let _ = self.queue.try_send(Message::Wake);
        self.shared.ring();
        if !self.shared.wait(deadline, |_, state| state.finished) {
            self.shared.abandoned.store(true, Ordering::Release);
            self.shared.ring();
        }
        usize::try_from(self.shared.waiting()).unwrap_or(usize::MAX)
    }
}

impl<R> Clone for SqliteLog<R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<R> fmt::Debug for SqliteLog<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteLog")
            .field("written", &self.shared.written)
            .field("waiting", &self.shared.waiting())
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self) -> u64 {
        self.written.load(Ordering::Acquire) + self.rejected.load(Ordering::Acquire)
    }

    fn waiting(&self) -> u64 {
        self.accepted.load(Ordering::Acquire).saturating_sub(self.done())
    }

    // Under the lock, so that no one who just looked misses it.
    fn ring(&self) {
        drop(self.lock());
        self.bell.notify_all();
    }

    // Whether it became true in time.
    fn wait(&self, limit: Duration, until: impl Fn(&Self, &State) -> bool) -> bool {
        let end = Instant::now().checked_add(limit);
        let mut state = self.lock();
        loop {
            if until(self, &state) {
                return true;
            }
            let left = end.map_or(Duration::from_secs(3600), |end| {
                end.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            state = self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

// === impl SqliteOptions ===

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { queue: 8192, batch: 512, max_age: None, max_bytes: None }
    }
}

// === impl SqliteError ===

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

#[cfg(test)]
mod tests;
