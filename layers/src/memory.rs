//! A store in this process: bounded by bytes, gone when the process goes.

use crate::cache::{BoxFuture, Entry, Key, Store};
use moka::Expiry;
use moka::sync::Cache;
use std::future::ready;
use std::time::{Duration, Instant};

/// Entries in this process's memory. Clones share them.
///
/// When it is full, what is used least goes first (TinyLFU); an entry goes when its time to live is over.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    entries: Cache<Key, Entry>,
}

struct TimeToLive;

impl MemoryStore {
    /// Keeps up to `max_bytes` bytes of entries, about 200 bytes of bookkeeping for each included.
    pub fn new(max_bytes: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entry: &Entry| u32::try_from(entry.size() + OVERHEAD).unwrap_or(u32::MAX))
            .expire_after(TimeToLive)
            .build();
        Self { entries }
    }

    /// How many entries there are, about: it lags a moment behind.
    pub fn len(&self) -> u64 {
        self.entries.entry_count()
    }

    /// Whether there are none, about.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the entries take up, about: it lags a moment behind.
    pub fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.entries.invalidate_all();
    }

    /// Does the housekeeping that is otherwise done now and then, so that the counts are exact.
    pub fn settle(&self) {
        self.entries.run_pending_tasks();
    }
}

// The key twice and the cache's own nodes.
const OVERHEAD: usize = 200;

impl Store for MemoryStore {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>> {
        Box::pin(ready(self.entries.get(key)))
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()> {
        self.entries.insert(key, entry);
        Box::pin(ready(()))
    }
}

impl Expiry<Key, Entry> for TimeToLive {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(Duration::from_millis(entry.ttl_ms))
    }

    // The default keeps the replaced entry's time.
    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Duration::from_millis(entry.ttl_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn entry(body: &'static [u8], ttl_ms: u64) -> Entry {
        Entry {
            status: 200,
            content_type: None,
            body: Bytes::from_static(body),
            stored_at_ms: 0,
            ttl_ms,
            meta: "".into(),
        }
    }

    #[tokio::test]
    async fn what_was_put_is_there_for_every_clone() {
        let store = MemoryStore::new(1 << 20);
        let key = Key::of(&[b"a"]);
        store.put(key, entry(b"one", 60_000)).await;
        assert_eq!(store.clone().get(&key).await.unwrap().body, "one");
        store.clear();
        assert!(store.get(&key).await.is_none());
    }

    #[tokio::test]
    async fn an_entry_without_time_to_live_is_gone_and_a_replacement_has_its_own() {
        let store = MemoryStore::new(1 << 20);
        let key = Key::of(&[b"a"]);
        store.put(key, entry(b"one", 60_000)).await;
        store.put(key, entry(b"two", 0)).await;
        assert!(store.get(&key).await.is_none());
    }

    #[tokio::test]
    async fn bytes_stay_under_the_limit() {
        let store = MemoryStore::new(10_000);
        for n in 0..1000_u32 {
            store.put(Key::of(&[&n.to_be_bytes()]), entry(&[7; 100], 60_000)).await;
        }
        store.settle();
        assert!(store.bytes() <= 10_000, "{}", store.bytes());
        assert!(!store.is_empty());
    }
}
