//! Stops asking somebody who fails, and asks now and then whether that is over: a circuit breaker.
//!
//! One [`Breaker`] for each thing that can fail by itself. Whoever wants to ask takes a [`Pass`] and says how it
//! went; a pass that is dropped says nothing, which is what a cancelled request should say. After enough failures
//! in a row the breaker is open: nobody gets a pass until a pause is over, and then one does, the probe. When the
//! probe succeeds the breaker is closed; when it fails the next pause is twice as long; when it is dropped the next
//! one who asks becomes the probe.
//!
//! What a pass says counts only for the time in which it was given out. Requests that were sent long before an outage
//! and fail after it do not open the breaker again, and a probe that took longer than its lease, so that another one
//! was sent, neither closes the breaker nor frees the place of the other.
//!
//! ```
//! use std::time::Duration;
//! use unigate_layers::breaker::{Breaker, Change, Rules};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let breaker = Breaker::new(Rules::new().failures(2).pause(Duration::from_secs(5), Duration::from_secs(60)));
//! for _ in 0..2 {
//!     breaker.enter().unwrap().failed();
//! }
//! let open = breaker.enter().unwrap_err();
//! assert!(open.after <= Duration::from_secs(5));
//! tokio::time::advance(open.after).await;
//! let probe = breaker.enter().unwrap();
//! assert!(breaker.enter().is_err(), "one probe at a time");
//! assert!(matches!(probe.succeeded(), Some(Change::Closed { .. })));
//! assert!(breaker.enter().is_ok());
//! # }
//! ```

mod core;

use self::core::{Core, Ticket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    failures: u32,
    window: Duration,
    pause: Duration,
    longest: Duration,
    jitter: f64,
    lease: Duration,
}

/// A breaker; shared by everyone who asks the same thing.
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    core: Mutex<Core>,
}

/// The permission to ask once. Says how it went, or, dropped, nothing.
#[derive(Debug)]
#[must_use = "dropped, it says that nothing was learnt"]
pub struct Pass {
    breaker: Arc<Breaker>,
    // `None` once it has said how it went.
    ticket: Option<Ticket>,
}

/// Why there is no pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// How long until it is worth coming again.
    pub after: Duration,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everyone gets a pass.
    Closed,
    /// Nobody gets one for so long; zero when the next one to come is the probe.
    Open {
        /// What is left of the pause.
        left: Duration,
    },
    /// A probe is under way.
    HalfOpen,
}

/// What a breaker has become by what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Too many failures: open, for so long.
    Opened {
        /// Until the first probe.
        pause: Duration,
    },
    /// The probe failed: open, for so long.
    StillOpen {
        /// Until the next probe.
        pause: Duration,
    },
    /// Closed again.
    Closed {
        /// The time for which it was open.
        after: Duration,
    },
}

// === impl Rules ===

impl Rules {
    /// Opens after five failures in a row within a minute, for 5 s, doubling to 60 s, each up to a fifth shorter by
    /// chance; a probe has 30 s.
    #[expect(clippy::new_without_default, reason = "the numbers are a choice, not an absence")]
    pub fn new() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            pause: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            jitter: 0.2,
            lease: Duration::from_secs(30),
        }
    }

    /// How many failures in a row open it, 1 and up. Default 5; 0 means 1.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// The time within which they must come: a run that began longer ago starts over. Default 60 s.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How long it stays open at first, and at most; the pause doubles with each probe that fails. Default 5 s and 60 s.
    #[must_use]
    pub fn pause(mut self, first: Duration, longest: Duration) -> Self {
        (self.pause, self.longest) = (first, longest.max(first));
        self
    }

    /// The share of a pause that chance may take off, 0 to 1, so that many breakers do not probe at the same moment.
    /// Default 0.2.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share.clamp(0.0, 1.0);
        self
    }

    /// How long a probe may take; then another one may be sent, and the first counts no more. Default 30 s.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

// === impl Breaker ===

impl Breaker {
    /// A closed breaker.
    pub fn new(rules: Rules) -> Arc<Self> {
        Arc::new(Self { rules, core: Mutex::default() })
    }

    /// The permission to ask.
    ///
    /// # Errors
    /// [`Open`], while it is open and this is not the probe.
    pub fn enter(self: &Arc<Self>) -> Result<Pass, Open> {
        let ticket = self.core().enter(&self.rules, Instant::now())?;
        Ok(Pass { breaker: Arc::clone(self), ticket: Some(ticket) })
    }

    /// Opens it at once, whatever was counted; `None` when it is open already.
    pub fn trip(&self) -> Option<Change> {
        self.core().trip(&self.rules, Instant::now())
    }

    /// Closes it, because of something seen elsewhere; `None` when it is closed already.
    pub fn close(&self) -> Option<Change> {
        self.core().close(Instant::now())
    }

    /// How it stands now.
    pub fn state(&self) -> State {
        self.core().state(Instant::now())
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pass ===

impl Pass {
    /// Whether this is the one probe of an open breaker.
    pub fn is_probe(&self) -> bool {
        self.ticket.is_some_and(|ticket| ticket.is_probe())
    }

    /// It went well.
    pub fn succeeded(mut self) -> Option<Change> {
        let ticket = self.ticket.take()?;
        self.breaker.core().succeeded(ticket, Instant::now())
    }

    /// It failed.
    pub fn failed(mut self) -> Option<Change> {
        let ticket = self.ticket.take()?;
        self.breaker.core().failed(ticket, &self.breaker.rules, Instant::now())
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.core().left(ticket);
        }
    }
}

#[cfg(test)]
mod tests;
