//! What stands in a store that others can write to: no bytes are an entry but those that we wrote.

use bytes::Bytes;
use unigate_layers::cache::{Entry, Key, Seal};

/// Bytes that are read as an entry are what that entry is written as, and nothing under a seal opens but what was closed.
pub fn entry(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Some(entry) = Entry::decode(&bytes) {
        assert_eq!(entry.encode(), bytes, "two spellings of one entry");
    }
    let key = Key::of(&[b"a question"]);
    let (seal, other) = (Seal::default(), Seal::new(b"a secret"));
    for seal in [&seal, &other] {
        if let Some(entry) = seal.open(&key, &bytes) {
            assert_eq!(seal.close(&key, &entry), bytes, "a seal on something else");
        }
    }
    let entry = made_of(data);
    let value = seal.close(&key, &entry);
    assert_eq!(seal.open(&key, &value), Some(entry), "what was closed opens");
    assert_eq!(other.open(&key, &value), None, "another's seal");
    assert_eq!(seal.open(&Key::of(&[b"another"]), &value), None, "another's answer");
    let at = data.iter().fold(0, |at: usize, byte| at.wrapping_mul(31) + usize::from(*byte));
    let mut bad = value.to_vec();
    bad[at % value.len()] ^= 1 << (at % 8);
    assert_eq!(seal.open(&key, &bad.into()), None, "a bit was turned");
    assert_eq!(seal.open(&key, &value.slice(..at % value.len())), None, "it was cut");
}

/// Any bytes as some entry.
fn made_of(data: &[u8]) -> Entry {
    let text = String::from_utf8_lossy(&data[..data.len().min(40)]).into_owned();
    let number = |at| u64::from(data.get(at).copied().unwrap_or_default()) << 30;
    Entry {
        status: number(0) as u16,
        content_type: data.len().is_multiple_of(2).then(|| text.as_str().into()),
        body: Bytes::copy_from_slice(data),
        stored_at_ms: number(1),
        ttl_ms: number(2),
        meta: text.chars().rev().collect::<String>().into(),
    }
}
