//! Whether requests should come here, and what does not work although they may.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What the parts of the gateway say of themselves. Cheap to clone; all clones share it.
#[derive(Clone, Default)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    parts: Mutex<BTreeMap<&'static str, Arc<Ask>>>,
}

type Ask = dyn Fn() -> Part + Send + Sync;

/// How a part is. None of these keeps requests away: a gateway without its log or its cache still answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It works.
    Ok,
    /// It is not wanted.
    Off,
    /// It is wanted and does not work; why, in words that strangers may read.
    Failing(String),
}

// === impl Readiness ===

impl Readiness {
    /// Nothing is known to be wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this part each time somebody wants to know. It replaces the one that had this name before.
    pub fn part(&self, name: &'static str, ask: impl Fn() -> Part + Send + Sync + 'static) {
        let mut parts = self.shared.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(name, Arc::new(ask));
    }

    /// No more requests, please: from now on the gateway is not ready.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    /// What the parts say now, as `/readyz` shows it, by their names.
    pub fn parts(&self) -> serde_json::Map<String, Value> {
        let parts = self.shared.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let shown = |part: Part| match part {
            Part::Ok => json!({ "state": "ok" }),
            Part::Off => json!({ "state": "off" }),
            Part::Failing(why) => json!({ "state": "failing", "why": why }),
        };
        parts.into_iter().map(|(name, ask)| (name.to_owned(), shown(ask()))).collect()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_asked_each_time_and_says_why_it_fails() {
        let readiness = Readiness::new();
        let broken = Arc::new(AtomicBool::new(false));
        let seen = broken.clone();
        readiness.part("log", move || match seen.load(Ordering::Relaxed) {
            true => Part::Failing("disk full".into()),
            false => Part::Ok,
        });
        readiness.part("cache", || Part::Off);
        assert_eq!(readiness.parts()["log"], json!({ "state": "ok" }));
        broken.store(true, Ordering::Relaxed);
        let parts = Value::Object(readiness.parts());
        let expected = json!({ "log": { "state": "failing", "why": "disk full" }, "cache": { "state": "off" } });
        assert_eq!(parts, expected);
    }
}
