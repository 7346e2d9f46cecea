//! What a write that failed leads to: a pause before the next one, and one warning for all of them.

use super::Writer;
use crate::sqlite::{Failing, Row, SqliteError, file};
use rusqlite::ErrorCode;
use std::time::{Duration, Instant, SystemTime};

pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A file that is locked for less than this is not worth a warning.
const BUSY_GRACE: Duration = Duration::from_secs(1);

// Since when, and when to try again.
pub(super) struct Outage {
    pub(super) since: Instant,
    pub(super) retry: Instant,
    pub(super) pause: Duration,
    pub(super) told: bool,
}

impl<R: Row> Writer<R> {
    // One line per outage, not one per try.
    pub(in crate::sqlite) fn failed(&mut self, error: &(dyn std::error::Error + 'static)) {
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
        let since = state.failing.as_ref().map_or_else(SystemTime::now, |f| f.since);
        let why = error.downcast_ref().map_or(text, SqliteError::without_path);
        state.failing = Some(Failing { why, since });
        drop(state);
        self.shared.ring();
    }

    pub(super) fn healed(&mut self) {
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

    pub(super) fn until_retry(&self) -> Option<Duration> {
        let outage = self.outage.as_ref()?;
        Some(outage.retry.saturating_duration_since(Instant::now()))
    }
}

// What SQLite said, wherever it stands.
pub(super) fn sqlite<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a rusqlite::Error> {
    match error.downcast_ref() {
        Some(error) => Some(error),
        None => sqlite(error.source()?),
    }
}
