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

use crate::cache::{BoxFuture, Entry, Key, Store};
use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, FromRedisValue, RedisError, cmd};
use breaker::{Breaker, Change};
use bytes::Bytes;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Entries in Redis. Clones share one connection, which is made when it is first needed and made again
/// when it is lost.
///
/// It fails open. A look-up that takes longer than [`RedisOptions::get_timeout`] is a miss. After three timeouts or five
/// failures in a row nothing is sent any more for a second, then one `PING`; each time it fails the pause doubles, up to
/// 30 s. An outage is one warning and one line when it is over.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
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
    /// The largest value that is written, in bytes. Default 1 MiB and 4 KiB. A larger one is not kept.
    pub max_value_bytes: usize,
}

/// What happened at [`RedisStore`] since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RedisCounts {
    /// Commands that took too long.
    pub timeouts: u64,
    /// Commands that failed.
    pub failures: u64,
    /// Look-ups and writes that were not sent because Redis was known to be away.
    pub skipped: u64,
    /// Values that were not what we write, and so were misses.
    pub garbage: u64,
}

struct Shared {
    client: Client,
    options: RedisOptions,
    // Dropped when the breaker opens: a manager retries only some kinds of failure by itself.
    manager: Mutex<Option<ConnectionManager>>,
    breaker: Mutex<Breaker>,
    timeouts: AtomicU64,
    failures: AtomicU64,
    skipped: AtomicU64,
    garbage: AtomicU64,
}

enum Trouble {
    Timeout,
    Failed(RedisError),
}

// How long the `PING` that ends an outage may take; nobody waits for it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

// === impl RedisStore ===

impl RedisStore {
    /// A store at `redis://[user:password@]host[:port][/database]` or `redis+unix:///path`. Nothing is connected yet:
    /// starting must not need Redis.
    ///
    /// # Errors
    /// Only if the address is none.
    pub fn new(url: &str, options: RedisOptions) -> Result<Self, RedisError> {
        let shared = Shared {
            client: Client::open(url)?,
            options,
            manager: Mutex::new(None),
            breaker: Mutex::new(Breaker::default()),
            timeouts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            garbage: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether Redis is known to be away, so that nothing is sent to it.
    pub fn is_failing(&self) -> bool {
        lock(&self.shared.breaker).is_open()
    }

    /// What happened since the start.
    pub fn counts(&self) -> RedisCounts {
        RedisCounts {
            timeouts: self.shared.timeouts.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
            skipped: self.shared.skipped.load(Ordering::Relaxed),
            garbage: self.shared.garbage.load(Ordering::Relaxed),
        }
    }
}

impl Store for RedisStore {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>> {
        let key = *key;
        Box::pin(async move {
            let shared = &self.shared;
            let get = cmd("GET").arg(shared.name(&key)).take();
            let value: Option<Vec<u8>> = shared.ask(get, shared.options.get_timeout).await?;
            let entry = unpack(&key, value?);
            if entry.is_none() {
                shared.garbage.fetch_add(1, Ordering::Relaxed);
            }
            entry
        })
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let value = pack(&key, &entry);
            if value.len() > shared.options.max_value_bytes || entry.ttl_ms == 0 {
                return;
            }
            let mut set = cmd("SET");
            // Redis refuses times that overflow its clock.
            set.arg(shared.name(&key)).arg(value).arg("PX").arg(entry.ttl_ms.min(u64::MAX >> 12));
            let _done: Option<()> = shared.ask(set, shared.options.put_timeout).await;
        })
    }
}

impl fmt::Debug for RedisStore {
    // Not the address: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("options", &self.shared.options)
            .field("counts", &self.counts())
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

// === impl Shared ===

impl Shared {
    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.options.prefix)
    }

    // The answer, unless Redis is away or becomes so.
    async fn ask<T: FromRedisValue>(self: &Arc<Self>, command: Cmd, limit: Duration) -> Option<T> {
        if !self.may_ask() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let result = self.send(&command, limit).await;
        let outcome = result.as_ref().map(drop);
        let change = lock(&self.breaker).outcome(outcome.is_ok(), is_timeout(outcome));
        self.tell(change, result.as_ref().err());
        result.ok()
    }

    // When it is time for it, also sends the probe.
    fn may_ask(self: &Arc<Self>) -> bool {
        let mut breaker = lock(&self.breaker);
        if !breaker.is_open() {
            return true;
        }
        if breaker.may_probe(Instant::now()) {
            let shared = Arc::clone(self);
            tokio::spawn(async move { shared.probe().await });
        }
        false
    }

    async fn probe(self: Arc<Self>) {
        let result = self.send::<String>(&cmd("PING"), PROBE_TIMEOUT).await;
        let change = lock(&self.breaker).probed(result.is_ok(), Instant::now());
        self.tell(change, result.as_ref().err());
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd, limit: Duration) -> Result<T, Trouble> {
        let result = match self.manager() {
            Err(error) => Err(Trouble::Failed(error)),
            Ok(mut manager) => match timeout(limit, command.query_async(&mut manager)).await {
                Err(_) => Err(Trouble::Timeout),
                Ok(Err(error)) if error.is_timeout() => Err(Trouble::Timeout),
                Ok(Err(error)) => Err(Trouble::Failed(error)),
                Ok(Ok(value)) => Ok(value),
            },
        };
        match &result {
            Ok(_) => {}
            Err(Trouble::Timeout) => drop(self.timeouts.fetch_add(1, Ordering::Relaxed)),
            Err(Trouble::Failed(_)) => drop(self.failures.fetch_add(1, Ordering::Relaxed)),
        }
        result
    }

    fn manager(&self) -> Result<ConnectionManager, RedisError> {
        let mut place = lock(&self.manager);
        if let Some(manager) = &*place {
            return Ok(manager.clone());
        }
        let config = ConnectionManagerConfig::new()
            // Longer than the time a caller waits, so that a slow answer does not cost the connection.
            .set_response_timeout(Some(self.options.put_timeout.max(Duration::from_millis(50))))
            .set_connection_timeout(Some(Duration::from_millis(250)))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_secs(2))
            .set_pipeline_buffer_size(256)
            .set_concurrency_limit(256);
        let manager = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        *place = Some(manager.clone());
        Ok(manager)
    }

    fn tell(&self, change: Option<Change>, trouble: Option<&Trouble>) {
        match change {
            None => {}
            Some(Change::Recovered { after }) => {
                tracing::info!(
                    outage_ms = after.as_millis() as u64,
                    "redis is back, caching again"
                );
            }
            Some(change @ (Change::Opened | Change::StillOpen)) => {
                *lock(&self.manager) = None;
                if change == Change::Opened {
                    let cause = trouble.map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(cause, "redis does not answer, going on without its cache");
                }
            }
        }
    }
}

fn is_timeout(outcome: Result<(), &Trouble>) -> bool {
    matches!(outcome, Err(Trouble::Timeout))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// The key goes in front of the value, so that an answer that belongs to another question is noticed.
fn pack(key: &Key, entry: &Entry) -> Vec<u8> {
    let entry = entry.encode();
    [key.as_bytes().as_slice(), &entry].concat()
}

fn unpack(key: &Key, value: Vec<u8>) -> Option<Entry> {
    let value = Bytes::from(value);
    if !value.starts_with(key.as_bytes()) {
        return None;
    }
    Entry::decode(&value.slice(key.as_bytes().len()..))
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timed out"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
