//! The thread that owns the connection.

mod commit;
mod connect;
mod outage;

use super::checkpoint::{self, Checkpoint};
use super::file::Open;
use super::judge::judge;
use super::running::Running;
use super::shared::{Entry, Message, Shared};
use super::spool::{self, Spool};
use super::tidy::Tidy;
use super::{Row, SqliteOptions};
use outage::{FIRST_PAUSE, Outage};
use rusqlite::ErrorCode;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a batch that is not full waits for more rows, once one has come; the first after a while does not wait.
const GATHER: Duration = Duration::from_millis(3);
/// After a row the next ones are looked for and not waited for, so that nobody who pushes has to wake the writer.
const AWAKE: Duration = Duration::from_millis(50);
/// Tried again so often while somebody waits for the end.
const LAST_TRIES: Duration = Duration::from_millis(50);

pub(super) struct Writer<R: Row> {
    path: PathBuf,
    options: SqliteOptions,
    shared: Arc<Shared<R>>,
    // Tells this process's open rows from those that another one left.
    process: i64,
    // Absent after a failure: opened anew for the next try.
    open: Option<Open>,
    // When to look next for what a crash left. Absent: it has been brought in.
    recover_at: Option<Instant>,
    spool: Spool,
    running: Running,
    tidy: Tidy,
    checkpoint: Checkpoint,
    inbox: Vec<Message<R>>,
    batch: Vec<Box<Entry<R>>>,
    awake_until: Instant,
    outage: Option<Outage>,
    corrupt: u32,
    panics: u32,
}

impl<R: Row> Writer<R> {
    pub(super) fn new(path: PathBuf, options: SqliteOptions, shared: Arc<Shared<R>>) -> Self {
        let now = Instant::now();
        Self {
            spool: Spool::beside(&path, options.spool_bytes),
            checkpoint: Checkpoint::of(&path),
            process: connect::process(),
            path,
            options,
            shared,
            open: None,
            recover_at: Some(now),
            running: Running::default(),
            tidy: Tidy::new(),
            inbox: Vec::new(),
            batch: Vec::new(),
            awake_until: now,
            outage: None,
            corrupt: 0,
            panics: 0,
        }
    }

    /// Runs until the queue is closed and everything is where it can be. A panic costs nothing but the connection.
    pub(super) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.work())) {
                Ok(()) => break,
                Err(_) => self.revive(),
            }
        }
        if catch_unwind(AssertUnwindSafe(|| self.finish())).is_err() {
            tracing::error!("the log's writer panicked at its end");
        }
        // Rows that nobody could take any more.
        let left = self.batch.len() as u64;
        self.shared.abandoned.fetch_add(left, Ordering::AcqRel);
        self.tell(false);
        self.shared.lock().finished = true;
        self.shared.ring();
    }

    fn work(&mut self) {
        loop {
            let more = self.gather();
            if self.shared.gives_up() {
                return;
            }
            let now = Instant::now();
            if self.outage.as_ref().is_some_and(|outage| now < outage.retry) && more {
                self.keep();
            } else if self.has_work(now) || (self.outage.is_some() && more) {
                self.write();
            }
            self.shared.running.store(self.running.len(), Ordering::Relaxed);
            let behind = self.spool.load().0 > 0 && self.outage.is_none();
            if !more && self.batch.is_empty() && !behind {
                return;
            }
            if self.outage.is_none() {
                self.look_after();
            }
        }
    }

    // Waits for something to do. False: there will be no more rows, and those that are here are the last.
    fn gather(&mut self) -> bool {
        if !self.batch.is_empty() {
            // Neither the file nor the spool took them.
            let wait = match self.shared.queue.is_closed() {
                true => {
                    self.shared.wait(LAST_TRIES, |shared, _| shared.gives_up());
                    return false;
                }
                false => self.until_retry().unwrap_or(FIRST_PAUSE),
            };
            self.shared.queue.pause(wait.min(FIRST_PAUSE));
            return true;
        }
        let limit = self.options.batch.max(1);
        let now = Instant::now();
        let wait = match now < self.awake_until {
            true => {
                self.shared.queue.pause(GATHER);
                Duration::ZERO
            }
            false => self.wait(now),
        };
        let more = self.shared.queue.take(limit, &mut self.inbox, wait);
        if !self.inbox.is_empty() {
            self.awake_until = Instant::now() + AWAKE;
        }
        for message in self.inbox.drain(..) {
            match message {
                Message::Begun(ticket, begun) => self.running.begin(ticket, begun),
                Message::Row(entry) => self.batch.push(entry),
            }
        }
        more
    }

    // How long nothing is to be done, if nothing comes.
    fn wait(&mut self, now: Instant) -> Duration {
        if let Some(wait) = self.until_retry() {
            return wait;
        }
        if self.spool.load().0 > 0 || self.tidy.is_due() {
            return Duration::ZERO;
        }
        let until = |due: Instant| due.saturating_duration_since(now);
        let due =
            [self.running.due().map(until), self.recover_at.map(until), self.checkpoint.wait()];
        due.into_iter().flatten().fold(self.tidy.wait(), Duration::min)
    }

    fn has_work(&self, now: Instant) -> bool {
        !self.batch.is_empty()
            || self.running.is_due(now)
            || self.spool.load().0 > 0
            || self.open.is_none()
            || self.recover_at.is_some_and(|at| at <= now)
    }

    fn write(&mut self) {
        match self.commit() {
            Ok(done) => self.wrote(done),
            Err(error) => {
                // After an I/O error the connection may be unusable; a new one costs a millisecond. With a lock or a full
                // disk it is as good as before, and a new one would need space of its own.
                let code = outage::sqlite(&*error).and_then(rusqlite::Error::sqlite_error_code);
                let usable =
                    [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::DiskFull];
                if !code.is_some_and(|code| usable.contains(&code)) {
                    self.open = None;
                }
                self.failed(&*error);
                self.keep();
            }
        }
    }

    // The batch is done with, one way or the other.
    fn tell(&mut self, kept: bool) {
        let bytes = self.batch.iter().map(|entry| entry.bytes).sum();
        self.shared.queue.release(self.batch.len(), bytes);
        self.shared.ring();
        for entry in std::mem::take(&mut self.batch) {
            if let Some(told) = entry.told {
                told(kept);
            }
        }
    }

    // To the spool, for as long as the file cannot be written. What does not fit stays, and so the queue fills.
    fn keep(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let mut records = Vec::new();
        let mut rejected = 0;
        for entry in &self.batch {
            let bind = || spool::record(&mut records, |to| entry.row.bind(to)).map(|()| 1);
            if !judge(bind).unwrap_or(false) {
                rejected += 1;
            }
        }
        let rows = self.batch.len() as u64 - rejected;
        if let Err(error) = self.spool.append(&records, rows) {
            tracing::debug!(%error, "log rows could not be spooled");
            return;
        }
        for ticket in self.batch.iter().filter_map(|entry| entry.ticket) {
            self.running.end(ticket);
        }
        self.shared.rejected.fetch_add(rejected, Ordering::AcqRel);
        self.load_spool();
        // A crash of this process does not touch what is in the file, no more than what is in the database.
        self.tell(true);
    }

    fn load_spool(&self) {
        let (rows, bytes) = self.spool.load();
        self.shared.spooled.store(rows, Ordering::Release);
        self.shared.spool_bytes.store(bytes, Ordering::Relaxed);
    }

    // What is done between two batches.
    fn look_after(&mut self) {
        self.checkpoint.look();
        if self.tidy.is_due()
            && let Some(open) = &self.open
        {
            self.tidy.step::<R>(&open.connection, &self.options);
            self.checkpoint.wrote(0);
            self.running.sweep();
        }
    }

    fn revive(&mut self) {
        self.open = None;
        self.panics += 1;
        tracing::error!("the log's writer panicked; the file is opened anew");
        if self.panics > 1 && !self.batch.is_empty() {
            // They would only do it again.
            let lost = self.batch.len() as u64;
            self.shared.abandoned.fetch_add(lost, Ordering::AcqRel);
            self.tell(false);
        }
    }

    fn finish(&mut self) {
        const STEPS: u32 = 64;
        self.checkpoint.join();
        if let Some(open) = self.open.take().filter(|_| !self.shared.gives_up()) {
            for _ in 0..STEPS {
                if self.shared.gives_up() || !self.tidy.is_due() {
                    break;
                }
                self.tidy.step::<R>(&open.connection, &self.options);
            }
            // Everything in one file, for whoever copies it now.
            let _ = checkpoint::truncate(&open.connection);
        }
    }
}
