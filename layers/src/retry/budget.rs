//! How many retries all requests together may cause, per upstream.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

// The window moves in steps of a tenth.
const SLOTS: u64 = 10;

// Names come from configuration; should one ever come from a request, memory stays bounded, and what
// exceeds it shares one account.
const MAX_ACCOUNTS: usize = 1024;

/// A shared limit on retries: a share of the requests of the last while, or a few where that is more.
///
/// When an upstream is ill, every client's request becomes several, which is what keeps it ill. The
/// budget lets a single failure be retried and a storm not: with 20 percent, however many requests fail, what they
/// become is never more than 1.2 times as many. One account per upstream, into which each client's request pays once
/// when it first comes to that upstream.
pub struct Budget {
    percent: AtomicU32,
    reserve: f64,
    slot: Duration,
    start: Instant,
    accounts: Mutex<HashMap<Arc<str>, Account>>,
}

#[derive(Clone, Copy, Default)]
struct Account {
    slots: [Slot; SLOTS as usize],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    // Which tenth of a window since the start this slot counts; others are stale.
    number: u64,
    requests: u32,
    retries: u32,
}

// === impl Budget ===

impl Budget {
    /// Allows, within `window`, retries for `percent` of the requests, or `min_per_s` a second where that is more.
    ///
    /// `percent` may exceed 100. A good start for a few clients: 20, 10, ten seconds.
    pub fn new(percent: u32, min_per_s: u32, window: Duration) -> Self {
        let window = window.max(Duration::from_millis(10));
        Self {
            percent: AtomicU32::new(percent),
            reserve: f64::from(min_per_s) * window.as_secs_f64(),
            slot: window / SLOTS as u32,
            start: Instant::now(),
            accounts: Mutex::new(HashMap::new()),
        }
    }

    /// Allows another share from now on; what was paid in and taken out so far still counts.
    pub fn set_percent(&self, percent: u32) {
        self.percent.store(percent, Ordering::Relaxed);
    }

    fn share(&self) -> f64 {
        f64::from(self.percent.load(Ordering::Relaxed)) / 100.0
    }

    /// Counts one request of a client.
    pub fn deposit(&self, upstream: &str) {
        let now = self.now();
        self.with(upstream, |account| {
            let slot = account.slot(now);
            slot.requests = slot.requests.saturating_add(1);
        });
    }

    /// Takes one retry out, if there is one left.
    pub fn withdraw(&self, upstream: &str) -> bool {
        let now = self.now();
        self.with(upstream, |account| {
            let (requests, retries) = account.sums(now);
            let allowed = self.reserve.max(self.share() * requests);
            if retries + 1.0 > allowed {
                return false;
            }
            let slot = account.slot(now);
            slot.retries = slot.retries.saturating_add(1);
            true
        })
    }

    // The number of the present slot, from 1, so that an unused slot is never the present one.
    fn now(&self) -> u64 {
        let passed = self.start.elapsed().as_nanos() / self.slot.as_nanos().max(1);
        u64::try_from(passed).unwrap_or(u64::MAX - 1) + SLOTS
    }

    fn with<T>(&self, upstream: &str, act: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.lock();
        if let Some(account) = accounts.get_mut(upstream) {
            return act(account);
        }
        let name = if accounts.len() < MAX_ACCOUNTS { upstream } else { "" };
        match accounts.entry(Arc::from(name)) {
            Entry::Occupied(account) => act(account.into_mut()),
            Entry::Vacant(place) => act(place.insert(Account::default())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("share", &self.share())
            .field("reserve", &self.reserve)
            .field("accounts", &self.lock().len())
            .finish_non_exhaustive()
    }
}

// === impl Account ===

impl Account {
    fn slot(&mut self, now: u64) -> &mut Slot {
        let slot = &mut self.slots[(now % SLOTS) as usize];
        if slot.number != now {
            *slot = Slot { number: now, requests: 0, retries: 0 };
        }
        slot
    }

    // Requests and retries within the window.
    fn sums(&self, now: u64) -> (f64, f64) {
        let oldest = now - (SLOTS - 1);
        self.slots.iter().filter(|slot| slot.number >= oldest).fold((0.0, 0.0), |sums, slot| {
            (sums.0 + f64::from(slot.requests), sums.1 + f64::from(slot.retries))
        })
    }
}
