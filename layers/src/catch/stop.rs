//! One word to many exchanges: that nobody waits for them any longer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use tokio::sync::{Notify, futures::OwnedNotified};

/// Tells all exchanges that wait to end. Cheap to clone; clones tell the same ones.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    wake: Arc<Notify>,
}

/// One exchange that may be told. Nothing is registered before it waits for the first time.
#[derive(Debug)]
pub(super) struct Waiting {
    stop: Stop,
    told: Option<Pin<Box<OwnedNotified>>>,
    waker: Option<Waker>,
}

// === impl Stop ===

impl Stop {
    /// Nothing is stopped so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends what waits now, and what will have to wait later. It cannot be taken back.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.wake.notify_waiters();
    }

    /// Whether it was said.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    pub(super) fn waiting(&self) -> Waiting {
        Waiting { stop: self.clone(), told: None, waker: None }
    }
}

// === impl Waiting ===

impl Waiting {
    /// Whether to end; else whoever polls is woken when it is time to. Takes the list's lock for a new waker only, not for
    /// every frame.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stop.is_stopped() {
            return true;
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return false;
        }
        self.waker = Some(cx.waker().clone());
        let wake = &self.stop.shared.wake;
        let told = self.told.get_or_insert_with(|| Box::pin(wake.clone().notified_owned()));
        // It may have been said since it was asked.
        told.as_mut().poll(cx).is_ready() || self.stop.is_stopped()
    }
}
