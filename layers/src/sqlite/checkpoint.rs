//! The write-ahead log goes into the main file: beside the writer, so that no row waits for the disk.
//!
//! SQLite would do it inside a commit, and sync the disk there. Rows that come meanwhile would be in memory only, and
//! a crash in that moment would lose what clients had already seen.

use super::file::{beside, length};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The write-ahead log is moved when it has grown by this.
const SIZE: u64 = 4 << 20;
/// And after so long without a row, if there is anything in it.
const IDLE: Duration = Duration::from_secs(2);
/// When a reader or a busy writer was in the way, the next try comes after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Pages that a transaction changes at least: of the table and of each of its indexes.
const PAGES: u64 = 4 * 4120;

pub(super) struct Checkpoint {
    path: PathBuf,
    wal: PathBuf,
    // What was written since the last one, about.
    grown: u64,
    last_write: Instant,
    last_try: Option<Instant>,
    running: Option<JoinHandle<()>>,
    whole: Arc<AtomicBool>,
}

impl Checkpoint {
    pub(super) fn of(path: &Path) -> Self {
        let wal = beside(path, "-wal");
        Self {
            path: path.to_owned(),
            // Left there by a crash, perhaps.
            grown: length(&wal),
            wal,
            last_write: Instant::now(),
            last_try: None,
            running: None,
            whole: Arc::default(),
        }
    }

    /// A transaction was committed, with so many bytes of rows.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.grown += bytes * 2 + PAGES;
        self.last_write = Instant::now();
    }

    /// How long until it should be looked at again. `None`: until the next write.
    pub(super) fn wait(&self) -> Option<Duration> {
        (self.grown > 0).then(|| match self.last_try {
            Some(tried) if tried > self.last_write => AGAIN,
            _ => IDLE.saturating_sub(self.last_write.elapsed()).max(Duration::from_millis(10)),
        })
    }

    /// Begins one if it is time.
    pub(super) fn look(&mut self) {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        if let Some(done) = self.running.take() {
            let _ = done.join();
            if self.whole.swap(false, Ordering::AcqRel) {
                self.grown = 0;
            }
        }
        let idle = self.grown > 0 && self.last_write.elapsed() >= IDLE;
        let tried = self.last_try.is_some_and(|last| last.elapsed() < AGAIN);
        if tried || (self.grown < SIZE && !idle) {
            return;
        }
        self.last_try = Some(Instant::now());
        let (path, whole) = (self.path.clone(), Arc::clone(&self.whole));
        let thread = std::thread::Builder::new().name("sqlite-checkpoint".to_owned());
        let run = move || match move_all(&path, idle) {
            Ok(all) => whole.store(all, Ordering::Release),
            Err(error) => tracing::debug!(%error, "the log's WAL could not be moved"),
        };
        self.running = thread.spawn(run).ok();
    }

    /// Bytes of the write-ahead log on disk.
    pub(super) fn size(&self) -> u64 {
        length(&self.wal)
    }

    /// Waits for one that is running.
    pub(super) fn join(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

/// Moves everything and empties the log, as far as no reader is in the way. Whether it is empty now.
pub(super) fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

// Whether all of it was moved, so that the next row begins at its start.
fn move_all(path: &Path, idle: bool) -> rusqlite::Result<bool> {
    let flags =
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = NORMAL;")?;
    let all = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
    })?;
    if all {
        // Nothing is left to move: this only shortens the file, and does not wait for anyone.
        connection.busy_timeout(Duration::ZERO)?;
        if idle {
            let _ = truncate(&connection);
        }
        // Whoever writes first now begins the log anew, and syncs the disk for that. Here no row waits for it; the
        // writer, which finds the file locked, has the spool. If it was first, there is nothing to do.
        // Source: https://sqlite.org/pragma.html#pragma_synchronous (NORMAL in WAL mode)
        if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
            // As it is: this is only to have something to write.
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            connection.pragma_update(None, "user_version", version)?;
            connection.execute_batch("COMMIT")?;
        }
    }
    Ok(all)
}
