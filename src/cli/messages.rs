//! What the program says of itself on stderr.

use super::Failure;
use crate::config::Log;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::{EnvFilter, fmt};

/// Starts writing messages to stderr, in the configured form and from the configured level on. The first call wins.
pub(super) fn start(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| {
        Failure::Usage(format!("log.level: {:?} is no filter: {error}", log.level))
    })?;
    // https://no-color.org: set and not empty.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let text = fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(!plain && stderr().is_terminal());
    // An error means that a host program has set up its own; that is then where messages go.
    let _ = match log.format.as_str() {
        "json" => text.json().flatten_event(true).try_init(),
        _ => text.try_init(),
    };
    Ok(())
}
