//! The `translate` section.

use serde::{Deserialize, Serialize};

/// What may happen to a request on its way into another dialect.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Translate {
    /// Whether a field that the upstream cannot be told is an error (400) instead of a warning. Default no.
    pub strict: bool,
    /// Bytes of one image in a request that is translated, 1 and up; a larger one is an error (400). Default 20971520
    /// (20 MiB).
    pub max_image_bytes: usize,
    /// Hosts from which images are fetched for an Ollama, which takes no addresses: `host`, `*.host` for every name
    /// below it, `http://host` where it may also be without TLS. Never from addresses that are not public. Default:
    /// none, and an address is an error (400).
    pub image_hosts: Vec<String>,
}

impl Default for Translate {
    fn default() -> Self {
        Self { strict: false, max_image_bytes: 20 << 20, image_hosts: Vec::new() }
    }
}
