//! The thread that owns the connection.

use super::checkpoint::{self, Checkpoint};
use super::file::{self, Open};
use super::running::Running;
use super::spool::{self, Kept, Spool};
use super::tidy::Tidy;
use super::{Entry, Message, Row, Shared, SqliteError, SqliteOptions, values};
use rusqlite::{ErrorCode, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a batch that is not full waits for more rows, once one has come; the first after a while does not wait.
const GATHER: Duration = Duration::from_millis(3);
/// After a row the next ones are looked for and not waited for, so that nobody who pushes has to wake the writer.
const AWAKE: Duration = Duration::from_millis(50);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A file that is locked for less than this is not worth a warning.
const BUSY_GRACE: Duration = Duration::from_secs(1);
/// Tried again so often while somebody waits for the end.
const LAST_TRIES: Duration = Duration::from_millis(50);
/// Spooled rows that are brought in with one transaction.
const REPLAY: usize = 512;
/// Another process that has the log is looked for so often.
const RECOVER_AGAIN: Duration = Duration::from_secs(60);

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

// Since when, and when to try again.
struct Outage {
    since: Instant,
    retry: Instant,
    pause: Duration,
    told: bool,
}

// What became of a batch.
struct Done {
    rows: u64,
    rejected: u64,
    replayed: u64,
    replay_rejected: u64,
    kept: Option<Kept>,
    next: u64,
}

impl<R: Row> Writer<R> {
    pub(super) fn new(path: PathBuf, options: SqliteOptions, shared: Arc<Shared<R>>) -> Self {
        let now = Instant::now();
        Self {
            spool: Spool::beside(&path, options.spool_bytes),
            checkpoint: Checkpoint::of(&path),
            process: process(),
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

    /// Opens the file, so that the caller learns what is wrong with it. Otherwise it is opened for the first rows.
    pub(super) fn open(&mut self, first: bool) -> Result<(), SqliteError> {
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
        let more;
        if now < self.awake_until {
            self.shared.queue.pause(GATHER);
            more = self.shared.queue.take(limit, &mut self.inbox, Duration::ZERO);
        } else {
            let wait = self.wait(now);
            more = self.shared.queue.take(limit, &mut self.inbox, wait);
        }
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

    fn until_retry(&self) -> Option<Duration> {
        let outage = self.outage.as_ref()?;
        Some(outage.retry.saturating_duration_since(Instant::now()))
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
                let code = sqlite(&*error).and_then(rusqlite::Error::sqlite_error_code);
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

    fn commit(&mut self) -> Result<Done, Box<dyn std::error::Error>> {
        self.connect()?;
        let kept = match self.spool.load().0 {
            0 => None,
            _ => self.oldest_spooled()?,
        };
        let Some(open) = &mut self.open else { return Err("the log is not open".into()) };
        let connection = &mut open.connection;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = Instant::now();
        let mut done =
            Done { rows: 0, rejected: 0, replayed: 0, replay_rejected: 0, kept: None, next: 0 };
        {
            let mut insert = transaction.prepare(R::INSERT)?;
            for row in kept.iter().flat_map(|kept| &kept.rows) {
                match judge(|| values::execute_kept(&mut insert, row))? {
                    true => done.replayed += 1,
                    false => done.replay_rejected += 1,
                }
            }
            for entry in &self.batch {
                match judge(|| values::execute(&mut insert, &[], |to| entry.row.bind(to)))? {
                    true => done.rows += 1,
                    false => done.rejected += 1,
                }
                // In the same transaction: nobody sees both, or neither.
                if let Some(ticket) = entry.ticket {
                    self.running.end(ticket);
                }
            }
        }
        done.next = self.running.write::<R>(&transaction, self.process, now)?;
        transaction.commit()?;
        done.kept = kept;
        Ok(done)
    }

    fn oldest_spooled(&mut self) -> std::io::Result<Option<Kept>> {
        match self.spool.oldest(REPLAY) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                let rows = self.spool.clear();
                tracing::error!(rows, "spooled rows were changed by somebody else and are lost");
                self.shared.abandoned.fetch_add(rows, Ordering::AcqRel);
                self.load_spool();
                Ok(None)
            }
            kept => kept.map(Some),
        }
    }

    fn wrote(&mut self, done: Done) {
        self.healed();
        self.running.written(done.next);
        if let Some(kept) = done.kept {
            self.spool.forget(&kept);
            self.load_spool();
            let rejected = done.replay_rejected + kept.unreadable;
            self.shared.rejected.fetch_add(rejected, Ordering::AcqRel);
        }
        self.shared.rejected.fetch_add(done.rejected, Ordering::AcqRel);
        self.shared.written.fetch_add(done.rows + done.replayed, Ordering::AcqRel);
        let bytes: usize = self.batch.iter().map(|entry| entry.bytes).sum();
        self.checkpoint.wrote(bytes as u64);
        self.tidy.batch();
        self.panics = 0;
        self.tell(true);
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

    fn connect(&mut self) -> Result<(), Box<dyn std::error::Error>> {
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
    fn set_aside(&mut self) -> bool {
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

    // One line per outage, not one per try.
    pub(super) fn failed(&mut self, error: &(dyn std::error::Error + 'static)) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        let cause = sqlite(error);
        if cause.is_some_and(file::is_corrupt) {
            self.corrupt += 1;
            // Once could be a page that was read in the wrong moment.
            if self.corrupt > 1 {
                self.corrupt = 0;
                self.set_aside();
            }
        }
        let now = Instant::now();
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            retry: now,
            pause: FIRST_PAUSE,
            told: false,
        });
        outage.retry = now + outage.pause;
        outage.pause = (outage.pause * 2).min(LONGEST_PAUSE);
        let busy = cause.and_then(rusqlite::Error::sqlite_error_code);
        let busy = matches!(busy, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
        if !outage.told && (!busy || outage.since.elapsed() >= BUSY_GRACE) {
            outage.told = true;
            let path = self.path.display();
            tracing::warn!(%path, error = text, "the log cannot be written, keeping rows for later");
        }
        if !outage.told {
            // The rows are safe in the spool, and a moment later in the file: nothing to worry anyone with.
            self.shared.ring();
            return;
        }
        let mut state = self.shared.lock();
        let since = state.failing.as_ref().map_or_else(std::time::SystemTime::now, |f| f.since);
        let why = error.downcast_ref().map_or(text, super::SqliteError::without_path);
        state.failing = Some(super::Failing { why, since });
        drop(state);
        self.shared.ring();
    }

    fn healed(&mut self) {
        self.corrupt = 0;
        let Some(outage) = self.outage.take() else { return };
        self.shared.lock().failing = None;
        if outage.told {
            let seconds = outage.since.elapsed().as_secs();
            let (dropped, spooled) = (self.shared.dropped(), self.spool.load().0);
            let path = self.path.display();
            tracing::info!(%path, dropped, spooled, seconds, "the log can be written again");
        }
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

// Whether a row was taken. What the table or the statement refuses is the row's own fault, and would be refused for
// ever. Anything else (locked, full, gone, broken, a table missing) may be over after a while.
pub(super) fn judge(put: impl FnOnce() -> rusqlite::Result<usize>) -> rusqlite::Result<bool> {
    match catch_unwind(AssertUnwindSafe(put)) {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) if is_outage(&error) => Err(error),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a log row was refused");
            Ok(false)
        }
        Err(_) => {
            tracing::warn!("a log row panicked");
            Ok(false)
        }
    }
}

// What SQLite said, wherever it stands.
fn sqlite<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rusqlite::Error> {
    match error.downcast_ref() {
        Some(error) => Some(error),
        None => sqlite(error.source()?),
    }
}

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

// No two that use a file at the same time have the same.
fn process() -> i64 {
    use std::hash::{BuildHasher, RandomState};
    // Seeded anew by the system for each.
    RandomState::new().hash_one(std::process::id()) as i64
}
