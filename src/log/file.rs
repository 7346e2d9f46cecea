//! Rows on their way into the file, and answers that wait for theirs.

use super::{Begun, LogRow, Sink, Told};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;
use unigate_layers::{log::Hold, sqlite::SqliteLog};

/// The log's file, as the place where rows go.
#[derive(Clone, Debug)]
pub struct FileLog {
    log: SqliteLog<LogRow>,
    strict: bool,
    /// Whether answers go out unconfirmed at present, which is told once.
    unconfirmed: Arc<AtomicBool>,
}

/// The longest that an answer waits for its row. Longer than a commit on a slow disk, shorter than a client's patience.
const PATIENCE: Duration = Duration::from_secs(2);

impl FileLog {
    /// Rows go to this log.
    pub fn new(log: SqliteLog<LogRow>) -> Self {
        Self { log, strict: false, unconfirmed: Arc::default() }
    }

    /// Whether the last piece of each answer waits until its row is safe from a crash of the gateway, at most 2 s.
    /// Default: no.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }
}

impl Sink for FileLog {
    fn push(&self, row: LogRow) {
        self.log.push(row);
    }

    fn begin(&self, begun: &Arc<Begun>) -> Option<u64> {
        Some(self.log.begin(begun.clone()))
    }

    fn end(&self, ticket: Option<u64>, row: LogRow, told: Option<Told>) {
        self.log.end(ticket, row, told);
    }

    fn hold(&self) -> Option<(Told, Hold)> {
        if !self.strict {
            return None;
        }
        let (safe, confirmed) = oneshot::channel();
        let unconfirmed = self.unconfirmed.clone();
        let told = Box::new(move |kept| {
            let _ = safe.send(kept);
        });
        let hold = Box::pin(async move {
            let kept = tokio::time::timeout(PATIENCE, confirmed).await;
            let late = !matches!(kept, Ok(Ok(true)));
            if unconfirmed.swap(late, Ordering::Relaxed) != late {
                match late {
                    true => tracing::warn!("answers go out although their log rows are not safe"),
                    false => tracing::info!("answers wait for their log rows again"),
                }
            }
        });
        Some((told, hold))
    }
}
