//! What is under way, and who waits for it.

use super::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

/// Work that is under way, by what it is for. Cheap to clone; all clones share it.
pub struct Flights<K> {
    board: Arc<Mutex<Board<K>>>,
}

/// Ends the work for all who wait when it is dropped.
pub struct Pilot<K: Eq + Hash> {
    flights: Flights<K>,
    key: K,
}

/// Waits for the end of one piece of work, however it ends. Dropping it changes nothing for the work or for others.
pub struct Landing<K: Eq + Hash> {
    flights: Flights<K>,
    key: K,
    // The work joined; a later one for the same key is not waited for.
    number: u64,
    seat: Option<u64>,
}

struct Board<K> {
    flights: HashMap<K, Flight>,
    numbers: u64,
}

struct Flight {
    number: u64,
    seats: u64,
    waiting: HashMap<u64, Waker>,
}

// === impl Flights ===

impl<K: Eq + Hash + Clone> Flights<K> {
    /// Joins the work for this key, which begins now if there is none: then there is a pilot, whose drop is its end.
    pub fn join(&self, key: K) -> (Landing<K>, Option<Pilot<K>>) {
        let mut board = self.board();
        let known = board.flights.get(&key).map(|flight| flight.number);
        let number = known.unwrap_or(board.numbers);
        if known.is_none() {
            board.numbers += 1;
            let flight = Flight { number, seats: 0, waiting: HashMap::new() };
            board.flights.insert(key.clone(), flight);
        }
        drop(board);
        let pilot = known.is_none().then(|| Pilot { flights: self.clone(), key: key.clone() });
        (Landing { flights: self.clone(), key, number, seat: None }, pilot)
    }
}

impl<K: Eq + Hash> Flights<K> {
    /// Whether there is work for this key now.
    pub fn is_under_way(&self, key: &K) -> bool {
        self.board().flights.contains_key(key)
    }
}

impl<K> Flights<K> {
    fn board(&self) -> MutexGuard<'_, Board<K>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self { board: Arc::new(Mutex::new(Board { flights: HashMap::new(), numbers: 0 })) }
    }
}

impl<K> Clone for Flights<K> {
    fn clone(&self) -> Self {
        Self { board: self.board.clone() }
    }
}

impl<K> fmt::Debug for Flights<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("under_way", &self.board().flights.len()).finish()
    }
}

// === impl Pilot ===

impl<K: Eq + Hash> Drop for Pilot<K> {
    fn drop(&mut self) {
        let flight = self.flights.board().flights.remove(&self.key);
        for (_, waker) in flight.into_iter().flat_map(|flight| flight.waiting) {
            waker.wake();
        }
    }
}

impl<K: Eq + Hash> fmt::Debug for Pilot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pilot")
    }
}

// === impl Landing ===

impl<K: Eq + Hash> Landing<K> {
    fn with<T>(&self, act: impl FnOnce(&mut Flight) -> T) -> Option<T> {
        let mut board = self.flights.board();
        let flight = board.flights.get_mut(&self.key)?;
        (flight.number == self.number).then(|| act(flight))
    }
}

impl<K: Eq + Hash + Unpin> Future for Landing<K> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let seat = self.seat;
        let seated = self.with(|flight| {
            let seat = seat.unwrap_or_else(|| {
                flight.seats += 1;
                flight.seats
            });
            flight.waiting.insert(seat, cx.waker().clone());
            seat
        });
        self.seat = seated;
        if seated.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl<K: Eq + Hash> Drop for Landing<K> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            self.with(|flight| flight.waiting.remove(&seat));
        }
    }
}

impl<K: Eq + Hash> fmt::Debug for Landing<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Landing")
    }
}
