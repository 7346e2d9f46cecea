//! What the program says of itself on stderr.
//!
//! Requests never wait for whoever reads it: see [`Lines`].

mod lines;

use self::lines::Lines;
use super::Failure;
use crate::{config::Log, metrics::Metrics};
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal, stderr},
    panic::PanicHookInfo,
    time::Duration,
};
use tracing_subscriber::{EnvFilter, fmt};

/// The way to the messages while the program runs.
#[must_use = "the last messages are written by `finish`"]
pub(super) struct Messages {
    lines: Lines,
}

/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Starts writing messages to stderr, in the configured form and from the configured level on. The first call wins.
pub(super) fn start(log: &Log) -> Result<Messages, Failure> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| {
        Failure::Usage(format!("log.level: {:?} is no filter: {error}", log.level))
    })?;
    let json = log.format == "json";
    let notice = move |dropped: u64| match json {
        true => format!(
            "{{\"level\":\"WARN\",\"message\":\"messages were dropped, nobody read them in time\",\"dropped\":{dropped}}}\n"
        ),
        false => format!("{dropped} messages were dropped: nobody read them in time\n"),
    };
    let lines = Lines::to(stderr(), notice).map_err(|error| {
        Failure::Failed(format!("cannot start the thread for messages: {error}"))
    })?;
    // https://no-color.org: set and not empty.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let text = fmt()
        .with_env_filter(filter)
        .with_writer(lines.clone())
        .with_ansi(!plain && stderr().is_terminal());
    // An error means that a host program has set up its own; that is then where messages go.
    let _ = match json {
        true => text.json().flatten_event(true).try_init(),
        false => text.try_init(),
    };
    std::panic::set_hook(Box::new(panicked));
    Ok(Messages { lines })
}

/// Where it was, and not what it said: that may quote a request.
fn panicked(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string);
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(at, trace, "panicked: a defect of this program, please report it");
}

impl Messages {
    /// Tells how many messages were dropped.
    pub(super) fn report(&self, metrics: &Metrics) {
        let lines = self.lines.clone();
        metrics.read("messages", move |to| {
            let help = "Messages of the program that were dropped because nobody read them in time";
            to.counter("unigate_messages_dropped", help, &[], lines.dropped());
        });
    }

    /// Waits until what was said is written, for a moment at most.
    pub(super) fn finish(self) {
        self.lines.flush(PATIENCE);
    }
}
