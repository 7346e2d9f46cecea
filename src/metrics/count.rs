//! A sink that counts the rows on their way to another.

use super::Metrics;
use crate::log::{LogRow, Sink};

/// Counts each row, then hands it on.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    metrics: Metrics,
    inner: S,
}

impl<S> Counted<S> {
    /// Counts in `metrics` what goes to `inner`.
    pub fn new(metrics: Metrics, inner: S) -> Self {
        Self { metrics, inner }
    }
}

impl<S: Sink> Sink for Counted<S> {
    fn begin(&self) {
        self.metrics.shared.in_flight.inc();
        self.inner.begin();
    }

    fn push(&self, row: LogRow) {
        let shared = &self.metrics.shared;
        shared.in_flight.dec();
        shared.totals.add(&row);
        self.inner.push(row);
    }
}
