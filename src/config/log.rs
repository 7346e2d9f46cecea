//! The `log` section.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The request log (a SQLite file, one row a request) and the program's own messages.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The SQLite file. Default when absent: `unigate/requests.db` in `$XDG_DATA_HOME` or `~/.local/share`;
    /// [`Config::load`](super::Config::load) fills it in.
    pub path: Option<PathBuf>,
    /// Whether requests are logged at all. Default yes.
    pub enabled: bool,
    /// Days a row is kept. Default 30; 0 is for ever.
    pub days: u32,
    /// Size of the file in MiB, above which the oldest rows go. Default 1024; 0 is any size.
    pub max_mb: u64,
    /// Whether prompts and answers are kept too. Default no.
    pub prompts: bool,
    /// Whether the last piece of each answer waits, at most 2 s, until its row is where a crash of the gateway cannot
    /// reach it. Costs about 5 ms per answer. Default no: a crash may lose rows of the last 25 ms.
    pub strict: bool,
    /// What the program says on stderr: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,unigate=debug`. Default `info`.
    pub level: String,
    /// How it says it: `text` or `json`. Default `text`.
    pub format: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            path: None,
            enabled: true,
            days: 30,
            max_mb: 1024,
            prompts: false,
            strict: false,
            level: "info".to_owned(),
            format: "text".to_owned(),
        }
    }
}
