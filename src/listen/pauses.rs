//! What an accept loop does that cannot accept.

use std::{
    io,
    time::{Duration, Instant},
};

/// How long nothing may have failed before connections are said to be accepted again; more than the longest pause.
const QUIET: Duration = Duration::from_secs(2);

/// The pauses of an accept loop that cannot accept: longer each time, and told once, also where one in ten succeeds.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    last: Option<Duration>,
    failed: Option<Instant>,
}

impl Pauses {
    pub(super) fn next(&mut self, error: &io::Error) -> Duration {
        if self.failed.replace(Instant::now()).is_none() {
            tracing::warn!(%error, "cannot accept connections; trying again until it is possible");
        }
        let pause = self.last.map_or(Duration::from_millis(50), |last| last * 2);
        *self.last.insert(pause.min(Duration::from_secs(1)))
    }

    pub(super) fn over(&mut self) {
        self.last = None;
        if self.failed.is_some_and(|at| at.elapsed() > QUIET) {
            self.failed = None;
            tracing::warn!("connections are accepted again");
        }
    }
}

/// Whether accepting failed for this connection alone.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
