//! What those who push and the writer's thread have in common: the queue, the counts, and a bell.

use super::queue::Queue;
use super::{Begun, Failing, SqliteOptions, Told};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) enum Message<R> {
    // Boxed: the queue keeps room for as many as it ever held.
    Row(Box<Entry<R>>),
    Begun(u64, Arc<dyn Begun>),
}

pub(super) struct Entry<R> {
    pub(super) row: R,
    pub(super) bytes: usize,
    pub(super) ticket: Option<u64>,
    pub(super) told: Option<Told>,
}

pub(super) struct Shared<R> {
    pub(super) queue: Queue<Message<R>>,
    pub(super) tickets: AtomicU64,
    // Taken into the queue, or found in the spool; written; refused by the table; given up. Each only grows.
    pub(super) accepted: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) abandoned: AtomicU64,
    // Not taken into the queue: it was full, or closed.
    pub(super) overflowed: AtomicU64,
    pub(super) late: AtomicU64,
    // In the spool now.
    pub(super) spooled: AtomicU64,
    pub(super) spool_bytes: AtomicU64,
    pub(super) running: AtomicU64,
    pub(super) replaced: AtomicU64,
    // The deadline of `close` is over: end at once.
    pub(super) give_up: AtomicBool,
    pub(super) state: Mutex<State>,
    // Rang when a batch is done, at the end, and when a flag was set.
    pub(super) bell: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) finished: bool,
    pub(super) failing: Option<Failing>,
}

impl<R> Shared<R> {
    pub(super) fn new(options: &SqliteOptions) -> Self {
        Self {
            queue: Queue::new(options.queue, options.queue_bytes),
            tickets: AtomicU64::new(1),
            accepted: AtomicU64::default(),
            written: AtomicU64::default(),
            rejected: AtomicU64::default(),
            abandoned: AtomicU64::default(),
            overflowed: AtomicU64::default(),
            late: AtomicU64::default(),
            spooled: AtomicU64::default(),
            spool_bytes: AtomicU64::default(),
            running: AtomicU64::default(),
            replaced: AtomicU64::default(),
            give_up: AtomicBool::default(),
            state: Mutex::default(),
            bell: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Written, or never to be.
    pub(super) fn done(&self) -> u64 {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        read(&self.written) + read(&self.rejected) + read(&self.abandoned)
    }

    pub(super) fn dropped(&self) -> u64 {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        read(&self.overflowed) + read(&self.late) + read(&self.rejected) + read(&self.abandoned)
    }

    pub(super) fn waiting(&self) -> u64 {
        let spooled = self.spooled.load(Ordering::Acquire);
        self.accepted.load(Ordering::Acquire).saturating_sub(self.done() + spooled)
    }

    pub(super) fn gives_up(&self) -> bool {
        self.give_up.load(Ordering::Acquire)
    }

    // Under the lock, so that no one who just looked misses it.
    pub(super) fn ring(&self) {
        drop(self.lock());
        self.bell.notify_all();
    }

    // Whether it became true in time.
    pub(super) fn wait(&self, limit: Duration, until: impl Fn(&Self, &State) -> bool) -> bool {
        let end = Instant::now().checked_add(limit);
        let mut state = self.lock();
        loop {
            if until(self, &state) {
                return true;
            }
            let left = end.map_or(Duration::from_secs(3600), |end| {
                end.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            state = self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
