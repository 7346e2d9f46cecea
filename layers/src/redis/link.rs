//! The connection to a Redis in any state: every command has its time, and a peer that is away is not asked.

use super::breaker::{ANSWERS, Breaker, Change, Outcome, WRITES};
use super::counts::Counts;
use super::{RedisHealth, RedisOptions};
use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, FromRedisValue, RedisError, cmd};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

pub(super) struct Link {
    client: Client,
    pub(super) options: RedisOptions,
    pub(super) counts: Counts,
    // Dropped when a breaker opens: a manager retries only some kinds of failure by itself, and one that leads to a
    // peer which vanished, or is a replica by now, would be kept.
    manager: Mutex<Option<ConnectionManager>>,
    // Whether anything is sent.
    breaker: Mutex<Breaker>,
    // Whether writes are.
    writes: Mutex<Breaker>,
}

// Why a command has no answer.
pub(super) enum Trouble {
    Timeout,
    // No connection, or no Redis behind it, or none that lets us in.
    Failed(RedisError),
    // Redis answers, and will not do this.
    Refused(RedisError),
    // Under the key stands something that is no value.
    Foreign,
    // It was not sent.
    Skipped,
}

// How long the question that ends an outage may take; nobody waits for it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

// === impl Link ===

impl Link {
    pub(super) fn new(client: Client, options: RedisOptions) -> Self {
        Self {
            client,
            options,
            counts: Counts::default(),
            manager: Mutex::new(None),
            breaker: Mutex::new(Breaker::new(ANSWERS)),
            writes: Mutex::new(Breaker::new(WRITES)),
        }
    }

    pub(super) fn health(&self) -> RedisHealth {
        let counts = &self.counts;
        RedisHealth {
            failing: lock(&self.breaker).is_open(),
            read_only: lock(&self.writes).is_open(),
            hits: counts.hits.get(),
            misses: counts.misses.get(),
            written: counts.written.get(),
            timeouts: counts.timeouts.get(),
            failures: counts.failures.get(),
            skipped: counts.skipped.get(),
            dropped: counts.dropped.get(),
            garbage: counts.garbage.get(),
        }
    }

    // The answer to a look-up, unless Redis is away or becomes so.
    pub(super) async fn read<T: FromRedisValue>(
        self: &Arc<Self>,
        command: Cmd,
        limit: Duration,
    ) -> Result<T, Trouble> {
        if !self.may_ask() {
            self.counts.skipped.add();
            return Err(Trouble::Skipped);
        }
        let result = self.send(&command, limit).await;
        let outcome = match &result {
            Ok(_) | Err(Trouble::Foreign) => Outcome::Good,
            Err(trouble) => trouble.outcome(),
        };
        self.learn(outcome, result.as_ref().err());
        result
    }

    // Whether it was done. What there is to write is made only if it can be sent; `None`: nothing after all.
    pub(super) async fn write(self: &Arc<Self>, make: impl FnOnce() -> Option<Cmd>) -> bool {
        if !self.may_ask() || !self.may_write() {
            self.counts.skipped.add();
            return false;
        }
        let Some(command) = make() else { return false };
        let result = self.send::<::redis::Value>(&command, self.options.put_timeout).await;
        let result = result.map(drop);
        // To read on may well be possible, or not.
        let outcome = match &result {
            Ok(()) | Err(Trouble::Refused(_) | Trouble::Foreign) => Outcome::There,
            Err(trouble) => trouble.outcome(),
        };
        self.learn(outcome, result.as_ref().err());
        self.learn_of_writes(result.as_ref().copied());
        result.is_ok()
    }

    // When it is time for it, also sends the probe.
    fn may_ask(self: &Arc<Self>) -> bool {
        let mut breaker = lock(&self.breaker);
        if !breaker.is_open() {
            return true;
        }
        if breaker.may_probe(Instant::now()) {
            let link = Arc::clone(self);
            tokio::spawn(async move { link.probe().await });
        }
        false
    }

    // A write that nobody waits for is its own probe.
    fn may_write(&self) -> bool {
        let mut writes = lock(&self.writes);
        !writes.is_open() || writes.may_probe(Instant::now())
    }

    // Asks what a look-up asks: there are users who may say `PING` and nothing else.
    async fn probe(self: Arc<Self>) {
        let probe =
            cmd("GETRANGE").arg(format!("{}probe", self.options.prefix)).arg(0).arg(0).take();
        let mut result = self.send::<Vec<u8>>(&probe, PROBE_TIMEOUT).await;
        if result.is_ok() {
            // Connected by now; one that is too slow to be used is not back.
            result = self.send(&probe, self.options.get_timeout).await;
        }
        let change = lock(&self.breaker).probed(result.is_ok(), Instant::now());
        self.tell(change, result.as_ref().err());
    }

    fn learn(&self, outcome: Outcome, trouble: Option<&Trouble>) {
        let change = lock(&self.breaker).outcome(outcome);
        self.tell(change, trouble);
    }

    fn learn_of_writes(&self, outcome: Result<(), &Trouble>) {
        let refused = match outcome {
            Ok(()) => false,
            Err(Trouble::Refused(error)) => {
                // The name may lead to the new primary by now.
                if error.code() == Some("READONLY") {
                    *lock(&self.manager) = None;
                }
                true
            }
            // Says nothing of writes.
            Err(_) => return,
        };
        let mut writes = lock(&self.writes);
        let change = if writes.is_open() {
            writes.probed(!refused, Instant::now())
        } else {
            writes.outcome(if refused { Outcome::Failed } else { Outcome::Good })
        };
        drop(writes);
        match change {
            None | Some(Change::StillOpen) => {}
            Some(Change::Opened) => {
                let cause = outcome.err().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(cause, "redis takes no writes, only reading its cache");
            }
            Some(Change::Recovered { after }) => {
                tracing::info!(outage_ms = millis(after), "redis takes writes again");
            }
        }
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd, limit: Duration) -> Result<T, Trouble> {
        let result = match self.manager() {
            Err(error) => Err(Trouble::Failed(error)),
            Ok(mut manager) => match timeout(limit, command.query_async(&mut manager)).await {
                Err(_) => Err(Trouble::Timeout),
                Ok(Err(error)) => Err(Trouble::of(error)),
                Ok(Ok(value)) => Ok(value),
            },
        };
        match &result {
            Ok(_) | Err(Trouble::Foreign | Trouble::Skipped) => {}
            Err(Trouble::Timeout) => self.counts.timeouts.add(),
            Err(Trouble::Failed(_) | Trouble::Refused(_)) => self.counts.failures.add(),
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
                tracing::info!(outage_ms = millis(after), "redis is back, caching again");
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Trouble ===

impl Trouble {
    fn of(error: RedisError) -> Self {
        match error.code() {
            Some("WRONGTYPE") => Self::Foreign,
            // These it says to everything.
            Some("NOAUTH" | "WRONGPASS" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN") => {
                Self::Failed(error)
            }
            Some(_) => Self::Refused(error),
            None if error.is_timeout() => Self::Timeout,
            None => Self::Failed(error),
        }
    }

    fn outcome(&self) -> Outcome {
        if matches!(self, Self::Timeout) { Outcome::Timeout } else { Outcome::Failed }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timed out"),
            Self::Failed(error) | Self::Refused(error) => error.fmt(f),
            Self::Foreign => f.write_str("something else stands there"),
            Self::Skipped => f.write_str("not asked"),
        }
    }
}
