//! Rows that have begun and are not whole: written as open rows once they take long, so that a crash leaves a trace.
//!
//! Most are whole before they are ever written; those cost a look into a map.

use super::judge::judge;
use super::{Begun, Row, values};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What takes longer than this is written as open.
pub(super) const OPEN_AFTER: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(super) struct Running {
    entries: BTreeMap<u64, Entry>,
    // Every ticket below has been looked at.
    next: u64,
    // In the file as open, and whole by now.
    ended: Vec<u64>,
}

struct Entry {
    begun: Arc<dyn Begun>,
    since: Instant,
    written: bool,
}

impl Running {
    pub(super) fn begin(&mut self, ticket: u64, begun: Arc<dyn Begun>) {
        let entry = Entry { begun, since: Instant::now(), written: false };
        self.entries.insert(ticket, entry);
        // Those who push race: a ticket may come behind a later one.
        self.next = self.next.min(ticket);
    }

    /// Its row is here, or will never be.
    pub(super) fn end(&mut self, ticket: u64) {
        if self.entries.remove(&ticket).is_some_and(|entry| entry.written) {
            self.ended.push(ticket);
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// When the next one is to be written as open.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, entry) = self.entries.range(self.next..).next()?;
        Some(entry.since + OPEN_AFTER)
    }

    /// Whether there is anything to write now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.ended.is_empty() || self.due().is_some_and(|due| due <= now)
    }

    /// Everything is to be written again: the file is another one.
    pub(super) fn forget_file(&mut self) {
        self.next = 0;
        self.ended.clear();
        self.entries.values_mut().for_each(|entry| entry.written = false);
    }

    /// Ends those whose row will never come: it found the queue full, and whoever had begun it is gone.
    pub(super) fn sweep(&mut self) {
        let gone = |entry: &Entry| {
            Arc::strong_count(&entry.begun) == 1 && entry.since.elapsed() > OPEN_AFTER
        };
        let gone = self.entries.iter().filter(|(_, entry)| gone(entry));
        let gone: Vec<u64> = gone.map(|(ticket, _)| *ticket).collect();
        gone.into_iter().for_each(|ticket| self.end(ticket));
    }

    /// Writes what is due. In a transaction; once that is committed, [`written`](Self::written) is to be called with
    /// what this returns.
    pub(super) fn write<R: Row>(
        &self,
        connection: &Connection,
        process: i64,
        now: Instant,
    ) -> rusqlite::Result<u64> {
        let mut next = self.next;
        if R::OPEN.is_empty() || !self.is_due(now) {
            return Ok(next);
        }
        let mut open = connection.prepare(R::OPEN)?;
        for (ticket, entry) in self.entries.range(self.next..) {
            if entry.since + OPEN_AFTER > now {
                break;
            }
            let id = i64::try_from(*ticket).unwrap_or(i64::MAX);
            if !entry.written {
                let bind = |values: &mut values::Values<'_>| entry.begun.bind(values);
                // Refused, it is only not shown.
                judge(|| values::execute(&mut open, params![process, id], bind))?;
            }
            next = ticket + 1;
        }
        let mut close = connection.prepare(R::CLOSE)?;
        for ticket in &self.ended {
            close.execute(params![process, i64::try_from(*ticket).unwrap_or(i64::MAX)])?;
        }
        Ok(next)
    }

    pub(super) fn written(&mut self, next: u64) {
        let from = self.next.min(next);
        self.entries.range_mut(from..next).for_each(|(_, entry)| entry.written = true);
        self.next = next;
        self.ended.clear();
    }
}
