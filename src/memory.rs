//! How much memory request bodies may take together, and whether the program comes near what the system allows it.
//!
//! Bodies are most of what a client can make the gateway hold. They are counted where they arrive, before they are
//! read as far as their length is known; one that finds no room is refused, and the others are not touched. The second
//! guard looks at the whole program: near the limit of its control group every request is refused until it is
//! smaller again, since the alternative is that the kernel ends it and all requests with it.

mod system;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

/// The account, shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct Memory(Arc<Account>);

struct Account {
    /// Bytes that bodies may take together.
    limit: AtomicUsize,
    taken: AtomicUsize,
    /// What the program may take before requests are refused; `None`: the system sets no limit.
    most: Option<u64>,
    began: Instant,
    /// Milliseconds since `began`.
    looked: AtomicU64,
    short: AtomicBool,
}

/// Room for the body of one request; given back when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Place(Arc<Held>);

struct Held {
    memory: Memory,
    bytes: AtomicUsize,
}

/// There is no room for so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The least that bodies may take when nobody says how much.
const LEAST: u64 = 256 << 20;

/// A body that is no burden even where memory is short.
const SMALL: usize = 1 << 20;

/// How often the system is asked how large the program is, in milliseconds.
const EVERY_MS: u64 = 100;

// === impl Memory ===

impl Memory {
    /// Room for `limit` bytes; `None` for a quarter of what the system has for the program, at least 256 MiB.
    pub fn new(limit: Option<u64>) -> Self {
        let allowed = system::allowed();
        let limit = limit.unwrap_or_else(|| default(allowed.or_else(system::installed)));
        Self(Arc::new(Account {
            limit: AtomicUsize::new(usize::try_from(limit).unwrap_or(usize::MAX)),
            taken: AtomicUsize::new(0),
            // What is left is for what a request takes while others are refused.
            most: allowed.map(|allowed| allowed / 10 * 9),
            began: Instant::now(),
            looked: AtomicU64::new(0),
            short: AtomicBool::new(false),
        }))
    }

    /// Bytes that bodies may take together.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Relaxed)
    }

    /// Bytes that bodies take now.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Relaxed)
    }

    /// Room for a body of this many bytes, or for one whose length is not known, 0.
    ///
    /// # Errors
    /// [`Full`] when the others leave too little.
    pub fn place(&self, bytes: usize) -> Result<Place, Full> {
        let place = Place(Arc::new(Held { memory: self.clone(), bytes: AtomicUsize::new(0) }));
        place.add(bytes)?;
        Ok(place)
    }

    /// Whether a request with a body of so many bytes had better not come in, since the program takes nearly all that
    /// the system allows it. While nobody's body is held a small one always may: what the program takes then is not
    /// what refusing would free. Asks the system at most ten times a second, and never where there is no limit.
    pub fn is_short_for(&self, bytes: usize) -> bool {
        self.is_near() && (self.taken() > 0 || bytes > SMALL)
    }

    fn is_near(&self) -> bool {
        let account = &self.0;
        let Some(most) = account.most else { return false };
        let now = u64::try_from(account.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = account.looked.load(Relaxed);
        if now.saturating_sub(looked) >= EVERY_MS
            && account.looked.compare_exchange(looked, now, Relaxed, Relaxed).is_ok()
        {
            let short = system::resident().is_some_and(|resident| resident > most);
            if short != account.short.swap(short, Relaxed) {
                let state = if short { "short" } else { "enough" };
                tracing::warn!(memory = state, most, "requests are refused while memory is short");
            }
        }
        account.short.load(Relaxed)
    }
}

fn default(all: Option<u64>) -> u64 {
    all.map_or(LEAST, |all| (all / 4).max(LEAST))
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(None)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("limit", &self.limit())
            .field("taken", &self.taken())
            .finish_non_exhaustive()
    }
}

// === impl Place ===

impl Place {
    /// Room for so many bytes more.
    ///
    /// # Errors
    /// [`Full`] when the others leave too little; what it had before stays its own.
    pub fn add(&self, bytes: usize) -> Result<(), Full> {
        let account = &self.0.memory.0;
        let limit = account.limit.load(Relaxed);
        account
            .taken
            .fetch_update(Relaxed, Relaxed, |taken| {
                taken.checked_add(bytes).filter(|taken| *taken <= limit)
            })
            .map_err(|_| Full)?;
        self.0.bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }
}

// === impl Held ===

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.0.taken.fetch_sub(*self.bytes.get_mut(), Relaxed);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_by_bodies_and_given_back_by_the_last_who_holds_one() {
        let memory = Memory::new(Some(100));
        let one = memory.place(60).unwrap();
        assert_eq!(memory.place(41).unwrap_err(), Full);
        assert_eq!(one.add(41), Err(Full));
        assert_eq!(one.add(40), Ok(()));
        assert_eq!(memory.taken(), 100, "what was refused is not counted");
        let other = one.clone();
        drop(one);
        assert_eq!(memory.taken(), 100);
        drop(other);
        assert_eq!(memory.taken(), 0);
    }

    #[test]
    fn a_quarter_of_the_machine_is_for_bodies_and_never_less_than_256_mib() {
        assert_eq!(default(Some(16 << 30)), 4 << 30);
        assert_eq!(default(Some(512 << 20)), 256 << 20);
        assert_eq!(default(None), 256 << 20);
    }
}
