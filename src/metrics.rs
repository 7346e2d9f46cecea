//! What can be measured: the rows of the log added up, and whatever else is read when somebody asks.
//!
//! Requests are counted where their row is handed over ([`Counted`]), so the counters and the log cannot disagree, and
//! there is a count where there is no log. Everything else is [read](Metrics::read) from its owner at that moment.
//!
//! Nothing is global: each value of [`Metrics`] counts for itself, and [`Metrics::register`] lends its counters to a
//! registry of the caller's.

mod count;
mod process;
mod read;
mod totals;

pub use self::{count::Counted, read::Readings};

use self::{read::Readers, totals::Totals};
use prometheus_client::{encoding::text, metrics::gauge::Gauge, registry::Registry};
use std::{fmt, sync::Arc};

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The counters of one gateway. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    totals: Totals,
    in_flight: Gauge,
    readers: Arc<Readers>,
    registry: Registry,
}

// === impl Metrics ===

impl Metrics {
    /// Nothing counted so far. Reads what the system knows of this process: memory, descriptors, processor time, tasks.
    pub fn new() -> Self {
        let (totals, in_flight) = (Totals::default(), Gauge::default());
        let readers = Arc::new(Readers::default());
        let mut registry = Registry::default();
        register(&mut registry, &totals, &in_flight, &readers);
        let metrics = Self { shared: Arc::new(Shared { totals, in_flight, readers, registry }) };
        metrics.read("process", process::reader());
        metrics
    }

    /// Lends all of this to a registry of the caller's, under the names that [`Metrics::text`] has.
    pub fn register(&self, registry: &mut Registry) {
        let shared = &self.shared;
        register(registry, &shared.totals, &shared.in_flight, &shared.readers);
    }

    /// Has `reader` say what it knows each time somebody asks. It replaces the one that had this name before, so what a
    /// reload makes anew takes the place of what it was. It must not block for long.
    pub fn read(&self, name: &'static str, reader: impl Fn(&mut Readings) + Send + Sync + 'static) {
        self.shared.readers.put(name, Arc::new(reader));
    }

    /// Takes a reader away.
    pub fn forget(&self, name: &'static str) {
        self.shared.readers.remove(name);
    }

    /// Everything, in the text form of OpenMetrics, which Prometheus reads too.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.shared.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("in_flight", &self.shared.in_flight.get()).finish()
    }
}

fn register(registry: &mut Registry, totals: &Totals, in_flight: &Gauge, readers: &Arc<Readers>) {
    totals.register(registry);
    let help = "Requests whose answer has not ended";
    registry.register("unigate_in_flight_requests", help, in_flight.clone());
    registry.register_collector(Box::new(readers.clone()));
}

#[cfg(test)]
mod tests;
