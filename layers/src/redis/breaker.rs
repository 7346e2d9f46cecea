//! Notices that a peer is away, and asks now and then whether it is back.

use std::time::Duration;
use tokio::time::Instant;

const TIMEOUTS: u32 = 3;
const FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

// Closed while `outage` is absent.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    // In a row.
    timeouts: u32,
    failures: u32,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    probe_at: Instant,
    pause: Duration,
    probing: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Opened,
    StillOpen,
    Recovered { after: Duration },
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.outage.is_some()
    }

    // How a command went that was sent while the breaker was closed; it may be open by now.
    pub(super) fn outcome(&mut self, ok: bool, timeout: bool) -> Option<Change> {
        if self.is_open() {
            return None;
        }
        if ok {
            (self.timeouts, self.failures) = (0, 0);
            return None;
        }
        self.failures += 1;
        self.timeouts = if timeout { self.timeouts + 1 } else { 0 };
        if self.timeouts < TIMEOUTS && self.failures < FAILURES {
            return None;
        }
        let now = Instant::now();
        self.outage = Some(Outage {
            since: now,
            probe_at: now + FIRST_PAUSE,
            pause: FIRST_PAUSE,
            probing: false,
        });
        Some(Change::Opened)
    }

    // True once per pause: whoever hears it sends the probe.
    pub(super) fn may_probe(&mut self, now: Instant) -> bool {
        match &mut self.outage {
            Some(outage) if !outage.probing && now >= outage.probe_at => {
                outage.probing = true;
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn probed(&mut self, ok: bool, now: Instant) -> Option<Change> {
        let outage = self.outage.as_mut()?;
        if ok {
            let after = now.duration_since(outage.since);
            *self = Self::default();
            return Some(Change::Recovered { after });
        }
        outage.pause = (outage.pause * 2).min(LONGEST_PAUSE);
        outage.probe_at = now + outage.pause;
        outage.probing = false;
        Some(Change::StillOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(breaker: &mut Breaker, timeout: bool, times: u32) -> Option<Change> {
        (0..times).map(|_| breaker.outcome(false, timeout)).last().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn three_timeouts_in_a_row_open_it() {
        let mut breaker = Breaker::default();
        assert_eq!(fails(&mut breaker, true, 2), None);
        breaker.outcome(true, false);
        assert_eq!(fails(&mut breaker, true, 2), None);
        assert_eq!(fails(&mut breaker, true, 1), Some(Change::Opened));
        assert_eq!(fails(&mut breaker, true, 9), None, "an outage is told once");
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_of_any_kind_open_it() {
        let mut breaker = Breaker::default();
        assert_eq!(fails(&mut breaker, false, 3), None);
        assert_eq!(fails(&mut breaker, true, 1), None);
        assert_eq!(fails(&mut breaker, false, 1), Some(Change::Opened));
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_per_pause_and_pauses_double_to_thirty_seconds() {
        let mut breaker = Breaker::default();
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
    async fn a_good_probe_closes_it_and_the_next_outage_starts_over() {
        let mut breaker = Breaker::default();
        fails(&mut breaker, false, 5);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.may_probe(Instant::now()));
        let after = Duration::from_secs(1);
        assert_eq!(breaker.probed(true, Instant::now()), Some(Change::Recovered { after }));
        assert!(!breaker.is_open());
        assert_eq!(fails(&mut breaker, false, 4), None);
    }
}
