//! Old rows go, and free pages, in steps so small that new rows never wait long.

use super::{Row, SqliteOptions};
use rusqlite::Connection;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Old rows are looked for this often, or after so many batches.
const EVERY: Duration = Duration::from_secs(60);
const BATCHES: u32 = 256;
const ROWS: i64 = 256;
const PAGES: i64 = 64;

/// Where the work stands.
pub(super) struct Tidy {
    step: Option<Step>,
    done: Instant,
    batches: u32,
}

#[derive(Clone, Copy)]
enum Step {
    Older,
    Oldest,
    Vacuum,
}

impl Tidy {
    pub(super) fn new() -> Self {
        Self { step: Some(Step::Older), done: Instant::now(), batches: 0 }
    }

    /// A batch was written.
    pub(super) fn batch(&mut self) {
        self.batches += 1;
    }

    /// Whether there is a step to do. Begins anew when it is time.
    pub(super) fn is_due(&mut self) -> bool {
        if self.step.is_none() && (self.done.elapsed() >= EVERY || self.batches >= BATCHES) {
            self.step = Some(Step::Older);
            self.batches = 0;
        }
        self.step.is_some()
    }

    /// How long until it is time.
    pub(super) fn wait(&self) -> Duration {
        EVERY.saturating_sub(self.done.elapsed())
    }

    /// Does one step. A failure costs disk space, not rows: the rest is left for later.
    pub(super) fn step<R: Row>(&mut self, connection: &Connection, options: &SqliteOptions) {
        let Some(step) = self.step else { return };
        let more = match step {
            Step::Older => older::<R>(connection, options),
            Step::Oldest => oldest::<R>(connection, options),
            Step::Vacuum => vacuum(connection),
        };
        match more {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "old log rows could not be deleted");
                self.step = None;
                self.done = Instant::now();
                return;
            }
        }
        self.step = match step {
            Step::Older => Some(Step::Oldest),
            Step::Oldest => Some(Step::Vacuum),
            Step::Vacuum => None,
        };
        self.done = Instant::now();
    }
}

// Each: whether there is more to do.

fn older<R: Row>(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<bool> {
    let Some(max_age) = options.max_age.filter(|_| !R::PRUNE_OLDER.is_empty()) else {
        return Ok(false);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let cutoff = i64::try_from(now.saturating_sub(max_age).as_millis()).unwrap_or(i64::MAX);
    Ok(connection.prepare(R::PRUNE_OLDER)?.execute([cutoff, ROWS])? > 0)
}

fn oldest<R: Row>(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<bool> {
    let Some(max_bytes) = options.max_bytes.filter(|_| !R::PRUNE_OLDEST.is_empty()) else {
        return Ok(false);
    };
    if used_bytes(connection)? <= max_bytes {
        return Ok(false);
    }
    Ok(connection.prepare(R::PRUNE_OLDEST)?.execute([ROWS])? > 0)
}

fn vacuum(connection: &Connection) -> rusqlite::Result<bool> {
    let before = pragma(connection, "freelist_count")?;
    if before == 0 {
        return Ok(false);
    }
    // Each step of this statement frees one page.
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    // A file that another program created may never give its pages back.
    let left = pragma(connection, "freelist_count")?;
    Ok(left > 0 && left < before)
}

// Without the pages that are free already: in a file that another program created they may never be given back.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(u64::try_from(pages * pragma(connection, "page_size")?).unwrap_or_default())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}
