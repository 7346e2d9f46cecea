//! The breaker without its lock: what it counts, and which tickets still count.

use super::{Change, Open, Rules, State};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;

// What one who is turned away by a probe that is under way is told: it may be decided any moment.
const SOON: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Core {
    // Moves on with every opening and closing: what was given out before does not count after.
    era: u64,
    // Of the last probe; never given out twice, so that a probe is not taken for its successor.
    probes: u64,
    stand: Stand,
}

#[derive(Debug)]
enum Stand {
    Closed { failures: u32, first: Option<Instant> },
    Open(Outage),
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    until: Instant,
    // The whole pause, before chance took its part.
    pause: Duration,
    probe: Option<Probe>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u64,
    expires: Instant,
}

// What a pass is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    era: u64,
    probe: Option<u64>,
}

// === impl Core ===

impl Core {
    pub(super) fn enter(&mut self, rules: &Rules, now: Instant) -> Result<Ticket, Open> {
        let Stand::Open(outage) = &mut self.stand else {
            return Ok(Ticket { era: self.era, probe: None });
        };
        if now < outage.until {
            return Err(Open { after: outage.until - now });
        }
        if outage.probe.is_some_and(|probe| now < probe.expires) {
            return Err(Open { after: SOON });
        }
        self.probes += 1;
        outage.probe = Some(Probe { number: self.probes, expires: now + rules.lease });
        Ok(Ticket { era: self.era, probe: Some(self.probes) })
    }

    pub(super) fn succeeded(&mut self, ticket: Ticket, now: Instant) -> Option<Change> {
        if ticket.era != self.era {
            return None;
        }
        match &mut self.stand {
            Stand::Closed { failures, first } => {
                (*failures, *first) = (0, None);
                None
            }
            Stand::Open(outage) if outage.is_probe(ticket) => self.close(now),
            Stand::Open(_) => None,
        }
    }

    pub(super) fn failed(&mut self, ticket: Ticket, rules: &Rules, now: Instant) -> Option<Change> {
        if ticket.era != self.era {
            return None;
        }
        match &mut self.stand {
            Stand::Closed { failures, first } => {
                if first.is_none_or(|first| now.duration_since(first) > rules.window) {
                    (*failures, *first) = (0, Some(now));
                }
                *failures += 1;
                if *failures < rules.failures {
                    return None;
                }
                self.trip(rules, now)
            }
            Stand::Open(outage) if outage.is_probe(ticket) => {
                let pause = outage.pause.saturating_mul(2).min(rules.longest);
                *outage = Outage::new(outage.since, now, pause, rules);
                Some(Change::StillOpen { pause: outage.until - now })
            }
            Stand::Open(_) => None,
        }
    }

    // Dropped without a word: the next one may be the probe.
    pub(super) fn left(&mut self, ticket: Ticket) {
        if let Stand::Open(outage) = &mut self.stand
            && ticket.era == self.era
            && outage.is_probe(ticket)
        {
            outage.probe = None;
        }
    }

    pub(super) fn trip(&mut self, rules: &Rules, now: Instant) -> Option<Change> {
        if matches!(self.stand, Stand::Open(_)) {
            return None;
        }
        self.era += 1;
        let outage = Outage::new(now, now, rules.pause, rules);
        let pause = outage.until - now;
        self.stand = Stand::Open(outage);
        Some(Change::Opened { pause })
    }

    pub(super) fn close(&mut self, now: Instant) -> Option<Change> {
        let Stand::Open(outage) = &self.stand else { return None };
        let after = now.duration_since(outage.since);
        self.era += 1;
        self.stand = Stand::default();
        Some(Change::Closed { after })
    }

    pub(super) fn state(&self, now: Instant) -> State {
        match &self.stand {
            Stand::Closed { .. } => State::Closed,
            Stand::Open(outage) if outage.probe.is_some_and(|probe| now < probe.expires) => {
                State::HalfOpen
            }
            Stand::Open(outage) => {
                State::Open { left: outage.until.saturating_duration_since(now) }
            }
        }
    }
}

impl Default for Stand {
    fn default() -> Self {
        Self::Closed { failures: 0, first: None }
    }
}

// === impl Outage ===

impl Outage {
    fn new(since: Instant, now: Instant, pause: Duration, rules: &Rules) -> Self {
        // Each `RandomState` has new keys, so hashing anything with it is a random number.
        let chance = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
        let until = now + pause.mul_f64(1.0 - rules.jitter * chance);
        Self { since, until, pause, probe: None }
    }

    fn is_probe(&self, ticket: Ticket) -> bool {
        self.probe.is_some_and(|probe| ticket.probe == Some(probe.number))
    }
}

// === impl Ticket ===

impl Ticket {
    pub(super) fn is_probe(self) -> bool {
        self.probe.is_some()
    }
}
