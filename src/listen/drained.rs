//! How serving ends, and what becomes of those who are late.

use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, watch};

/// How long cut connections may take to go; they only have to be dropped.
const GONE: Duration = Duration::from_secs(1);

/// How serving ended.
#[derive(Debug)]
#[must_use]
pub enum Drained {
    /// Every request had its answer.
    All,
    /// The time was up.
    Late(Late),
}

/// The connections that outlasted the drain. They run until [`Late::cut`], or until this is dropped.
#[derive(Debug)]
pub struct Late {
    pub(super) all: usize,
    pub(super) places: Arc<Semaphore>,
    pub(super) cutting: watch::Sender<()>,
}

impl Late {
    /// How many connections there still are.
    pub fn connections(&self) -> usize {
        self.all - self.places.available_permits()
    }

    /// Waits until they have gone by themselves, at most this long.
    pub async fn rest(&self, patience: Duration) {
        let all = u32::try_from(self.all).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(patience, self.places.acquire_many(all)).await;
    }

    /// Cuts them, and waits until they are gone: whoever watched one of their requests has seen its end.
    pub async fn cut(self) {
        drop(self.cutting);
        let all = u32::try_from(self.all).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(GONE, self.places.acquire_many(all)).await;
    }
}
