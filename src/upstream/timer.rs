//! How long an answer may be silent, and how long it may take.

use crate::error::Error;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};
use tokio::time::Sleep;

/// Silence and duration, without touching a timer for every frame.
pub(super) struct Timer {
    idle: Duration,
    total: Duration,
    started: Instant,
    last: Instant,
    sleep: Pin<Box<Sleep>>,
}

// === impl Timer ===

impl Timer {
    /// Gives up after `idle` without a frame, and at `total` after `started`.
    pub(super) fn new(idle: Duration, total: Duration, started: Instant) -> Self {
        let last = Instant::now();
        let first = idle.min(total.saturating_sub(started.elapsed()));
        let sleep = Box::pin(tokio::time::sleep(first));
        Self { idle, total, started, last, sleep }
    }

    /// A frame came.
    pub(super) fn heard(&mut self) {
        self.last = Instant::now();
    }

    /// The time-out that has passed, if one has; else the timer is armed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, upstream: &Arc<str>) -> Option<Error> {
        while self.sleep.as_mut().poll(cx).is_ready() {
            let silent = self.last.elapsed();
            let lasted = self.started.elapsed();
            if lasted >= self.total {
                let upstream = upstream.clone();
                return Some(Error::TotalTimeout { upstream, waited: self.total });
            }
            if silent >= self.idle {
                let upstream = upstream.clone();
                return Some(Error::Idle { upstream, waited: self.idle });
            }
            let next = (self.idle - silent).min(self.total - lasted);
            self.sleep.as_mut().reset(tokio::time::Instant::now() + next);
        }
        None
    }
}
