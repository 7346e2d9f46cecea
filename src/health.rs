//! Whether each upstream is worth asking: what the last requests came to, for all of them to know.
//!
//! It outlives reloads: what was learnt of an upstream stays known for as long as the upstream stays where it is.
//!
//! A machine in the cloud and one under the desk fail differently. The first is left alone for seconds to a minute
//! once it has failed five times in a row, and one real request asks whether that is over. The second is usually not
//! broken but not started: only that nobody answers there counts, and whoever has no other target asks at once
//! whether somebody does now, in one small question for all who wait. Neither is blamed for what a client did wrong,
//! for a client that left, or for 429.

mod sign;
#[cfg(test)]
mod tests;

use self::sign::Sign;
use crate::error::Error;
use http::StatusCode;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use unigate_layers::breaker::{Breaker, Change, Open, Pass, Rules, State};

/// The health of every upstream. Cheap to clone; all clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    known: Arc<Mutex<BTreeMap<Arc<str>, Arc<Vital>>>>,
}

/// What kind of machine an upstream is, as far as failures go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This machine or one near it: only silence counts, and nobody waits for it to be over.
    Local,
    /// Somebody else's: failures count, and it is left alone for a while.
    Cloud,
    /// One that is always asked.
    Off,
}

/// The health of one upstream.
#[derive(Debug)]
pub struct Vital {
    name: Arc<str>,
    place: String,
    kind: Kind,
    breaker: Arc<Breaker>,
    last: Mutex<Arc<str>>,
    outages: AtomicU64,
    /// When somebody last asked in vain whether it is back; locked while somebody asks.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// The permission to ask an upstream: told how that went, or dropped when nobody waited to see.
#[derive(Debug)]
#[must_use = "dropped, it says that nothing was learnt"]
pub struct Leave {
    vital: Arc<Vital>,
    /// `None` for one that is always asked.
    pass: Option<Pass>,
}

/// How one upstream stands, for whoever shows it.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The upstream's name in the configuration.
    pub upstream: Arc<str>,
    /// Whether it is asked.
    pub state: State,
    /// The last failure that counted, in a sentence; empty when there was none.
    pub last: Arc<str>,
    /// How often it began to be left alone.
    pub outages: u64,
}

/// How long a local upstream that did not answer is passed over by those who can go elsewhere.
const PAUSE: Duration = Duration::from_secs(2);

/// The same for those who cannot: so long that a crowd asks once, so short that nobody notices.
const MOMENT: Duration = Duration::from_millis(100);

// === impl Health ===

impl Health {
    /// The upstream of this name, at this place; a stranger, if it was elsewhere or of another kind so far.
    pub fn of(&self, upstream: &str, place: &str, kind: Kind) -> Arc<Vital> {
        let mut known = self.known();
        if let Some(vital) = known.get(upstream)
            && vital.place == place
            && vital.kind == kind
        {
            return vital.clone();
        }
        let rules = match kind {
            Kind::Local => Rules::new().failures(3).pause(PAUSE, PAUSE).jitter(0.0),
            Kind::Cloud | Kind::Off => Rules::new(),
        };
        let vital = Arc::new(Vital {
            name: upstream.into(),
            place: place.to_owned(),
            kind,
            breaker: Breaker::new(rules),
            last: Mutex::new("".into()),
            outages: AtomicU64::new(0),
            asked: tokio::sync::Mutex::default(),
        });
        known.insert(vital.name.clone(), vital.clone());
        vital
    }

    /// Forgets all but these: those that a reload took away.
    pub fn retain(&self, names: impl Fn(&str) -> bool) {
        self.known().retain(|name, _| names(name));
    }

    /// How every upstream stands, by name.
    pub fn conditions(&self) -> Vec<Condition> {
        self.known().values().map(|vital| vital.condition()).collect()
    }

    /// The word for how this one stands, and its last failure; `None` for one that is asked as usual.
    pub fn failing(&self, upstream: &str) -> Option<(&'static str, Arc<str>)> {
        let condition = self.known().get(upstream)?.condition();
        (condition.state != State::Closed).then(|| (condition.word(), condition.last))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Vital>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Vital ===

impl Vital {
    /// The permission to ask it.
    ///
    /// `others` says whether another target could answer instead. `knock` asks a local upstream whether it is there, in
    /// a second at most; it is called only when nobody answered the last times, and by one at a time.
    ///
    /// # Errors
    /// [`Error::Open`], when it is to be left alone or is not back.
    pub async fn enter<F>(
        self: &Arc<Self>,
        others: bool,
        knock: impl FnOnce() -> F,
    ) -> Result<Leave, Error>
    where
        F: Future<Output = Result<(), String>>,
    {
        if self.kind == Kind::Local && self.breaker.state() != State::Closed {
            self.wake(others, knock).await?;
        }
        let pass = match self.kind {
            Kind::Off => None,
            Kind::Local | Kind::Cloud => {
                Some(self.breaker.enter().map_err(|Open { after }| self.open(after))?)
            }
        };
        Ok(Leave { vital: self.clone(), pass })
    }

    /// Asks whether a local upstream is back.
    async fn wake<F>(&self, others: bool, knock: impl FnOnce() -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<(), String>>,
    {
        let since = Instant::now();
        let (pause, after) = match others {
            true => (PAUSE, PAUSE),
            false => (MOMENT, Duration::from_secs(1)),
        };
        let mut asked = match others {
            // Somebody is asking already; this one has somewhere else to go.
            true => self.asked.try_lock().map_err(|_| self.open(after))?,
            false => self.asked.lock().await,
        };
        if self.breaker.state() == State::Closed {
            return Ok(());
        }
        // What somebody learnt while this one waited is news for it, too.
        if asked.is_some_and(|at| at >= since || at.elapsed() < pause) {
            return Err(self.open(after));
        }
        match knock().await {
            Ok(()) => {
                *asked = None;
                self.tell(self.breaker.close());
                Ok(())
            }
            Err(why) => {
                *asked = Some(Instant::now());
                self.note(why.into());
                Err(self.open(after))
            }
        }
    }

    fn condition(&self) -> Condition {
        Condition {
            upstream: self.name.clone(),
            state: self.breaker.state(),
            last: self.last(),
            outages: self.outages.load(Ordering::Relaxed),
        }
    }

    fn open(&self, after: Duration) -> Error {
        Error::Open { upstream: self.name.clone(), after, last: self.last() }
    }

    fn last(&self) -> Arc<str> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, why: Arc<str>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// One line for each change, and none for what it is made of.
    fn tell(&self, change: Option<Change>) {
        let (upstream, last) = (&*self.name, &*self.last());
        match change {
            None => {}
            Some(Change::Opened { pause }) => {
                self.outages.fetch_add(1, Ordering::Relaxed);
                let pause_ms = pause.as_millis() as u64;
                tracing::warn!(upstream, pause_ms, last, "upstream keeps failing; left alone");
            }
            Some(Change::StillOpen { pause }) => {
                let pause_ms = pause.as_millis() as u64;
                tracing::debug!(upstream, pause_ms, last, "upstream fails still");
            }
            Some(Change::Closed { after }) => {
                let after_ms = after.as_millis() as u64;
                tracing::info!(upstream, after_ms, "upstream answers again");
            }
        }
    }
}

// === impl Condition ===

impl Condition {
    /// The state in one word: `closed`, `open` or `half_open`.
    pub fn word(&self) -> &'static str {
        match self.state {
            State::Closed => "closed",
            State::Open { .. } => "open",
            State::HalfOpen => "half_open",
        }
    }
}

// === impl Leave ===

impl Leave {
    /// How it went: the status of an answer, or what happened instead.
    pub fn heard(self, result: Result<StatusCode, &Error>) {
        let Self { vital, pass: Some(pass) } = self else { return };
        let change = match sign::read(&vital.name, vital.kind, result) {
            Sign::Nothing => None,
            Sign::Alive => pass.succeeded(),
            Sign::Failed(why) => {
                vital.note(why);
                pass.failed()
            }
            Sign::Gone(why) => {
                vital.note(why);
                vital.breaker.trip()
            }
        };
        vital.tell(change);
    }
}
