//! What is read from its owner when somebody asks, instead of being counted as it happens.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::MetricType,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Where a reader says what it knows.
#[derive(Debug, Default)]
pub struct Readings {
    families: BTreeMap<&'static str, Reading>,
}

#[derive(Debug)]
struct Reading {
    help: &'static str,
    values: Vec<(Vec<(&'static str, String)>, Value)>,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Counter(u64),
    Seconds(f64),
    Gauge(f64),
}

/// The readers of one gateway, by name.
#[derive(Default)]
pub(super) struct Readers {
    known: Mutex<BTreeMap<&'static str, Arc<Reader>>>,
}

type Reader = dyn Fn(&mut Readings) + Send + Sync;

// === impl Readings ===

impl Readings {
    /// Something that only grows. The text form adds `_total` to the name. Labels must have few values; a second call with
    /// the same name and labels is a second sample, which no reader of the text accepts.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: u64,
    ) {
        self.put(name, help, labels, Value::Counter(value));
    }

    /// Seconds that only add up.
    pub fn seconds(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        self.put(name, help, labels, Value::Seconds(value));
    }

    /// Something that goes up and down.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        self.put(name, help, labels, Value::Gauge(value));
    }

    fn put(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: Value,
    ) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let reading = self.families.entry(name).or_insert(Reading { help, values: Vec::new() });
        reading.values.push((labels, value));
    }
}

// === impl Readers ===

impl Readers {
    pub(super) fn put(&self, name: &'static str, reader: Arc<Reader>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name, reader);
    }

    pub(super) fn remove(&self, name: &'static str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn all(&self) -> Vec<Arc<Reader>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }
}

impl Collector for Readers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut readings = Readings::default();
        // Not under the lock: a reader may take its time.
        for reader in self.all() {
            reader(&mut readings);
        }
        for (name, reading) in readings.families {
            let kind = match reading.values.first() {
                Some((_, Value::Counter(_) | Value::Seconds(_))) => MetricType::Counter,
                Some((_, Value::Gauge(_))) => MetricType::Gauge,
                None => continue,
            };
            let mut family = encoder.encode_descriptor(name, reading.help, None, kind)?;
            for (labels, value) in &reading.values {
                if labels.is_empty() {
                    // As a family it would have empty braces behind its name.
                    say(&mut family, *value)?;
                } else {
                    say(&mut family.encode_family(labels)?, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn say(metric: &mut MetricEncoder<'_>, value: Value) -> fmt::Result {
    type NoLabels = [(&'static str, &'static str); 0];
    match value {
        Value::Counter(value) => metric.encode_counter::<NoLabels, _, f64>(&value, None),
        Value::Seconds(value) => metric.encode_counter::<NoLabels, _, f64>(&value, None),
        Value::Gauge(value) => metric.encode_gauge(&value),
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}
