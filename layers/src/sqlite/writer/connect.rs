//! The way to a usable connection: a new one, past a file that is gone or corrupt, and what the last run left.

use super::Writer;
use crate::sqlite::checkpoint;
use crate::sqlite::file::{self, Open};
use crate::sqlite::{Row, SqliteError};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Another process that has the log is looked for so often.
const RECOVER_AGAIN: Duration = Duration::from_secs(60);

impl<R: Row> Writer<R> {
    /// Opens the file, so that the caller learns what is wrong with it. Otherwise it is opened for the first rows.
    pub(in crate::sqlite) fn open(&mut self, first: bool) -> Result<(), SqliteError> {
        let open = Open::new::<R>(&self.path, first);
        let corrupt = match &open {
            Err(SqliteError::Open { source, .. }) => file::is_corrupt(source),
            _ => false,
        };
        self.open = Some(match open {
            Err(_) if corrupt && self.set_aside() => Open::new::<R>(&self.path, first)?,
            open => open?,
        });
        Ok(())
    }

    pub(super) fn connect(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        if self.open.as_mut().is_some_and(Open::is_gone) {
            let path = self.path.display();
            tracing::warn!(%path, "the log was deleted or replaced while it was open; a new one is begun");
            self.shared.replaced.fetch_add(1, Ordering::Relaxed);
            self.open = None;
            self.checkpoint.join();
            self.running.forget_file();
        }
        if self.open.is_none() {
            self.open(false)?;
        }
        let Some(open) = &self.open else { return Ok(()) };
        if self.checkpoint.size() > self.options.wal_bytes {
            self.checkpoint.join();
            let emptied = checkpoint::truncate(&open.connection);
            if !emptied? && self.checkpoint.size() > self.options.wal_bytes {
                return Err("a reader has held the log open for too long".into());
            }
        }
        if self.recover_at.is_some_and(|at| at <= Instant::now()) {
            self.recover()?;
        }
        Ok(())
    }

    // What another process left, or this one's forerunner.
    fn recover(&mut self) -> rusqlite::Result<()> {
        if !self.spool.own() {
            // Another process has the log, and may be gone later.
            self.recover_at = Some(Instant::now() + RECOVER_AGAIN);
            return Ok(());
        }
        let Some(open) = &self.open else { return Ok(()) };
        let mut lost = 0;
        for sql in R::RECOVER {
            lost += open.connection.execute(sql, [self.process])?;
        }
        if lost > 0 {
            tracing::warn!(path = %self.path.display(), "the last run ended without a stop; its open rows are marked");
        }
        let rows = self.spool.load().0;
        if rows > 0 {
            tracing::info!(rows, "rows that were spooled are brought into the log");
        }
        // They are this process's to bring in now.
        let known = self.shared.spooled.load(Ordering::Acquire);
        self.shared.accepted.fetch_add(rows.saturating_sub(known), Ordering::AcqRel);
        self.load_spool();
        self.recover_at = None;
        Ok(())
    }

    // Whether there is room for a new file now.
    pub(super) fn set_aside(&mut self) -> bool {
        self.open = None;
        self.checkpoint.join();
        let path = self.path.display();
        match file::set_aside(&self.path) {
            Some(aside) => {
                let aside = aside.display();
                tracing::error!(%path, %aside, "the log is corrupt: it was set aside, and a new one is begun");
                self.shared.replaced.fetch_add(1, Ordering::Relaxed);
                self.running.forget_file();
                true
            }
            None => false,
        }
    }
}

// No two that use a file at the same time have the same.
pub(super) fn process() -> i64 {
    use std::hash::{BuildHasher, RandomState};
    // Seeded anew by the system for each.
    RandomState::new().hash_one(std::process::id()) as i64
}
