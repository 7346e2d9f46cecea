//! Slows down whoever tries keys, by address, in bounded memory.
//!
//! The generic cell rate algorithm: each wrong key takes a place, places come back one by one, and while there is none no
//! further guess is judged. A right key that could have been guessed is judged only where it has been used before, or
//! where there is a place; so whoever works from an address goes on working when somebody else there begins to guess.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What is known of the addresses that wrong keys came from.
#[derive(Debug)]
pub(super) struct Throttle {
    /// The time in which one place comes back.
    interval: Duration,
    /// When all places of an address will be free again.
    free_at: Mutex<HashMap<IpAddr, Instant>>,
    /// Address and key, hashed, of who came in: one that falls on another's place takes it.
    known: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// Within it an address may be wrong as often as it may.
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered; beyond it, those that were wrong least are forgotten first.
const MAX_ADDRESSES: usize = 4096;

/// Pairs of address and key that are remembered. A power of two.
const MAX_KNOWN: usize = 1024;

impl Throttle {
    /// * `per_minute`: how many wrong keys an address may bring in a minute, all at once if it likes; 1 and up.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            interval: WINDOW / per_minute.max(1),
            free_at: Mutex::default(),
            known: (0..MAX_KNOWN).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// A wrong key came. The error says how long nothing from there will be judged.
    pub(super) fn wrong(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network(from);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.place(free_at.get(&from), now)?;
        if free_at.len() >= MAX_ADDRESSES && !free_at.contains_key(&from) {
            free_at.retain(|_, at| *at > now);
            if free_at.len() >= MAX_ADDRESSES
                && let Some(least) = free_at.iter().min_by_key(|(_, at)| **at).map(|(ip, _)| *ip)
            {
                free_at.remove(&least);
            }
        }
        let at = free_at.entry(from).or_insert(now);
        *at = (*at).max(now) + self.interval;
        Ok(())
    }

    /// A right key came that could have been guessed. The error says how long it will not be judged.
    pub(super) fn right(&self, from: IpAddr, key: &[u8; 32], now: Instant) -> Result<(), Duration> {
        let from = network(from);
        let mark = self.hasher.hash_one((from, key)).max(1);
        let known = &self.known[mark as usize % MAX_KNOWN];
        if known.load(Ordering::Relaxed) == mark {
            return Ok(());
        }
        let free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.place(free_at.get(&from), now)?;
        known.store(mark, Ordering::Relaxed);
        Ok(())
    }

    fn place(&self, free_at: Option<&Instant>, now: Instant) -> Result<(), Duration> {
        let busy = free_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        match (busy + self.interval).checked_sub(WINDOW) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }
}

/// Whoever has one IPv6 address has all of its network.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    #[test]
    fn an_address_may_be_wrong_so_often_in_a_minute_and_then_one_by_one() {
        let (throttle, start) = (Throttle::new(6), Instant::now());
        for _ in 0..6 {
            assert_eq!(throttle.wrong(address(1), start), Ok(()));
        }
        assert_eq!(throttle.wrong(address(1), start), Err(Duration::from_secs(10)));
        // To be refused costs nothing more.
        assert_eq!(throttle.wrong(address(1), start), Err(Duration::from_secs(10)));
        assert_eq!(throttle.wrong(address(2), start), Ok(()));
        let later = start + Duration::from_secs(10);
        assert_eq!(throttle.wrong(address(1), later), Ok(()));
        assert!(throttle.wrong(address(1), later).is_err());
        let much_later = start + Duration::from_secs(600);
        for _ in 0..6 {
            assert_eq!(throttle.wrong(address(1), much_later), Ok(()));
        }
    }

    #[test]
    fn who_has_come_in_before_comes_in_while_others_guess_and_a_lucky_guess_does_not() {
        let (throttle, now) = (Throttle::new(5), Instant::now());
        assert_eq!(throttle.right(address(1), &[1; 32], now), Ok(()));
        while throttle.wrong(address(1), now).is_ok() {}
        assert_eq!(throttle.right(address(1), &[1; 32], now), Ok(()));
        assert!(throttle.right(address(1), &[2; 32], now).is_err());
        assert_eq!(throttle.right(address(2), &[2; 32], now), Ok(()));
    }

    #[test]
    fn a_whole_network_of_version_six_is_one_address() {
        let (throttle, now) = (Throttle::new(2), Instant::now());
        for from in ["2001:db8::1", "2001:db8::2:1"] {
            assert_eq!(throttle.wrong(from.parse().unwrap(), now), Ok(()));
        }
        assert!(throttle.wrong("2001:db8::3".parse().unwrap(), now).is_err());
        assert_eq!(throttle.wrong("2001:db8:0:1::1".parse().unwrap(), now), Ok(()));
        // The same address, said in two ways.
        throttle.wrong("::ffff:10.0.0.9".parse().unwrap(), now).unwrap();
        throttle.wrong("10.0.0.9".parse().unwrap(), now).unwrap();
        assert!(throttle.wrong("10.0.0.9".parse().unwrap(), now).is_err());
    }

    #[test]
    fn more_addresses_than_are_remembered_do_not_free_the_busiest() {
        let (throttle, now) = (Throttle::new(2), Instant::now());
        while throttle.wrong(address(0), now).is_ok() {}
        for n in 1..2 * MAX_ADDRESSES as u32 {
            throttle.wrong(address(n), now).unwrap();
        }
        assert!(throttle.free_at.lock().unwrap().len() <= MAX_ADDRESSES);
        assert!(throttle.wrong(address(0), now).is_err());
    }
}
