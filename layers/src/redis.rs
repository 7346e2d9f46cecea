//! A store in Redis, shared by processes and machines; in any state of Redis no request fails or waits long.
//!
//! ```no_run
//! use unigate_layers::cache::CacheLayer;
//! use unigate_layers::redis::{RedisOptions, RedisStore};
//! # let policy = ();
//!
//! let store = RedisStore::new("redis://127.0.0.1", RedisOptions::default())?;
//! let layer = CacheLayer::new(store, policy);
//! # Ok::<_, redis::RedisError>(())
//! ```

mod breaker;
mod counts;
mod health;
mod link;

pub use health::RedisHealth;

use crate::cache::{BoxFuture, Entry, Key, Seal, Store};
use ::redis::{Client, RedisError, cmd};
use bytes::Bytes;
use link::{Link, Trouble};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Entries in Redis. Clones share one connection, which is made when it is first needed and made again
/// when it is lost.
///
/// It fails open. A look-up that takes longer than [`RedisOptions::get_timeout`] is a miss. After three timeouts or five
/// failures in a row nothing is sent any more for a second, then one question of its own; each time that fails the pause
/// doubles, up to 30 s, and an outage soon after another begins where that one ended. Where only writes are refused
/// (a replica, a full memory, a disk that fails, a user who may not), look-ups go on and writes pause in the same way. An
/// outage is one warning and one line when it is over.
///
/// A value that is not what was written under its key (see [`Seal`]) is a miss, and removed. The commands are
/// `GETRANGE`, `SET` and `UNLINK`, on keys that begin with [`RedisOptions::prefix`].
#[derive(Clone)]
pub struct RedisStore {
    link: Arc<Link>,
    seal: Seal,
    // Removals under way at once; what is beyond stays where it is, and is a miss again.
    removals: Arc<Semaphore>,
}

/// How [`RedisStore`] uses Redis.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedisOptions {
    /// What every key begins with. Default `unigate:`.
    pub prefix: String,
    /// How long a look-up may take; after that it is a miss. Default 30 ms.
    pub get_timeout: Duration,
    /// How long a write may take; nobody waits for it. Default 100 ms.
    pub put_timeout: Duration,
    /// The largest value that is written or read, in bytes. Default 1 MiB and 4 KiB. A larger one is not kept, and of one
    /// that somebody else wrote no more than this is fetched.
    pub max_value_bytes: usize,
}

const MAX_REMOVALS: usize = 32;

// === impl RedisStore ===

impl RedisStore {
    /// A store at `redis://[user:password@]host[:port][/database]` or `redis+unix:///path`. Nothing is connected yet:
    /// starting must not need Redis.
    ///
    /// # Errors
    /// Only if the address is none.
    pub fn new(url: &str, options: RedisOptions) -> Result<Self, RedisError> {
        let link = Arc::new(Link::new(Client::open(url)?, options));
        let removals = Arc::new(Semaphore::new(MAX_REMOVALS));
        Ok(Self { link, seal: Seal::default(), removals })
    }

    /// How values are sealed. Default: without a secret, which finds damage but not forgery.
    #[must_use]
    pub fn sealed(mut self, seal: Seal) -> Self {
        self.seal = seal;
        self
    }

    /// How Redis is doing, and what happened since the start.
    pub fn health(&self) -> RedisHealth {
        self.link.health()
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.link.options.prefix)
    }

    async fn look_up(&self, key: Key) -> Option<Entry> {
        let Link { options, counts, .. } = &*self.link;
        // Not `GET`: whatever stands there, no more is fetched than we would have written, and one byte that tells.
        let name = self.name(&key);
        let get = cmd("GETRANGE").arg(&name).arg(0).arg(options.max_value_bytes).take();
        let value = match self.link.read::<Vec<u8>>(get, options.get_timeout).await {
            Ok(value) if value.is_empty() => {
                counts.misses.add();
                return None;
            }
            Ok(value) => Bytes::from(value),
            Err(Trouble::Foreign) => Bytes::new(),
            Err(_) => return None,
        };
        let entry = self.seal.open(&key, &value);
        if entry.is_some() {
            counts.hits.add();
        } else {
            counts.garbage.add();
            self.remove(name);
        }
        entry
    }

    // Nobody waits for it.
    fn remove(&self, name: String) {
        let Ok(turn) = Arc::clone(&self.removals).try_acquire_owned() else { return };
        let link = Arc::clone(&self.link);
        tokio::spawn(async move {
            link.write(|| Some(cmd("UNLINK").arg(name).take())).await;
            drop(turn);
        });
    }
}

impl Store for RedisStore {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>> {
        Box::pin(self.look_up(*key))
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()> {
        let store = self.clone();
        Box::pin(async move {
            let make = || {
                let value = store.seal.close(&key, &entry);
                if value.len() > store.link.options.max_value_bytes || entry.ttl_ms == 0 {
                    return None;
                }
                let mut set = cmd("SET");
                // Redis refuses times that overflow its clock.
                let ttl = entry.ttl_ms.min(u64::MAX >> 12);
                set.arg(store.name(&key)).arg(&value[..]).arg("PX").arg(ttl);
                Some(set)
            };
            if store.link.write(make).await {
                store.link.counts.written.add();
            }
        })
    }

    fn dropped(&self) {
        self.link.counts.dropped.add();
    }
}

impl fmt::Debug for RedisStore {
    // Not the address: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("options", &self.link.options)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

// === impl RedisOptions ===

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "unigate:".to_owned(),
            get_timeout: Duration::from_millis(30),
            put_timeout: Duration::from_millis(100),
            max_value_bytes: 1024 * 1024 + 4096,
        }
    }
}

#[cfg(test)]
mod tests;
