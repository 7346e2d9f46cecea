//! Entries as they stand in a store that others can reach: with their key, under a seal.

use super::{Entry, Key};
use bytes::{Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// Closes entries for a store outside this process, and opens what comes back.
///
/// A value says whose answer it is (the whole key) and is sealed with HMAC-SHA-256 over key and entry. What was cut,
/// damaged, written by another version or put in another's place does not open. Without a secret that is all it finds;
/// with one, only who knows it can write what opens.
#[derive(Clone)]
pub struct Seal {
    mac: Hmac<Sha256>,
}

// A value: 32 bytes of key, 32 of seal, the entry.
const KEY: usize = 32;
const HEAD: usize = KEY + 32;

// === impl Seal ===

impl Seal {
    /// A seal that only who knows this secret can make, of any length. Processes that share a store need the same one.
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes keys of any length. Source: RFC 2104 section 3.
        let mac = Hmac::new_from_slice(secret).expect("any length will do");
        Self { mac }
    }

    /// The entry as the value to store under this key.
    pub fn close(&self, key: &Key, entry: &Entry) -> Bytes {
        let mut value = BytesMut::with_capacity(HEAD + entry.encoded_len());
        value.extend_from_slice(key.as_bytes());
        value.extend_from_slice(&[0; 32]);
        entry.write(&mut value);
        let seal = self.over(key, &value[HEAD..]).finalize().into_bytes();
        value[KEY..HEAD].copy_from_slice(&seal);
        value.freeze()
    }

    /// The entry in a value that was found under this key. `None`: it is not what [`close`](Self::close) made of one.
    pub fn open(&self, key: &Key, value: &Bytes) -> Option<Entry> {
        let (head, entry) = value.split_at_checked(HEAD)?;
        let (owner, seal) = head.split_at(KEY);
        if owner != key.as_bytes() {
            return None;
        }
        self.over(key, entry).verify_slice(seal).ok()?;
        Entry::decode(&value.slice(HEAD..))
    }

    fn over(&self, key: &Key, entry: &[u8]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(key.as_bytes()).chain_update(entry)
    }
}

impl Default for Seal {
    /// Without a secret: it finds what was damaged or misplaced, not what was forged.
    fn default() -> Self {
        Self::new(&[])
    }
}

impl fmt::Debug for Seal {
    // Not the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn entry(body: &'static [u8]) -> Entry {
        Entry {
            status: 200,
            content_type: Some("text/plain".into()),
            body: Bytes::from_static(body),
            stored_at_ms: 5,
            ttl_ms: 7,
            meta: Arc::from("m"),
        }
    }

    #[test]
    fn what_was_closed_opens_under_its_own_key_and_no_other() {
        let (seal, key) = (Seal::default(), Key::of(&[b"a"]));
        let value = seal.close(&key, &entry(b"kept"));
        assert_eq!(seal.open(&key, &value), Some(entry(b"kept")));
        assert_eq!(seal.open(&Key::of(&[b"b"]), &value), None);
        // Nor when somebody changed the key that stands in it.
        let other = Key::of(&[b"b"]);
        let moved = [other.as_bytes().as_slice(), &value[KEY..]].concat();
        assert_eq!(seal.open(&other, &moved.into()), None);
    }

    #[test]
    fn a_value_that_was_cut_anywhere_or_goes_on_does_not_open() {
        let (seal, key) = (Seal::default(), Key::of(&[b"a"]));
        let value = seal.close(&key, &entry(b"kept"));
        for cut in 0..value.len() {
            assert_eq!(seal.open(&key, &value.slice(..cut)), None, "{cut}");
        }
        let longer = [&value[..], b"!"].concat();
        assert_eq!(seal.open(&key, &longer.into()), None);
    }

    #[test]
    fn no_single_bit_can_be_turned() {
        let (seal, key) = (Seal::default(), Key::of(&[b"a"]));
        let value = seal.close(&key, &entry(b"kept"));
        for bit in 0..value.len() * 8 {
            let mut bad = value.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open(&key, &bad.into()), None, "bit {bit}");
        }
    }

    #[test]
    fn who_does_not_know_the_secret_can_write_nothing_that_opens() {
        let (seal, key) = (Seal::new(b"ours"), Key::of(&[b"a"]));
        for other in [Seal::new(b"theirs"), Seal::default()] {
            assert_eq!(seal.open(&key, &other.close(&key, &entry(b"forged"))), None);
        }
        assert!(seal.open(&key, &Seal::new(b"ours").close(&key, &entry(b"kept"))).is_some());
    }
}
