//! Who is inside, who waits, and who is next; plain data that is told the time.

use super::Limits;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// A guest's place in the order: its turn among the clients, then its arrival.
pub(super) type Key = (u64, u64);

#[derive(Debug)]
pub(super) struct State {
    limits: Limits,
    taken: usize,
    // Only groups of which there is something to say.
    groups: HashMap<Arc<str>, Group>,
    // Each pair in its order.
    rivals: BTreeSet<(Arc<str>, Arc<str>)>,
    waiting: BTreeMap<Key, Waiter>,
    // They have a place and have not been told.
    granted: HashSet<Key>,
    // For each client that waits or waited lately, the turn that comes after its last one.
    after: HashMap<u64, u64>,
    // The turn that was served last.
    turn: u64,
    arrivals: u64,
    // How long a place is held, smoothed.
    held: Option<Duration>,
    woken: Vec<Waker>,
}

/// What became of a guest that came.
pub(super) enum Arrival {
    In,
    Waits(Key, usize),
    Full,
}

#[derive(Debug, Default)]
struct Group {
    taken: usize,
    preparing: usize,
    // Since when nobody of it has been inside; kept where it has rivals.
    idle: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    group: Arc<str>,
    since: Instant,
    waker: Option<Waker>,
}

/// How long a group counts as inside after its last guest left: whoever asks again at once, as programs do, need not
/// see a rival in its place.
const LINGER: Duration = Duration::from_millis(250);

/// Most pairs of rivals; more are the work of somebody who makes up groups.
const MAX_RIVALS: usize = 256;

/// The bounds of an estimate.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(600);

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            taken: 0,
            groups: HashMap::new(),
            rivals: BTreeSet::new(),
            waiting: BTreeMap::new(),
            granted: HashSet::new(),
            after: HashMap::new(),
            turn: 0,
            arrivals: 0,
            held: None,
            woken: Vec::new(),
        }
    }

    /// Whom to wake when the lock is free.
    pub(super) fn take_woken(&mut self) -> Vec<Waker> {
        mem::take(&mut self.woken)
    }

    /// Guests inside, and guests that wait.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.taken, self.waiting.len())
    }

    pub(super) fn arrive(&mut self, group: &Arc<str>, client: u64, now: Instant) -> Arrival {
        if self.slip_in(group, now) {
            return Arrival::In;
        }
        if self.waiting.len() >= self.limits.queue {
            return Arrival::Full;
        }
        // Start-time fair queueing: a client's next guest is a turn behind its last one, and nobody saves up turns.
        let turn = self.after.get(&client).map_or(self.turn, |after| (*after).max(self.turn));
        self.after.insert(client, turn + 1);
        self.arrivals += 1;
        let key = (turn, self.arrivals);
        let position = 1 + self.waiting.range(..key).count();
        self.waiting.insert(key, Waiter { group: group.clone(), since: now, waker: None });
        Arrival::Waits(key, position)
    }

    /// In, without waiting; `false` where that cannot be.
    pub(super) fn slip_in(&mut self, group: &Arc<str>, now: Instant) -> bool {
        // Time may have made way for somebody who has not noticed.
        self.settle(now);
        let is_in = self.has_place() && self.is_open(group, now, now);
        if is_in {
            self.take(group);
        }
        is_in
    }

    /// Whether it is in; where not, it is told later.
    pub(super) fn redeem(&mut self, key: Key, waker: &Waker, now: Instant) -> bool {
        self.settle(now);
        if self.granted.remove(&key) {
            return true;
        }
        if let Some(waiter) = self.waiting.get_mut(&key) {
            match &mut waiter.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        false
    }

    /// It waits no longer; a place that it was given and had not heard of goes to the next.
    pub(super) fn give_up(&mut self, key: Key, group: &Arc<str>, now: Instant) {
        if self.waiting.remove(&key).is_some() {
            // Rivals may have waited behind it.
            self.settle(now);
            self.forget();
        } else if self.granted.remove(&key) {
            self.leave(group, None, now);
        }
    }

    /// A place is free again. `held`: how long it was held, where that says anything.
    pub(super) fn leave(&mut self, group: &Arc<str>, held: Option<Duration>, now: Instant) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(held) = held {
            self.held =
                Some(self.held.map_or(held, |before| before.mul_f64(0.8) + held.mul_f64(0.2)));
        }
        let has_rivals = self.has_rivals(group);
        if let Some(known) = self.groups.get_mut(group) {
            known.taken = known.taken.saturating_sub(1);
            if known.taken == 0 {
                known.idle = has_rivals.then_some(now);
                if has_rivals {
                    self.wake_rivals(group);
                }
            }
        }
        self.settle(now);
        self.forget();
        self.tidy(group, now);
    }

    pub(super) fn part(&mut self, one: &Arc<str>, other: &Arc<str>) {
        if self.rivals.len() >= MAX_RIVALS {
            self.rivals.clear();
        }
        if one != other {
            self.rivals.insert(pair(one, other));
        }
    }

    pub(super) fn reconcile(&mut self, groups: &[Arc<str>], now: Instant) {
        if !self.rivals.is_empty() {
            self.rivals.retain(|(one, other)| !(groups.contains(one) && groups.contains(other)));
            self.settle(now);
        }
    }

    pub(super) fn prepare(&mut self, group: &Arc<str>, begins: bool) {
        let known = self.groups.entry(group.clone()).or_default();
        match begins {
            true => known.preparing += 1,
            false => known.preparing = known.preparing.saturating_sub(1),
        }
        if !begins {
            self.tidy(group, Instant::now());
        }
    }

    pub(super) fn is_prepared(&self, group: &Arc<str>) -> bool {
        self.groups.get(group).is_some_and(|known| known.preparing > 0)
    }

    /// When time alone may change something for this guest: it has waited long enough for its rivals, or they have been
    /// away for long enough.
    pub(super) fn next_event(&self, key: Key, now: Instant) -> Option<Instant> {
        let waiter = self.waiting.get(&key)?;
        let rivals: Vec<_> = self.rivals_of(&waiter.group).collect();
        if rivals.is_empty() {
            return None;
        }
        let idle = rivals.iter().filter_map(|rival| Some(self.groups.get(*rival)?.idle? + LINGER));
        idle.chain([waiter.since + self.limits.turn]).filter(|event| *event > now).min()
    }

    /// When one more guest may hope for a place.
    pub(super) fn estimate(&self) -> Duration {
        let places = self.limits.places.max(self.limits.per_group).max(1);
        let ahead = u32::try_from(self.waiting.len() + 1).unwrap_or(u32::MAX);
        let held = self.held.unwrap_or_default();
        let turns = held.saturating_mul(ahead) / u32::try_from(places).unwrap_or(u32::MAX);
        turns.clamp(SOON, LATE)
    }

    /// Lets in whoever can be let in.
    fn settle(&mut self, now: Instant) {
        while self.has_place() {
            let next = self
                .waiting
                .iter()
                .find(|(_, waiter)| self.is_open(&waiter.group, waiter.since, now))
                .map(|(key, _)| *key);
            let Some((key, waiter)) = next.and_then(|key| Some((key, self.waiting.remove(&key)?)))
            else {
                return;
            };
            self.turn = self.turn.max(key.0);
            self.take(&waiter.group);
            self.granted.insert(key);
            self.woken.extend(waiter.waker);
        }
    }

    fn has_place(&self) -> bool {
        self.limits.places == 0 || self.taken < self.limits.places
    }

    /// Whether a guest of this group that has waited since then may take a place, if there is one.
    fn is_open(&self, group: &Arc<str>, since: Instant, now: Instant) -> bool {
        let taken = self.groups.get(group).map_or(0, |known| known.taken);
        if self.limits.per_group > 0 && taken >= self.limits.per_group {
            return false;
        }
        if self.rivals.is_empty() {
            return true;
        }
        let overdue = |since: Instant| now.saturating_duration_since(since) >= self.limits.turn;
        for rival in self.rivals_of(group) {
            let Some(rival) = self.groups.get(rival) else { continue };
            let lingers = rival.idle.is_some_and(|idle| now < idle + LINGER);
            if rival.taken > 0 || lingers && !overdue(since) {
                return false;
            }
        }
        // A rival that has waited long enough, and longer than this one, is next.
        !self.waiting.values().any(|other| {
            overdue(other.since)
                && other.since < since
                && other.group != *group
                && self.rivals.contains(&pair(&other.group, group))
        })
    }

    fn take(&mut self, group: &Arc<str>) {
        self.taken += 1;
        let known = self.groups.entry(group.clone()).or_default();
        known.taken += 1;
        known.idle = None;
    }

    pub(super) fn rivals_of<'a>(
        &'a self,
        group: &'a Arc<str>,
    ) -> impl Iterator<Item = &'a Arc<str>> {
        self.rivals.iter().filter_map(move |(one, other)| match () {
            () if one == group => Some(other),
            () if other == group => Some(one),
            () => None,
        })
    }

    fn has_rivals(&self, group: &Arc<str>) -> bool {
        !self.rivals.is_empty() && self.rivals_of(group).next().is_some()
    }

    /// Their clocks run from now on.
    fn wake_rivals(&mut self, group: &Arc<str>) {
        for waiter in self.waiting.values_mut() {
            if self.rivals.contains(&pair(&waiter.group, group)) {
                self.woken.extend(waiter.waker.take());
            }
        }
    }

    /// Nobody waits: there are no turns to remember.
    fn forget(&mut self) {
        if self.waiting.is_empty() {
            self.after.clear();
        }
    }

    fn tidy(&mut self, group: &Arc<str>, now: Instant) {
        let is_idle = |known: &Group| {
            known.taken == 0
                && known.preparing == 0
                && known.idle.is_none_or(|idle| idle + LINGER <= now)
        };
        if self.groups.get(group).is_some_and(is_idle) {
            self.groups.remove(group);
        }
        if self.groups.len() > 2 * MAX_RIVALS {
            self.groups.retain(|_, known| !is_idle(known));
        }
    }
}

fn pair(one: &Arc<str>, other: &Arc<str>) -> (Arc<str>, Arc<str>) {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    (low.clone(), high.clone())
}
