//! The moment at which a gateway that was told to stop cuts what still runs.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// That moment. Clones are the same one.
#[derive(Clone, Default)]
pub struct Stopping {
    cut: Arc<AtomicBool>,
    #[cfg(feature = "gateway")]
    bell: Arc<tokio::sync::Notify>,
}

impl Stopping {
    /// It is now, and stays so.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        #[cfg(feature = "gateway")]
        self.bell.notify_waiters();
    }

    /// Whether it has come.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Waits for it.
    #[cfg(feature = "gateway")]
    pub fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        // Hears what happens from here on; then looks at what has happened before.
        let heard = self.bell.clone().notified_owned();
        let cut = self.is_cut();
        async move {
            if !cut {
                heard.await;
            }
        }
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stopping").field(&self.is_cut()).finish()
    }
}

#[cfg(all(test, feature = "gateway"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_before_or_after_hears_of_it() {
        let stopping = Stopping::default();
        let before = stopping.wait();
        let other = tokio::spawn(stopping.wait());
        tokio::task::yield_now().await;
        stopping.cut();
        before.await;
        other.await.unwrap();
        stopping.wait().await;
    }
}
