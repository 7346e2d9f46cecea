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
mod file;
mod http_row;
mod queue;
mod running;
mod spool;
mod tidy;
mod values;
mod writer;

// What the queue is made of: the tests put a model's own in its place.
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
}

pub use http_row::{HttpExchange, HttpRow};
pub use values::Values;

use queue::{Queue, Refused};
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use writer::Writer;

/// A row that knows its table.
pub trait Row: Send + 'static {
    /// The schema, as steps: step *n* takes a file from `user_version` *n* to *n* + 1. Only ever append. All
    /// missing steps run in one transaction when the file is opened.
    const MIGRATIONS: &'static [&'static str];

    /// The statement whose parameters [`bind`](Self::bind) gives. Rows that were spooled may come twice, after a
    /// crash: a table with a primary key of its own and `INSERT OR REPLACE` makes them one.
    const INSERT: &'static str;

    /// Deletes what is older than `?1`, milliseconds since 1970, `?2` rows at most: it is run until nothing is left.
    /// Default: empty, rows have no age.
    const PRUNE_OLDER: &'static str = "";

    /// Deletes the oldest `?1` rows. Default: empty, the file may grow.
    const PRUNE_OLDEST: &'static str = "";

    /// Writes an open row, for what has begun and takes long: `?1` is this process, `?2` the row's ticket, the rest
    /// is [`Begun::bind`]'s. Default: empty, there are none.
    const OPEN: &'static str = "";

    /// Deletes the open row of process `?1` and ticket `?2`.
    const CLOSE: &'static str = "";

    /// What becomes of open rows that are not process `?1`'s, when no other process uses the file any more: they were
    /// left by a crash. Run when the file is opened, one after the other; done twice they must do no harm.
    const RECOVER: &'static [&'static str] = &[];

    /// Gives this row's values, in the order of the statement's parameters.
    ///
    /// # Errors
    /// Whatever `values` says.
    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()>;

    /// Bytes that the row keeps beside its own size: its texts. Default 0.
    fn size(&self) -> usize {
        0
    }
}

/// What is known of a row that is not whole yet.
pub trait Begun: Send + Sync + 'static {
    /// Gives the values of its open row, as they are now.
    ///
    /// # Errors
    /// Whatever `values` says.
    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()>;
}

/// Called when a row is where a crash of the process cannot reach it (`true`), or was given up (`false`). Runs on the
/// writer's thread and must not block it. Dropped without a call when the log ends before.
pub type Told = Box<dyn FnOnce(bool) + Send>;

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

/// How [`SqliteLog`] writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SqliteOptions {
    /// Rows that may wait. Default 8192, at least 1.
    pub queue: usize,
    /// Bytes that waiting rows may have together. Default 16 MiB; one row always fits.
    pub queue_bytes: usize,
    /// Rows in a transaction. Default 512, at least 1; a smaller batch is written after 3 ms.
    pub batch: usize,
    /// Rows older than this go, by [`Row::PRUNE_OLDER`]. Default: none go.
    pub max_age: Option<Duration>,
    /// Above this size in bytes the oldest rows go, by [`Row::PRUNE_OLDEST`]. Default: the file may grow.
    pub max_bytes: Option<u64>,
    /// Bytes of rows that are kept beside the file while it cannot be written. Default 256 MiB; 0 keeps none.
    pub spool_bytes: u64,
    /// Bytes that the write-ahead log may have. A reader that does not end keeps it from being emptied: then rows go
    /// to the spool until it does. Default 64 MiB.
    pub wal_bytes: u64,
}

/// How a log is, at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SqliteState {
    /// Rows that are in the file, since this log was opened.
    pub written: u64,
    /// Rows in memory that wait to be written.
    pub queued: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Rows in the spool that wait to be brought into the file.
    pub spooled: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Rows that found the queue full, and are lost.
    pub overflowed: u64,
    /// Rows that came after the end, and are lost.
    pub late: u64,
    /// Rows that the table refused, and are lost.
    pub rejected: u64,
    /// Rows that were in the queue or the spool and had to be given up.
    pub abandoned: u64,
    /// Rows that have begun and are not whole.
    pub running: u64,
    /// How often the file was begun anew, because it was corrupt or gone.
    pub replaced: u64,
    /// Why rows cannot be written at present. `None`: they can.
    pub failing: Option<Failing>,
}

/// Why a log cannot be written.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Failing {
    /// What the last try said.
    pub why: String,
    /// When it began.
    pub since: SystemTime,
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

// The last one that is dropped closes the log.
struct Handle<R: Row>(Arc<Shared<R>>);

enum Message<R> {
    // Boxed: the queue keeps room for as many as it ever held.
    Row(Box<Entry<R>>),
    Begun(u64, Arc<dyn Begun>),
}

struct Entry<R> {
    row: R,
    bytes: usize,
    ticket: Option<u64>,
    told: Option<Told>,
}

struct Shared<R> {
    queue: Queue<Message<R>>,
    tickets: AtomicU64,
    // Taken into the queue, or found in the spool; written; refused by the table; given up. Each only grows.
    accepted: AtomicU64,
    written: AtomicU64,
    rejected: AtomicU64,
    abandoned: AtomicU64,
    // Not taken into the queue: it was full, or closed.
    overflowed: AtomicU64,
    late: AtomicU64,
    // In the spool now.
    spooled: AtomicU64,
    spool_bytes: AtomicU64,
    running: AtomicU64,
    replaced: AtomicU64,
    // The deadline of `close` is over: end at once.
    give_up: AtomicBool,
    state: Mutex<State>,
    // Rang when a batch is done, at the end, and when a flag was set.
    bell: Condvar,
}

#[derive(Default)]
struct State {
    finished: bool,
    failing: Option<Failing>,
}

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

// === impl Shared ===

impl<R> Shared<R> {
    fn new(options: &SqliteOptions) -> Self {
        Self {
            queue: Queue::new(options.queue, options.queue_bytes),
            tickets: AtomicU64::new(1),
            accepted: AtomicU64::default(),
            written: AtomicU64::default(),
            rejected: AtomicU64::default(),
            abandoned: AtomicU64::default(),
            overflowed: AtomicU64::default(),
            late: AtomicU64::default(),
            spooled: AtomicU64::default(),
            spool_bytes: AtomicU64::default(),
            running: AtomicU64::default(),
            replaced: AtomicU64::default(),
            give_up: AtomicBool::default(),
            state: Mutex::default(),
            bell: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Written, or never to be.
    fn done(&self) -> u64 {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        read(&self.written) + read(&self.rejected) + read(&self.abandoned)
    }

    fn dropped(&self) -> u64 {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        read(&self.overflowed) + read(&self.late) + read(&self.rejected) + read(&self.abandoned)
    }

    fn waiting(&self) -> u64 {
        let spooled = self.spooled.load(Ordering::Acquire);
        self.accepted.load(Ordering::Acquire).saturating_sub(self.done() + spooled)
    }

    fn gives_up(&self) -> bool {
        self.give_up.load(Ordering::Acquire)
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
        Self {
            queue: 8192,
            queue_bytes: 16 << 20,
            batch: 512,
            max_age: None,
            max_bytes: None,
            spool_bytes: 256 << 20,
            wal_bytes: 64 << 20,
        }
    }
}

// === impl SqliteError ===

impl SqliteError {
    // For those who are shown the state of the log, but not where it is.
    fn without_path(&self) -> String {
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

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
