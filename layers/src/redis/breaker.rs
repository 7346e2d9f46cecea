//! Notices that a peer is away, and asks now and then whether it is back.

use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

// How much trouble in a row is an outage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    timeouts: u32,
    failures: u32,
}

// For whether it answers at all.
pub(super) const ANSWERS: Limits = Limits { timeouts: 3, failures: 5 };
// For whether it takes writes: it says so itself.
pub(super) const WRITES: Limits = Limits { timeouts: 3, failures: 3 };

// Closed while `outage` is absent.
#[derive(Debug)]
pub(super) struct Breaker {
    limits: Limits,
    // In a row.
    timeouts: u32,
    failures: u32,
    outage: Option<Outage>,
    // When the last outage ended, and its last pause.
    last: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    probe_at: Instant,
    pause: Duration,
}

// How a command went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Good,
    // Answered in time, which says nothing of other commands.
    There,
    Timeout,
    Failed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Opened,
    StillOpen,
    Recovered { after: Duration },
}

impl Breaker {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, timeouts: 0, failures: 0, outage: None, last: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.outage.is_some()
    }

    // How a command went that was sent while the breaker was closed; it may be open by now.
    pub(super) fn outcome(&mut self, outcome: Outcome) -> Option<Change> {
        if self.is_open() {
            return None;
        }
        match outcome {
            Outcome::Good => {
                (self.timeouts, self.failures) = (0, 0);
                return None;
            }
            Outcome::There => {
                self.timeouts = 0;
                return None;
            }
            Outcome::Timeout => self.timeouts += 1,
            Outcome::Failed => self.timeouts = 0,
        }
        self.failures += 1;
        if self.timeouts < self.limits.timeouts && self.failures < self.limits.failures {
            return None;
        }
        let now = Instant::now();
        // One that comes and goes is asked as seldom as one that stays away.
        let pause = match self.last {
            Some((ended, pause)) if now.duration_since(ended) < LONGEST_PAUSE => longer(pause),
            Some(_) | None => FIRST_PAUSE,
        };
        self.outage = Some(Outage { since: now, probe_at: now + pause, pause });
        Some(Change::Opened)
    }

    // True once per pause: whoever hears it sends the probe. One whose outcome is never told costs no more than its pause.
    pub(super) fn may_probe(&mut self, now: Instant) -> bool {
        match &mut self.outage {
            Some(outage) if now >= outage.probe_at => {
                outage.probe_at = now + outage.pause;
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn probed(&mut self, ok: bool, now: Instant) -> Option<Change> {
        let outage = self.outage.as_mut()?;
        if ok {
            let after = now.duration_since(outage.since);
            let last = Some((now, outage.pause));
            *self = Self { last, ..Self::new(self.limits) };
            return Some(Change::Recovered { after });
        }
        outage.pause = longer(outage.pause);
        outage.probe_at = now + outage.pause;
        Some(Change::StillOpen)
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(breaker: &mut Breaker, timeout: bool, times: u32) -> Option<Change> {
        let outcome = if timeout { Outcome::Timeout } else { Outcome::Failed };
        (0..times).map(|_| breaker.outcome(outcome)).last().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn three_timeouts_in_a_row_open_it() {
        let mut breaker = Breaker::new(ANSWERS);
        assert_eq!(fails(&mut breaker, true, 2), None);
        breaker.outcome(Outcome::Good);
        assert_eq!(fails(&mut breaker, true, 2), None);
        assert_eq!(fails(&mut breaker, true, 1), Some(Change::Opened));
        assert_eq!(fails(&mut breaker, true, 9), None, "an outage is told once");
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_of_any_kind_open_it() {
        let mut breaker = Breaker::new(ANSWERS);
        assert_eq!(fails(&mut breaker, false, 3), None);
        assert_eq!(fails(&mut breaker, true, 1), None);
        assert_eq!(fails(&mut breaker, false, 1), Some(Change::Opened));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_only_there_does_not_make_up_for_what_fails() {
        let mut breaker = Breaker::new(ANSWERS);
        for _ in 0..4 {
            fails(&mut breaker, false, 1);
            breaker.outcome(Outcome::There);
        }
        assert_eq!(fails(&mut breaker, false, 1), Some(Change::Opened));
        let mut breaker = Breaker::new(ANSWERS);
        fails(&mut breaker, true, 2);
        breaker.outcome(Outcome::There);
        assert_eq!(fails(&mut breaker, true, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_per_pause_and_pauses_double_to_thirty_seconds() {
        let mut breaker = Breaker::new(ANSWERS);
        fails(&mut breaker, false, 5);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let before = Instant::now();
            while !breaker.may_probe(Instant::now()) {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            assert!(!breaker.may_probe(Instant::now()), "one is under way");
            pauses.push(before.elapsed().as_secs());
            assert_eq!(breaker.probed(false, Instant::now()), Some(Change::StillOpen));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_probe_closes_it_and_an_outage_much_later_starts_over() {
        let mut breaker = Breaker::new(ANSWERS);
        fails(&mut breaker, false, 5);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.may_probe(Instant::now()));
        let after = Duration::from_secs(1);
        assert_eq!(breaker.probed(true, Instant::now()), Some(Change::Recovered { after }));
        assert!(!breaker.is_open());
        tokio::time::advance(LONGEST_PAUSE).await;
        assert_eq!(fails(&mut breaker, false, 4), None);
        assert_eq!(fails(&mut breaker, false, 1), Some(Change::Opened));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.may_probe(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_and_goes_is_asked_ever_less_often() {
        let mut breaker = Breaker::new(ANSWERS);
        let (start, mut outages) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(600) {
            // It dies at once when it is used, and is there whenever it is asked.
            outages += u32::from(fails(&mut breaker, false, 5) == Some(Change::Opened));
            tokio::time::advance(Duration::from_millis(200)).await;
            if breaker.may_probe(Instant::now()) {
                breaker.probed(true, Instant::now());
            }
        }
        assert!((20..30).contains(&outages), "{outages}");
    }
}
