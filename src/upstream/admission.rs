//! Who may ask an upstream now, who waits for that, and who is sent away.

use crate::{config, error::Error, front::Client, record::Record};
use http::{HeaderMap, header::USER_AGENT};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};
use unigate_layers::admit::{Gate, Limits, Place};

/// The gate before one upstream.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Gate,
}

/// Somebody waits; what that comes to is noted however it ends, by leaving too.
struct Waits<'a> {
    record: &'a Record,
    position: usize,
    since: Instant,
}

impl Admission {
    /// As configured.
    ///
    /// # Errors
    /// For a time that no clock can count.
    pub(super) fn new(config: &config::Upstream) -> Result<Self, String> {
        let limits = Limits::default();
        let seconds = |own: Option<f64>, default: Duration| match own {
            None => Ok(default),
            Some(own) => Duration::try_from_secs_f64(own).map_err(|error| error.to_string()),
        };
        let limits = Limits {
            places: config.max_in_flight,
            per_group: config.max_in_flight_per_model,
            queue: config.max_queued.unwrap_or(limits.queue),
            wait: seconds(config.queue_s, limits.wait)?,
            turn: seconds(config.swap_wait_s, limits.turn)?,
        };
        Ok(Self { gate: Gate::new(limits) })
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Waits for a place to ask for this model, as this client.
    ///
    /// # Errors
    /// [`Error::Overloaded`] where there is none, nor room or time to wait for one.
    pub(super) async fn enter(
        &self,
        upstream: &Arc<str>,
        model: Arc<str>,
        client: u64,
        record: &Record,
    ) -> Result<Place, Error> {
        let enter = self.gate.enter(model, client);
        let since = Instant::now();
        let _waits = enter.position().map(|position| Waits { record, position, since });
        enter.await.map_err(|full| Error::Overloaded {
            upstream: upstream.clone(),
            limit: full.places,
            queued: full.queued,
            waited: full.waited,
            after: full.after,
        })
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.record.queue(self.position, self.since.elapsed());
    }
}

/// Who asks, for taking turns: by their key, or where nobody has one, by what they call themselves.
pub(super) fn client(client: Option<&Client>, headers: &HeaderMap) -> u64 {
    let mut hasher = DefaultHasher::new();
    match client {
        Some(Client(digest)) => digest.hash(&mut hasher),
        None => headers.get(USER_AGENT).map(|agent| agent.as_bytes()).hash(&mut hasher),
    }
    hasher.finish()
}
