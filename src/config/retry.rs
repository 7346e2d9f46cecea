//! The `retry` section.

use serde::{Deserialize, Serialize};

/// How often, how fast and how long another attempt is made.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts per target, the first one included, 1 and up. Default 2.
    pub tries: u32,
    /// Milliseconds before the second attempt; each further one waits up to twice as long. Default 50.
    pub backoff_ms: u64,
    /// Seconds after which no further attempt begins, 1 and up. Default 600.
    pub deadline_s: u64,
    /// Extra attempts as a share of all requests, in percent, 0 to 100. Default 20.
    pub budget_percent: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 2, backoff_ms: 50, deadline_s: 600, budget_percent: 20 }
    }
}
