//! The thread that owns the connection.

use super::{Message, Row, Shared, SqliteError, SqliteOptions};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

// How long a batch that is not full waits for more rows.
const GATHER: Duration = Duration::from_millis(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
// Old rows are looked for this often, or after this many batches.
const TIDY_EVERY: Duration = Duration::from_secs(60);
const TIDY_BATCHES: u32 = 256;
// Old rows go in small steps, so that new ones never wait long.
const PRUNE_ROWS: i64 = 512;
const PRUNE_STEPS: u32 = 64;

pub(super) struct Writer<R> {
    path: PathBuf,
    options: SqliteOptions,
    rows: Receiver<Message<R>>,
    shared: Arc<Shared>,
    // Absent after a failure: opened anew for the next try.
    connection: Option<Connection>,
    tidied: Instant,
    batches: u32,
}

// What became of a batch.
struct Written {
    rows: u64,
    rejected: u64,
}

impl<R: Row> Writer<R> {
    pub(super) fn open(
        path: PathBuf,
        options: SqliteOptions,
        rows: Receiver<Message<R>>,
        shared: Arc<Shared>,
    ) -> Result<Self, SqliteError> {
        let connection = Some(connect::<R>(&path)?);
        Ok(Self { path, options, rows, shared, connection, tidied: Instant::now(), batches: 0 })
    }

    pub(super) fn run(mut self) {
        self.tidy();
        let mut batch = Vec::new();
        let mut open = true;
        while open {
            open = self.gather(&mut batch);
            if !batch.is_empty() {
                self.write(&mut batch);
                self.batches += 1;
            }
            if self.abandoned() {
                break;
            }
            if self.tidied.elapsed() >= TIDY_EVERY || self.batches >= TIDY_BATCHES {
                self.tidy();
            }
        }
        self.finish();
    }

    // Waits for rows. False: there will be no more.
    fn gather(&self, batch: &mut Vec<R>) -> bool {
        let limit = self.options.batch.max(1);
        // Before any wait: a full queue had no room for the bell.
        if self.closing() {
            return self.gather_last(batch, limit);
        }
        match self.rows.recv_timeout(TIDY_EVERY) {
            Ok(Message::Row(row)) => batch.push(*row),
            Ok(Message::Wake) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        let until = Instant::now() + GATHER;
        while batch.len() < limit {
            if self.closing() {
                return self.gather_last(batch, limit);
            }
            match self.rows.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Message::Row(row)) => batch.push(*row),
                Ok(Message::Wake) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    // When closing, what is there is all there will be.
    fn gather_last(&self, batch: &mut Vec<R>, limit: usize) -> bool {
        while batch.len() < limit {
            match self.rows.try_recv() {
                Ok(Message::Row(row)) => batch.push(*row),
                Ok(Message::Wake) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    // Until it is written, or nobody waits for it any more.
    fn write(&mut self, batch: &mut Vec<R>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_write(batch) {
                Ok(written) => {
                    self.healed();
                    self.shared.rejected.fetch_add(written.rejected, Ordering::AcqRel);
                    self.shared.written.fetch_add(written.rows, Ordering::AcqRel);
                    self.shared.ring();
                    batch.clear();
                    return;
                }
                Err(error) => {
                    // After an I/O error the connection may be unusable; a new one costs a millisecond.
                    self.connection = None;
                    self.failed(&*error);
                }
            }
            if !self.rest(pause) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn try_write(&mut self, batch: &[R]) -> Result<Written, Box<dyn std::error::Error>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect::<R>(&self.path)?),
        };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = Written { rows: 0, rejected: 0 };
        {
            let mut statement = transaction.prepare(R::INSERT)?;
            for row in batch {
                match catch_unwind(AssertUnwindSafe(|| row.bind(&mut statement))) {
                    Ok(Ok(_)) => written.rows += 1,
                    Ok(Err(error)) if is_outage(&error) => return Err(error.into()),
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "a log row was refused");
                        written.rejected += 1;
                    }
                    Err(_) => {
                        tracing::warn!("a log row panicked");
                        written.rejected += 1;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(written)
    }

    // One line per outage, not one per try.
    fn failed(&self, error: &dyn std::error::Error) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        let first = self.shared.lock().failing.replace(text.clone()).is_none();
        self.shared.ring();
        if first {
            let path = self.path.display();
            tracing::warn!(%path, error = text, "the log cannot be written, keeping rows for later");
        }
    }

    fn healed(&self) {
        if self.shared.lock().failing.take().is_some() {
            let dropped = self.shared.overflowed.load(Ordering::Relaxed);
            tracing::info!(path = %self.path.display(), dropped, "the log can be written again");
        }
    }

    // False: the wait is over for good. While closing, tries are frequent: somebody is waiting.
    fn rest(&self, pause: Duration) -> bool {
        if self.closing() {
            self.shared.wait(pause.min(FIRST_PAUSE), |_, _| self.abandoned());
        } else {
            self.shared.wait(pause, |_, _| self.closing());
        }
        !self.abandoned()
    }

    fn closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }

    fn abandoned(&self) -> bool {
        self.shared.abandoned.load(Ordering::Acquire)
    }

    // Deletes what is too old or too much. A failure here costs disk space, not rows.
    fn tidy(&mut self) {
        (self.tidied, self.batches) = (Instant::now(), 0);
        let Some(connection) = &self.connection else { return };
        if let Err(error) = prune::<R>(connection, &self.options) {
            tracing::debug!(%error, "old log rows could not be deleted");
        }
    }

    fn finish(mut self) {
        if let Some(connection) = self.connection.take() {
            // Everything in one file, for whoever copies it now.
            let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        // Rows that came in between go down with the queue, and count as lost.
        drop(self.rows);
        self.shared.lock().finished = true;
        self.shared.ring();
    }
}

// What the table or the statement refuses is the row's own fault, and would be refused for ever. Anything
// else (locked, full, gone, broken, a table missing) may be over after a while.
fn is_outage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    let refused = matches!(
        code,
        Some(
            ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
        )
    );
    code.is_some() && !refused
}

fn connect<R: Row>(path: &Path) -> Result<Connection, SqliteError> {
    create_private(path);
    let failed = |source| SqliteError::Open { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    let (found, known) = (migrate::<R>(&mut connection).map_err(failed)?, R::MIGRATIONS.len());
    if found > known {
        return Err(SqliteError::Newer { path: path.to_owned(), found, known });
    }
    Ok(connection)
}

// Logs say who asked what; SQLite would create the file for everyone. Whatever goes wrong here, opening tells.
fn create_private(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // auto_vacuum comes first: it must be set before the file has its first page.
    // Source: https://sqlite.org/pragma.html#pragma_auto_vacuum
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;
         PRAGMA cell_size_check = ON;",
    )
}

// The version the file had, if it is newer than what we know; else it is now at ours.
fn migrate<R: Row>(connection: &mut Connection) -> rusqlite::Result<usize> {
    let version = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
    };
    let known = R::MIGRATIONS.len();
    if usize::try_from(version(connection)?).unwrap_or(usize::MAX) == known {
        return Ok(known);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again, now that nobody else can change it.
    let found = usize::try_from(version(&transaction)?).unwrap_or(usize::MAX);
    for step in R::MIGRATIONS.get(found..).unwrap_or_default() {
        transaction.execute_batch(step)?;
    }
    if found < known {
        transaction.pragma_update(None, "user_version", known as i64)?;
    }
    transaction.commit()?;
    Ok(found.max(known))
}

fn prune<R: Row>(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    let mut deleted = 0;
    if let Some(max_age) = options.max_age
        && !R::PRUNE_OLDER.is_empty()
    {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let cutoff = i64::try_from(now.saturating_sub(max_age).as_millis()).unwrap_or(i64::MAX);
        deleted += repeat(|| connection.prepare(R::PRUNE_OLDER)?.execute([cutoff]))?;
    }
    if let Some(max_bytes) = options.max_bytes
        && !R::PRUNE_OLDEST.is_empty()
    {
        deleted += repeat(|| {
            if used_bytes(connection)? <= max_bytes {
                return Ok(0);
            }
            connection.prepare(R::PRUNE_OLDEST)?.execute([PRUNE_ROWS])
        })?;
    }
    if deleted > 0 {
        // Each step of this statement frees one page.
        let mut vacuum = connection.prepare("PRAGMA incremental_vacuum")?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
    }
    Ok(())
}

fn repeat(mut step: impl FnMut() -> rusqlite::Result<usize>) -> rusqlite::Result<usize> {
    let mut total = 0;
    for _ in 0..PRUNE_STEPS {
        match step()? {
            0 => break,
            rows => total += rows,
        }
    }
    Ok(total)
}

// Without the pages that are free already: in a file that another program created they may never be given back.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let read = |pragma: &str| {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))
    };
    let pages = read("page_count")? - read("freelist_count")?;
    Ok(u64::try_from(pages * read("page_size")?).unwrap_or_default())
}
