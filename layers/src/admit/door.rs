//! The state behind a lock, with what is given back when it is dropped: tickets and places. It knows no timers.

use super::Limits;
use super::state::{Arrival, Key, State};
use super::sync::Mutex;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Door {
    limits: Limits,
    state: Mutex<State>,
}

/// What became of a guest that came.
pub(super) enum Came {
    In(Inside),
    /// With its position in the queue, from 1.
    Waits(Ticket, usize),
    Full,
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct Ticket {
    door: Arc<Door>,
    group: Arc<str>,
    key: Key,
}

/// A place inside.
#[derive(Debug)]
pub(super) struct Inside {
    door: Arc<Door>,
    group: Arc<str>,
    since: Instant,
}

// === impl Door ===

impl Door {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::new(State::new(limits)) }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Wakes only after the lock is free again: whoever is woken wants it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (out, woken) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let out = change(&mut state);
            (out, state.take_woken())
        };
        for waker in woken {
            waker.wake();
        }
        out
    }

    pub(super) fn come(self: &Arc<Self>, group: Arc<str>, client: u64, now: Instant) -> Came {
        let arrival = self.change(|state| state.arrive(&group, client, now));
        let door = self.clone();
        match arrival {
            Arrival::In => Came::In(Inside { door, group, since: now }),
            Arrival::Waits(key, position) => Came::Waits(Ticket { door, group, key }, position),
            Arrival::Full => Came::Full,
        }
    }

    pub(super) fn try_come(self: &Arc<Self>, group: &Arc<str>, now: Instant) -> Option<Inside> {
        let is_in = self.change(|state| state.slip_in(group, now));
        is_in.then(|| Inside { door: self.clone(), group: group.clone(), since: now })
    }

    pub(super) fn full(&self, position: usize, waited: Duration) -> super::Full {
        self.change(|state| super::Full {
            places: self.limits.places,
            queued: state.count().1,
            position,
            waited,
            after: state.estimate(),
        })
    }

    pub(super) fn part(&self, one: &Arc<str>, other: &Arc<str>) {
        self.change(|state| state.part(one, other));
    }

    pub(super) fn reconcile(&self, groups: &[Arc<str>], now: Instant) {
        self.change(|state| state.reconcile(groups, now));
    }

    pub(super) fn rivals(&self, group: &Arc<str>) -> Vec<Arc<str>> {
        self.change(|state| state.rivals_of(group).cloned().collect())
    }

    pub(super) fn prepare(&self, group: &Arc<str>, begins: bool) {
        self.change(|state| state.prepare(group, begins));
    }

    pub(super) fn count(&self) -> (usize, usize) {
        self.change(|state| state.count())
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("limits", &self.limits).finish_non_exhaustive()
    }
}

// === impl Ticket ===

impl Ticket {
    /// The place, once there is one. Must not be polled after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Inside> {
        let is_in = self.door.change(|state| state.redeem(self.key, cx.waker(), now));
        if !is_in {
            return Poll::Pending;
        }
        Poll::Ready(Inside { door: self.door.clone(), group: self.group.clone(), since: now })
    }

    /// When time alone may change something for it.
    pub(super) fn next_event(&self, now: Instant) -> Option<Instant> {
        self.door.change(|state| state.next_event(self.key, now))
    }

    pub(super) fn is_prepared(&self) -> bool {
        self.door.change(|state| state.is_prepared(&self.group))
    }

    pub(super) fn door(&self) -> &Door {
        &self.door
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.door.change(|state| state.give_up(self.key, &self.group, Instant::now()));
    }
}

// === impl Inside ===

impl Drop for Inside {
    fn drop(&mut self) {
        let now = Instant::now();
        self.door.change(|state| state.leave(&self.group, Some(now - self.since), now));
    }
}
