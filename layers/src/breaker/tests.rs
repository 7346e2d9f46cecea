use super::*;
use tokio::time::advance;

const S: Duration = Duration::from_secs(1);

fn breaker() -> Arc<Breaker> {
    Breaker::new(Rules::new().jitter(0.0))
}

fn fail(breaker: &Arc<Breaker>, times: u32) -> Option<Change> {
    (0..times).map(|_| breaker.enter().unwrap().failed()).fold(None, |_, change| change)
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_it_and_a_success_between_them_starts_over() {
    let breaker = breaker();
    assert_eq!(fail(&breaker, 4), None);
    assert_eq!(breaker.enter().unwrap().succeeded(), None);
    assert_eq!(fail(&breaker, 4), None);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(fail(&breaker, 1), Some(Change::Opened { pause: 5 * S }));
    assert_eq!(breaker.enter().unwrap_err(), Open { after: 5 * S });
    advance(2 * S).await;
    assert_eq!(breaker.state(), State::Open { left: 3 * S });
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_far_apart_are_no_outage() {
    let breaker = breaker();
    for _ in 0..20 {
        assert_eq!(fail(&breaker, 1), None);
        advance(31 * S).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_counts_neither_way() {
    let breaker = breaker();
    assert_eq!(fail(&breaker, 4), None);
    for _ in 0..10 {
        drop(breaker.enter().unwrap());
    }
    assert!(fail(&breaker, 1).is_some(), "the four before still count");
}

#[tokio::test(start_paused = true)]
async fn one_probe_a_pause_and_pauses_double_to_a_minute() {
    let breaker = breaker();
    fail(&breaker, 5);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let before = Instant::now();
        while breaker.enter().is_err() {
            advance(S).await;
        }
        pauses.push(before.elapsed().as_secs());
        // The pass above was dropped: its place is free again at once.
        let probe = breaker.enter().unwrap();
        assert!(probe.is_probe());
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(breaker.enter().unwrap_err(), Open { after: S });
        assert!(matches!(probe.failed(), Some(Change::StillOpen { .. })));
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    advance(60 * S).await;
    let closed = breaker.enter().unwrap().succeeded();
    assert_eq!(closed, Some(Change::Closed { after: 255 * S }));
    assert_eq!(fail(&breaker, 5), Some(Change::Opened { pause: 5 * S }), "the next starts over");
}

#[tokio::test(start_paused = true)]
async fn chance_shortens_a_pause_by_a_fifth_at_most() {
    for _ in 0..100 {
        let breaker = Breaker::new(Rules::new());
        let Some(Change::Opened { pause }) = fail(&breaker, 5) else { panic!() };
        assert!(pause >= 4 * S && pause <= 5 * S, "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_from_before_an_outage_do_not_open_it_again() {
    let breaker = breaker();
    let old: Vec<Pass> = (0..10).map(|_| breaker.enter().unwrap()).collect();
    fail(&breaker, 5);
    advance(5 * S).await;
    breaker.enter().unwrap().succeeded();
    for pass in old {
        assert_eq!(pass.failed(), None);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_success_from_before_an_outage_does_not_end_it() {
    let breaker = breaker();
    let old = breaker.enter().unwrap();
    fail(&breaker, 5);
    assert_eq!(old.succeeded(), None);
    assert!(breaker.enter().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_superseded_counts_no_more_however_it_ends() {
    type End = fn(Pass);
    let ends: [End; 3] =
        [drop, |pass| assert_eq!(pass.failed(), None), |pass| assert_eq!(pass.succeeded(), None)];
    for end in ends {
        let breaker = breaker();
        fail(&breaker, 5);
        advance(5 * S).await;
        let slow = breaker.enter().unwrap();
        advance(30 * S).await;
        let second = breaker.enter().unwrap();
        end(slow);
        assert_eq!(breaker.state(), State::HalfOpen, "the place is the second's");
        assert!(breaker.enter().is_err());
        assert!(matches!(second.succeeded(), Some(Change::Closed { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn it_can_be_opened_and_closed_from_outside() {
    let breaker = breaker();
    assert_eq!(breaker.close(), None);
    assert_eq!(breaker.trip(), Some(Change::Opened { pause: 5 * S }));
    assert_eq!(breaker.trip(), None, "an outage is told once");
    assert_eq!(breaker.close(), Some(Change::Closed { after: Duration::ZERO }));
    assert!(breaker.enter().is_ok());
}

mod model {
    //! Every order in which those who ask can meet, as far as a thousand random schedules find them.

    use super::super::core::{Core, Ticket};
    use super::{Duration, Instant, Rules};
    use shuttle::sync::{Arc, Mutex, atomic::AtomicU64};
    use shuttle::thread;
    use std::sync::atomic::Ordering::SeqCst;

    struct Model {
        rules: Rules,
        core: Mutex<Core>,
        begin: Instant,
        // Seconds since the beginning; moved by the threads.
        clock: AtomicU64,
        // Probes that hold the place, as their holders see it.
        probing: AtomicU64,
    }

    impl Model {
        fn open() -> Arc<Self> {
            let rules = Rules::new().jitter(0.0).failures(1);
            let begin = Instant::now();
            let mut core = Core::default();
            core.trip(&rules, begin);
            let (core, clock) = (Mutex::new(core), AtomicU64::new(5));
            Arc::new(Self { rules, core, begin, clock, probing: AtomicU64::new(0) })
        }

        fn now(&self) -> Instant {
            self.begin + Duration::from_secs(self.clock.load(SeqCst))
        }

        fn enter(&self) -> Option<Ticket> {
            let now = self.now();
            self.core.lock().unwrap().enter(&self.rules, now).ok()
        }
    }

    #[test]
    fn there_is_never_more_than_one_probe_and_its_place_always_comes_back() {
        shuttle::check_random(
            || {
                let model = Model::open();
                let askers: Vec<_> = (0..3)
                    .map(|kind| {
                        let model = Arc::clone(&model);
                        thread::spawn(move || {
                            for _ in 0..2 {
                                let Some(ticket) = model.enter() else { continue };
                                if !ticket.is_probe() {
                                    continue;
                                }
                                assert_eq!(model.probing.fetch_add(1, SeqCst), 0, "two probes");
                                thread::yield_now();
                                let now = model.now();
                                let mut core = model.core.lock().unwrap();
                                model.probing.fetch_sub(1, SeqCst);
                                match kind {
                                    0 => core.left(ticket),
                                    1 => _ = core.failed(ticket, &model.rules, now),
                                    _ => _ = core.succeeded(ticket, now),
                                }
                            }
                        })
                    })
                    .collect();
                for asker in askers {
                    asker.join().unwrap();
                }
                // Whatever happened, some time later somebody may ask again.
                model.clock.fetch_add(60, SeqCst);
                assert!(model.enter().is_some(), "the place was lost");
            },
            1_000,
        );
    }

    #[test]
    fn a_superseded_probe_never_takes_the_place_of_its_successor() {
        shuttle::check_random(
            || {
                let model = Model::open();
                let slow = model.enter().unwrap();
                let late = {
                    let model = Arc::clone(&model);
                    thread::spawn(move || model.core.lock().unwrap().left(slow))
                };
                // The lease of the first is over: a second one may come, and no third while it is out.
                model.clock.fetch_add(30, SeqCst);
                let others: Vec<_> = (0..3)
                    .map(|_| {
                        let model = Arc::clone(&model);
                        thread::spawn(move || model.enter())
                    })
                    .collect();
                let mut probes = 0;
                for other in others {
                    probes += u32::from(other.join().unwrap().is_some());
                }
                late.join().unwrap();
                assert_eq!(probes, 1);
                assert!(model.enter().is_none(), "the second still holds the place");
            },
            1_000,
        );
    }
}
