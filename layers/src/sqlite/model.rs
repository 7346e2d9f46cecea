//! The queue's close in a great many orders of events: every row is taken or refused, and none is both or neither.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "the queue is compiled once more here, and only partly used"
)]

use shuttle::{check_random, thread};
use std::sync::Arc;
use std::time::Duration;

mod sync {
    pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;
}

#[path = "queue.rs"]
#[expect(clippy::duplicate_mod, reason = "once with the locks of the model")]
mod queue;

use self::queue::{Queue, Refused};

// Longer than any model runs: whoever is not woken hangs, and the model fails.
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn every_row_that_was_pushed_before_the_close_is_taken_and_none_after() {
    let run = || {
        let queue = Arc::new(Queue::new(3, 1000));
        let pushers: Vec<_> = (0..3)
            .map(|pusher| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let push = |row| match queue.push(pusher * 10 + row, 10) {
                        Ok(()) => (1, 0),
                        Err(Refused::Full | Refused::Closed) => (0, 1),
                    };
                    let (a, b) = (push(0), push(1));
                    (a.0 + b.0, a.1 + b.1)
                })
            })
            .collect();
        let reader = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let (mut taken, mut batch) = (Vec::new(), Vec::new());
                loop {
                    let more = queue.take(2, &mut batch, LONG);
                    queue.release(batch.len(), batch.len() * 10);
                    taken.append(&mut batch);
                    if !more {
                        return taken;
                    }
                }
            })
        };
        let closer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.close())
        };
        let told: Vec<(usize, usize)> = pushers.into_iter().map(|p| p.join().unwrap()).collect();
        closer.join().unwrap();
        let mut taken = reader.join().unwrap();
        let accepted: usize = told.iter().map(|told| told.0).sum();
        let refused: usize = told.iter().map(|told| told.1).sum();
        assert_eq!((taken.len(), accepted + refused), (accepted, 6));
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), accepted, "none twice");
        assert_eq!(queue.load(), (0, 0), "and nothing counts any more");
        assert_eq!(queue.push(99, 1), Err(Refused::Closed));
    };
    check_random(run, 2000);
}
