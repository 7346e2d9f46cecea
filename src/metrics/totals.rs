//! The counters that rows are added to.
//!
//! Labels have few values: names from the configuration, words from our own lists, and model names, of which the first
//! [`MOST_MODELS`] that were served are told apart. What a client wrote is never a label by itself.

use crate::{front::Front, log::LogRow};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// How many models have counters of their own; all further ones share the name `other`.
const MOST_MODELS: usize = 100;

/// The longest model name that is a label, in bytes; a longer one is `other`.
const LONGEST_MODEL: usize = 128;

/// Seconds from arrival to end: a cache hit takes less than a millisecond, a long answer many minutes.
const DURATIONS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
    1800.0,
];

/// Seconds from arrival to the first meaningful byte: the end of the scale is a cold load of a large model.
const FIRST_BYTES: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    dialect: &'static str,
    operation: String,
    upstream: String,
    ending: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Times {
    operation: String,
    upstream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tokens {
    upstream: String,
    model: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Word {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Upstream {
    upstream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

type Histograms = Family<Times, Histogram, fn() -> Histogram>;

/// Everything that is counted of requests.
pub(super) struct Totals {
    requests: Family<Request, Counter>,
    durations: Histograms,
    first_bytes: Histograms,
    errors: Family<Code, Counter>,
    tokens: Family<Tokens, Counter>,
    cache: Family<Word, Counter>,
    attempts: Family<Upstream, Counter>,
    fallbacks: Family<Upstream, Counter>,
    bytes: Family<Direction, Counter>,
    models: Mutex<HashSet<String>>,
}

// === impl Totals ===

impl Default for Totals {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            first_bytes: Family::new_with_constructor(|| Histogram::new(FIRST_BYTES)),
            errors: Family::default(),
            tokens: Family::default(),
            cache: Family::default(),
            attempts: Family::default(),
            fallbacks: Family::default(),
            bytes: Family::default(),
            models: Mutex::default(),
        }
    }
}

impl Totals {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "unigate_requests",
            "Requests that have ended, one for each row of the log",
            self.requests.clone(),
        );
        to.register(
            "unigate_request_duration_seconds",
            "From a request's arrival to the end of its answer",
            self.durations.clone(),
        );
        to.register(
            "unigate_first_byte_seconds",
            "From a request's arrival to the first meaningful byte of its answer",
            self.first_bytes.clone(),
        );
        to.register(
            "unigate_errors",
            "Requests that ended otherwise than complete, by the code in the log",
            self.errors.clone(),
        );
        to.register(
            "unigate_tokens",
            "Tokens as upstreams counted them; those of answers from the cache included",
            self.tokens.clone(),
        );
        to.register("unigate_cache_results", "What the cache did", self.cache.clone());
        to.register(
            "unigate_attempts",
            "Attempts, by the upstream that was asked last",
            self.attempts.clone(),
        );
        to.register(
            "unigate_fallbacks",
            "Requests for which another target than the first was tried, by the one asked last",
            self.fallbacks.clone(),
        );
        to.register(
            "unigate_body_bytes",
            "Bytes of bodies, as clients see them",
            self.bytes.clone(),
        );
    }

    pub(super) fn add(&self, row: &LogRow) {
        let operation = match &row.operation {
            Some(operation) => operation.clone(),
            None if Front::is_own(&row.path) => "own".to_owned(),
            None => "unknown".to_owned(),
        };
        // A hit names who answered once; nobody was asked now.
        let hit = row.cache == Some("hit");
        let asked = row.provider.clone().filter(|_| !hit).unwrap_or_default();
        let request = Request {
            dialect: row.dialect.unwrap_or_default(),
            operation: operation.clone(),
            upstream: asked.clone(),
            ending: row.ending,
            status: class(row.status_code),
        };
        self.requests.get_or_create(&request).inc();
        let times = Times { operation, upstream: asked.clone() };
        self.durations.get_or_create(&times).observe(seconds(row.latency_ms));
        if let Some(first) = row.first_byte_ms {
            self.first_bytes.get_or_create(&times).observe(seconds(first));
        }
        if let Some(code) = row.error_code {
            self.errors.get_or_create(&Code { code }).inc();
        }
        if let Some(result) = row.cache {
            self.cache.get_or_create(&Word { result }).inc();
        }
        let upstream = Upstream { upstream: asked };
        if row.attempts > 0 {
            self.attempts.get_or_create(&upstream).inc_by(row.attempts as u64);
        }
        if row.fallback_used {
            self.fallbacks.get_or_create(&upstream).inc();
        }
        for (direction, bytes) in [("in", row.bytes_in.unwrap_or_default()), ("out", row.bytes_out)]
        {
            self.bytes.get_or_create(&Direction { direction }).inc_by(bytes);
        }
        self.tokens(row);
    }

    fn tokens(&self, row: &LogRow) {
        let counted = [
            ("prompt", row.prompt_tokens),
            ("completion", row.completion_tokens),
            ("cached", row.cached_tokens),
            ("reasoning", row.reasoning_tokens),
        ];
        if counted.iter().all(|(_, tokens)| tokens.is_none()) {
            return;
        }
        let upstream = row.provider.clone().unwrap_or_default();
        let model = self.model(row.model_used.as_deref());
        for (kind, tokens) in counted {
            if let Some(tokens) = tokens {
                let labels = Tokens { upstream: upstream.clone(), model: model.clone(), kind };
                self.tokens.get_or_create(&labels).inc_by(tokens);
            }
        }
    }

    /// The name, or `other` when there are too many already.
    fn model(&self, name: Option<&str>) -> String {
        let Some(name) = name else { return "unknown".to_owned() };
        if name.len() > LONGEST_MODEL {
            return "other".to_owned();
        }
        let mut known = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(name) {
            if known.len() >= MOST_MODELS {
                return "other".to_owned();
            }
            known.insert(name.to_owned());
        }
        name.to_owned()
    }
}

fn class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(_) => "5xx",
        // The client left before there was one.
        None => "none",
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
