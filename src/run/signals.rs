//! The signals that mean stop.

/// `SIGTERM` and `SIGINT`; Ctrl-C where there are none.
pub(super) struct Signals {
    #[cfg(unix)]
    heard: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Signals {
    pub(super) fn new() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let heard = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
            let [Ok(term), Ok(int)] = heard else { return Self { heard: None } };
            Self { heard: Some([term, int]) }
        }
        #[cfg(not(unix))]
        Self {}
    }

    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        match &mut self.heard {
            Some([term, int]) => {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
            }
            None => std::future::pending().await,
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
