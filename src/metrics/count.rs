//! A sink that counts the rows on their way to another.

use super::Metrics;
use crate::log::{Begun, LogRow, Sink, Told};
use std::sync::Arc;
use unigate_layers::log::Hold;

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

    fn count(&self, row: &LogRow) {
        let shared = &self.metrics.shared;
        shared.in_flight.dec();
        shared.totals.add(row);
    }
}

impl<S: Sink> Sink for Counted<S> {
    fn push(&self, row: LogRow) {
        self.count(&row);
        self.inner.push(row);
    }

    fn begin(&self, begun: &Arc<Begun>) -> Option<u64> {
        self.metrics.shared.in_flight.inc();
        self.inner.begin(begun)
    }

    fn end(&self, ticket: Option<u64>, row: LogRow, told: Option<Told>) {
        self.count(&row);
        self.inner.end(ticket, row, told);
    }

    fn hold(&self) -> Option<(Told, Hold)> {
        self.inner.hold()
    }
}
