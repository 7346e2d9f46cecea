//! The way to the writer: bounded by rows and by bytes, and nobody who pushes ever waits.

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Items on their way to one reader.
///
/// An item counts against the bounds until it is released, not only until it is taken: what the reader could not
/// get rid of is still in memory.
pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    // Rang when a parked reader has something to read, and at the end.
    bell: Condvar,
    max_rows: usize,
    max_bytes: usize,
}

struct Inner<T> {
    items: VecDeque<T>,
    rows: usize,
    bytes: usize,
    // The reader sleeps until there is something: whoever brings it wakes it, and only then pays for that.
    parked: bool,
    closed: bool,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    Full,
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(max_rows: usize, max_bytes: usize) -> Self {
        let inner =
            Inner { items: VecDeque::new(), rows: 0, bytes: 0, parked: false, closed: false };
        Self {
            inner: Mutex::new(inner),
            bell: Condvar::new(),
            max_rows: max_rows.max(1),
            max_bytes,
        }
    }

    /// Adds a row of so many bytes. One row always fits an empty queue, however large it is.
    pub(super) fn push(&self, item: T, bytes: usize) -> Result<(), Refused> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refused::Closed);
        }
        let room = inner.bytes == 0 || inner.bytes.saturating_add(bytes) <= self.max_bytes;
        if inner.rows >= self.max_rows || !room {
            return Err(Refused::Full);
        }
        inner.rows += 1;
        inner.bytes = inner.bytes.saturating_add(bytes);
        self.add(inner, item);
        Ok(())
    }

    /// Adds what may be left out when there is much to read, and is no row.
    pub(super) fn hint(&self, item: T) {
        let inner = self.lock();
        if !inner.closed && inner.items.len() < self.max_rows {
            self.add(inner, item);
        }
    }

    fn add(&self, mut inner: MutexGuard<'_, Inner<T>>, item: T) {
        inner.items.push_back(item);
        let wake = std::mem::take(&mut inner.parked);
        drop(inner);
        if wake {
            self.bell.notify_one();
        }
    }

    /// Moves the oldest items, at most `limit`, to `into`; waits so long if there are none. False: it is closed,
    /// and there will be no more.
    pub(super) fn take(&self, limit: usize, into: &mut Vec<T>, wait: Duration) -> bool {
        let mut inner = self.lock();
        if inner.items.is_empty() && !inner.closed && !wait.is_zero() {
            inner = self.sleep(inner, wait, true);
        }
        let some = limit.min(inner.items.len());
        into.extend(inner.items.drain(..some));
        !(inner.closed && inner.items.is_empty())
    }

    /// Sleeps so long, or until the queue is closed. Nobody who pushes pays for waking it.
    pub(super) fn pause(&self, wait: Duration) {
        let inner = self.lock();
        if !inner.closed && !wait.is_zero() {
            drop(self.sleep(inner, wait, false));
        }
    }

    fn sleep<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner<T>>,
        wait: Duration,
        parked: bool,
    ) -> MutexGuard<'a, Inner<T>> {
        let end = Instant::now() + wait;
        inner.parked = parked;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || inner.closed || (parked && !inner.items.is_empty()) {
                inner.parked = false;
                return inner;
            }
            let woken = self.bell.wait_timeout(inner, left);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// So many rows of so many bytes are out of memory.
    pub(super) fn release(&self, rows: usize, bytes: usize) {
        let mut inner = self.lock();
        inner.rows = inner.rows.saturating_sub(rows);
        inner.bytes = inner.bytes.saturating_sub(bytes);
    }

    /// Takes no more. What is in it can still be taken out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Rows and bytes that count at present.
    pub(super) fn load(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.rows, inner.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
