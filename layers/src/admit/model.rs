//! The door in a great many orders of events: no place is lost, given twice, or waited for in vain.

#![allow(dead_code, reason = "the door is compiled once more here, and only partly used")]

use super::{Full, Limits, state};
use shuttle::{future::block_on, sync::atomic::AtomicUsize, thread};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use tokio::time::Instant;

mod sync {
    pub(super) use shuttle::sync::Mutex;
}

#[path = "door.rs"]
#[expect(clippy::duplicate_mod, reason = "once with the locks of the model")]
mod door;

use self::door::{Came, Door, Inside};

/// Waits for a place.
fn enter(door: &Arc<Door>, group: &str, client: u64) -> Option<Inside> {
    match door.come(group.into(), client, Instant::now()) {
        Came::In(inside) => Some(inside),
        Came::Full => None,
        Came::Waits(mut ticket, _) => {
            Some(block_on(poll_fn(move |cx| ticket.poll(cx, Instant::now()))))
        }
    }
}

/// Comes, looks once, and leaves.
fn look_in(door: &Arc<Door>, client: u64) {
    if let Came::Waits(mut ticket, _) = door.come("a".into(), client, Instant::now()) {
        block_on(poll_fn(|cx| {
            let _ = ticket.poll(cx, Instant::now());
            std::task::Poll::Ready(())
        }));
    }
}

#[test]
fn a_place_is_never_lost_and_never_given_twice() {
    let run = || {
        let limits = Limits { places: 1, queue: 8, ..Limits::default() };
        let door = Arc::new(Door::new(limits));
        let inside = Arc::new(AtomicUsize::new(0));
        let guests = (0..3).map(|client| {
            let (door, inside) = (door.clone(), inside.clone());
            thread::spawn(move || {
                let place = enter(&door, "a", client).unwrap();
                assert_eq!(inside.fetch_add(1, SeqCst), 0, "two inside");
                inside.fetch_sub(1, SeqCst);
                drop(place);
            })
        });
        let mut all: Vec<_> = guests.collect();
        let other = door.clone();
        all.push(thread::spawn(move || look_in(&other, 7)));
        for one in all {
            one.join().unwrap();
        }
        assert_eq!(door.count(), (0, 0));
    };
    shuttle::check_pct(run, 400, 3);
    shuttle::check_random(run, 400);
}

#[test]
fn a_full_queue_sends_away_and_forgets_nobody() {
    let run = || {
        let limits = Limits { places: 1, queue: 1, ..Limits::default() };
        let door = Arc::new(Door::new(limits));
        let guests = (0..3).map(|client| {
            let door = door.clone();
            thread::spawn(move || usize::from(enter(&door, "a", client).is_some()))
        });
        let guests: Vec<_> = guests.collect();
        let served: usize = guests.into_iter().map(|guest| guest.join().unwrap()).sum();
        assert!(served >= 1, "somebody is always served");
        assert_eq!(door.count(), (0, 0));
    };
    shuttle::check_pct(run, 400, 3);
}

#[test]
fn rivals_are_never_inside_together_and_none_waits_in_vain() {
    let run = || {
        // Time does not pass here: whoever has waited at all has waited long enough.
        let limits = Limits { turn: std::time::Duration::ZERO, ..Limits::default() };
        let door = Arc::new(Door::new(limits));
        door.part(&"a".into(), &"b".into());
        let inside = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        let guests = (0..4).map(|guest| {
            let (door, inside) = (door.clone(), inside.clone());
            thread::spawn(move || {
                let own = guest % 2;
                let place = enter(&door, ["a", "b"][own], guest as u64).unwrap();
                inside[own].fetch_add(1, SeqCst);
                assert_eq!(inside[1 - own].load(SeqCst), 0, "rivals inside together");
                inside[own].fetch_sub(1, SeqCst);
                drop(place);
            })
        });
        let guests: Vec<_> = guests.collect();
        for guest in guests {
            guest.join().unwrap();
        }
        assert_eq!(door.count(), (0, 0));
    };
    shuttle::check_pct(run, 400, 3);
    shuttle::check_random(run, 400);
}
