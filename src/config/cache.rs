//! The `cache` section.

use super::{SecretRef, SecretUrl};
use serde::{Deserialize, Serialize};

/// Which answers are kept, and where.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Where: `memory`, `redis` or `off`. Default `memory`; when absent and `redis` is set, `redis`.
    pub store: String,
    /// Address of a Redis server, `redis://…`, or a reference to where it stands. Default: none.
    pub redis: Option<SecretUrl>,
    /// A secret under which answers are sealed in Redis, as a reference to where it stands; the same for all gateways that
    /// share it. Default: none, and who else can write there can put words into our mouth.
    pub seal: Option<SecretRef>,
    /// Seconds an answer is kept, 1 and up. Default 3600.
    pub ttl_s: u64,
    /// Bytes kept in memory; the least used go first. Redis has its own bound. Default 268435456 (256 MiB).
    pub max_bytes: u64,
    /// Bytes of one answer; a larger one is not kept. Default 1048576 (1 MiB).
    pub max_entry_bytes: usize,
    /// Whether streamed answers of sampled requests (temperature above 0 and no seed) are kept and replayed. Default no.
    pub sampled_streams: bool,
    /// Whether an answer that a fallback gave is kept under the first choice's key. Default no.
    pub fallbacks: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            store: "memory".to_owned(),
            redis: None,
            seal: None,
            ttl_s: 3600,
            max_bytes: 256 << 20,
            max_entry_bytes: 1 << 20,
            sampled_streams: false,
            fallbacks: false,
        }
    }
}
