//! Flights in a great many orders of events: one at a time, and everybody lands.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "the board is compiled once more here, and only partly used"
)]

use shuttle::{future::block_on, sync::atomic::AtomicUsize, thread};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

mod sync {
    pub(super) use shuttle::sync::{Mutex, MutexGuard};
}

#[path = "board.rs"]
#[expect(clippy::duplicate_mod, reason = "once with the locks of the model")]
mod board;

use self::board::Flights;

#[test]
fn one_flies_and_all_land_whoever_leaves() {
    let run = || {
        let flights = Flights::default();
        let flying = Arc::new(AtomicUsize::new(0));
        let flown = Arc::new(AtomicUsize::new(0));
        let passengers = (0..4).map(|passenger| {
            let (flights, flying, flown) = (flights.clone(), flying.clone(), flown.clone());
            thread::spawn(move || {
                let (landing, pilot) = flights.join("work");
                let work = pilot.map(|pilot| {
                    thread::spawn(move || {
                        assert_eq!(flying.fetch_add(1, SeqCst), 0, "two at a time");
                        flown.fetch_add(1, SeqCst);
                        flying.fetch_sub(1, SeqCst);
                        drop(pilot);
                    })
                });
                // The last one leaves, be it the one who began.
                match passenger {
                    3 => drop(landing),
                    _ => block_on(landing),
                }
                if let Some(work) = work {
                    work.join().unwrap();
                }
            })
        });
        let passengers: Vec<_> = passengers.collect();
        for passenger in passengers {
            passenger.join().unwrap();
        }
        assert!(flown.load(SeqCst) >= 1 && !flights.is_under_way(&"work"));
    };
    shuttle::check_pct(run, 400, 3);
    shuttle::check_random(run, 400);
}
