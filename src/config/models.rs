//! The `models` section.

use serde::{Deserialize, Serialize};

/// Which models stand behind `auto`. A value is `model`, or `upstream/model` where that upstream is configured.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// For everything that no rule takes. Default when absent: picked from what is installed.
    pub default: Option<String>,
    /// For code. Default when absent: picked from what is installed.
    pub coder: Option<String>,
    /// For short prompts. Default when absent: picked from what is installed.
    pub small: Option<String>,
    /// Tried in this order when the first choice fails, for every rule without fallbacks of its own. Default: none.
    pub fallback: Vec<String>,
    /// Whether `auto` may pick models that Ollama runs in its cloud. Default no.
    pub allow_cloud: bool,
    /// Seconds between two looks at what the upstreams have, 1 and up. Default 60.
    pub refresh_s: u64,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            default: None,
            coder: None,
            small: None,
            fallback: Vec::new(),
            allow_cloud: false,
            refresh_s: 60,
        }
    }
}
