//! Rows in an SQLite file: a bounded queue, one thread, batched transactions, for any row that knows its table.
//!
//! ```
//! use std::time::Duration;
//! use unigate_layers::sqlite::{Row, SqliteLog, SqliteOptions, Values};
//!
//! struct Line(String);
//!
//! impl Row for Line {
//!     const MIGRATIONS: &'static [&'static str] = &["CREATE TABLE lines (line TEXT NOT NULL) STRICT"];
//!     const INSERT: &'static str = "INSERT INTO lines (line) VALUES (?1)";
//!
//!     fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
//!         values.add(&[&self.0])
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

mod checkpoint;
mod error;
mod file;
mod http_row;
mod judge;
mod options;
mod queue;
mod row;
mod running;
mod shared;
mod spool;
mod state;
mod tidy;
mod values;
mod writer;

// What the queue is made of: the tests put a model's own in its place.
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
}

pub use error::SqliteError;
pub use http_row::{HttpExchange, HttpRow};
pub use options::SqliteOptions;
pub use row::{Begun, Row, Told};
pub use state::{Failing, SqliteState};
pub use values::Values;

use queue::Refused;
use shared::{Entry, Message, Shared};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use writer::Writer;

/// A log in an SQLite file. Clones write to the same file through the same queue.
///
/// Writing never waits: a row that finds the queue full is dropped and counted. Rows are in the file a few
/// milliseconds later, and then survive a crash of the process.
///
/// While the file cannot be written (disk full, locked, gone), rows go to a second file beside it, `<path>.spool`, and
/// from there into the database once it can be written again, or at the next start; the write is tried again after
/// 100 ms, then less and less often, down to every 5 s. Where the spool cannot be written either, rows are kept as long
/// as the queue has room. A database that was deleted while it was open is begun anew, one that is corrupt is set aside
/// as `<path>.corrupt-<milliseconds since 1970>`; both are told.
///
/// Others may read the file meanwhile (WAL). When the last clone is dropped, what is queued is still
/// written, in the background; [`close`](Self::close) waits for it.
pub struct SqliteLog<R: Row> {
    handle: Arc<Handle<R>>,
}

// The last one that is dropped closes the log.
struct Handle<R: Row>(Arc<Shared<R>>);

// === impl SqliteLog ===

impl<R: Row> SqliteLog<R> {
    /// Opens or creates the file, for its owner alone, and brings its schema up to date. The folder must exist.
    ///
    /// # Errors
    /// If the file cannot be opened or written, is no database, or was written by a newer version.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, SqliteError> {
        let shared = Arc::new(Shared::new(&options));
        let mut writer = Writer::new(path.to_owned(), options, Arc::clone(&shared));
        writer.open(true)?;
        Self::spawn(writer, shared)
    }

    /// The same, but a file that cannot be opened now is an outage like a later one: rows are spooled, and it is tried
    /// again. [`state`](Self::state) says what is wrong, and a warning does.
    ///
    /// # Errors
    /// Only [`SqliteError::Thread`].
    pub fn start(path: &Path, options: SqliteOptions) -> Result<Self, SqliteError> {
        let shared = Arc::new(Shared::new(&options));
        let mut writer = Writer::new(path.to_owned(), options, Arc::clone(&shared));
        if let Err(error) = writer.open(true) {
            writer.failed(&error);
        }
        Self::spawn(writer, shared)
    }

    fn spawn(writer: Writer<R>, shared: Arc<Shared<R>>) -> Result<Self, SqliteError> {
        std::thread::Builder::new()
            .name("sqlite-log".to_owned())
            .spawn(move || writer.run())
            .map_err(SqliteError::Thread)?;
        Ok(Self { handle: Arc::new(Handle(shared)) })
    }

    /// Queues a row; drops and counts it if the queue is full or the log is closed. Never blocks.
    pub fn push(&self, row: R) {
        self.end(None, row, None);
    }

    /// Notes that a row has begun. If it takes longer than 250 ms it is written as open, so that a crash leaves a trace
    /// of it; until then it costs no more than this call. Returns the ticket that [`end`](Self::end) takes. Whoever
    /// gave `begun` keeps it until then: when only the log has it, its row is taken for lost.
    pub fn begin(&self, begun: Arc<dyn Begun>) -> u64 {
        let ticket = self.shared().tickets.fetch_add(1, Ordering::Relaxed);
        self.shared().queue.hint(Message::Begun(ticket, begun));
        ticket
    }

    /// Queues a row as [`push`](Self::push) does: the whole of what was begun with this ticket. `told` learns when it is
    /// safe.
    pub fn end(&self, ticket: Option<u64>, row: R, told: Option<Told>) {
        let shared = self.shared();
        let bytes = size_of::<Entry<R>>() + row.size();
        // Counted first: the writer must not be ahead of the count.
        shared.accepted.fetch_add(1, Ordering::AcqRel);
        let entry = Box::new(Entry { row, bytes, ticket, told });
        if let Err(refused) = shared.queue.push(Message::Row(entry), bytes) {
            shared.accepted.fetch_sub(1, Ordering::AcqRel);
            let count = match refused {
                Refused::Full => &shared.overflowed,
                Refused::Closed => &shared.late,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Rows that will never be in the file: the queue was full, the log was closed, the table refused them, or they
    /// had to be given up.
    pub fn dropped(&self) -> u64 {
        self.shared().dropped()
    }

    /// Rows that are in the file.
    pub fn written(&self) -> u64 {
        self.shared().written.load(Ordering::Acquire)
    }

    /// Rows that wait to be written, in memory.
    pub fn waiting(&self) -> u64 {
        self.shared().waiting()
    }

    /// Why rows cannot be written at present. `None`: they can.
    pub fn failing(&self) -> Option<String> {
        self.shared().lock().failing.as_ref().map(|failing| failing.why.clone())
    }

    /// Everything that can be said of it now.
    pub fn state(&self) -> SqliteState {
        let shared = self.shared();
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        let (queued, queued_bytes) = shared.queue.load();
        SqliteState {
            written: read(&shared.written),
            queued: queued as u64,
            queued_bytes: queued_bytes as u64,
            spooled: read(&shared.spooled),
            spool_bytes: read(&shared.spool_bytes),
            overflowed: read(&shared.overflowed),
            late: read(&shared.late),
            rejected: read(&shared.rejected),
            abandoned: read(&shared.abandoned),
            running: read(&shared.running),
            replaced: read(&shared.replaced),
            failing: shared.lock().failing.clone(),
        }
    }

    /// Waits until everything that was pushed before is in the file, at most this long. Blocks the thread:
    /// in async code call it from `spawn_blocking`. Returns whether it is.
    pub fn flush(&self, deadline: Duration) -> bool {
        let shared = self.shared();
        let target = shared.accepted.load(Ordering::Acquire);
        shared.wait(deadline, |shared, state| state.finished || shared.done() >= target);
        shared.done() >= target
    }

    /// Takes no more rows, writes what is queued and moves everything into the main file, at most this
    /// long. Blocks the thread: in async code call it from `spawn_blocking`. Returns how many rows are neither in the
    /// file nor in the spool, 0 if all is well. A second call waits likewise.
    pub fn close(&self, deadline: Duration) -> usize {
        let shared = self.shared();
        shared.queue.close();
        if !shared.wait(deadline, |_, state| state.finished) {
            shared.give_up.store(true, Ordering::Release);
            shared.ring();
        }
        let abandoned = shared.abandoned.load(Ordering::Acquire);
        usize::try_from(shared.waiting() + abandoned).unwrap_or(usize::MAX)
    }

    fn shared(&self) -> &Shared<R> {
        &self.handle.0
    }
}

impl<R: Row> Drop for Handle<R> {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

impl<R: Row> Clone for SqliteLog<R> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<R: Row> fmt::Debug for SqliteLog<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteLog")
            .field("written", &self.written())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
