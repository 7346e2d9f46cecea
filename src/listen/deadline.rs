//! A time that runs only while something is waited for.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long one wait may take. Costs nothing until the first wait, and then one timer that is used again.
#[derive(Debug)]
pub(crate) struct Deadline {
    after: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    runs: bool,
}

impl Deadline {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, sleep: None, runs: false }
    }

    pub(crate) fn after(&self) -> Duration {
        self.after
    }

    /// Something is waited for; ready once that takes too long.
    pub(crate) fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = || Instant::now() + self.after;
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if !self.runs {
                    sleep.as_mut().reset(at());
                }
                sleep
            }
            none => {
                let at = at();
                none.insert(Box::pin(sleep_until(at)))
            }
        };
        self.runs = true;
        sleep.as_mut().poll(cx)
    }

    /// What was waited for came.
    pub(crate) fn met(&mut self) {
        self.runs = false;
    }
}
