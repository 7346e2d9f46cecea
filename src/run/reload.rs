//! A changed configuration becomes a new stack, or changes nothing.
//!
//! `SIGHUP` and a changed file both ask for it. The file is looked at every two seconds: notifications are unreliable
//! for bind mounts and for the symlinks that orchestrators swap.

use super::report::{self, Reloads};
use crate::{
    config::{Config, Loaded},
    discovery::Discovery,
    gateway::{self, Answer, Gateway, Resources},
};
use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tower_service::Service;

/// The gateway of the moment. A request keeps the one it began with.
#[derive(Clone)]
pub(super) struct Swap {
    current: Arc<ArcSwap<Shared>>,
}

/// `BoxCloneSyncService` is `Sync` but is called by `&mut`: each request clones it.
struct Shared(Mutex<Gateway>);

/// Watches for a reason to reload.
pub(super) struct Reload {
    loaded: Loaded,
    resources: Resources,
    swap: Swap,
    changed: Changed,
    reloads: Reloads,
}

const LOOK: Duration = Duration::from_secs(2);

// === impl Swap ===

impl Swap {
    pub(super) fn new(gateway: Gateway) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(Shared(Mutex::new(gateway)))) }
    }

    fn put(&self, gateway: Gateway) {
        self.current.store(Arc::new(Shared(Mutex::new(gateway))));
    }

    fn get(&self) -> Gateway {
        self.current.load().0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Service<Request<Incoming>> for Swap {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let gateway = self.get();
        Box::pin(async move { tower::ServiceExt::oneshot(gateway, request).await })
    }
}

impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swap").finish_non_exhaustive()
    }
}

// === impl Reload ===

impl Reload {
    pub(super) fn new(loaded: Loaded, resources: Resources, swap: Swap, reloads: Reloads) -> Self {
        // Heard from here on: an earlier hangup would end the process.
        let changed = Changed::new(loaded.file.clone());
        Self { loaded, resources, swap, changed, reloads }
    }

    /// Keeps the catalogue fresh and the stack up to date, until dropped.
    pub(super) async fn run(mut self) {
        let mut _looking = Looking::at(&self.resources.discovery);
        loop {
            self.changed.wait().await;
            match self.again() {
                Ok(Some(discovery)) => {
                    self.reloads.taken();
                    _looking = Looking::at(&discovery);
                }
                Ok(None) => self.reloads.unchanged(),
                Err(why) => {
                    self.reloads.refused();
                    tracing::error!("configuration not reloaded, the old one stays: {why}");
                }
            }
        }
    }

    /// Builds everything anew before anything is changed.
    fn again(&mut self) -> Result<Option<Discovery>, String> {
        let loaded =
            Config::load(self.loaded.sources.clone()).map_err(|error| error.to_string())?;
        if loaded.config == self.loaded.config {
            tracing::info!("configuration unchanged");
            return Ok(None);
        }
        let (old, new) = (&self.loaded.config, &loaded.config);
        let discovery = Discovery::new(new, &self.resources.instance);
        let fresh = (old.cache != new.cache).then(|| super::open_store(new));
        let mut resources = Resources { discovery: discovery.clone(), ..self.resources.clone() };
        if let Some((store, _)) = &fresh {
            resources.store.clone_from(store);
        }
        let gateway = gateway::build(new, &resources).map_err(|lines| lines.join("; "))?;
        for section in fixed(old, new) {
            tracing::warn!("{section} changed; that takes effect after a restart");
        }
        self.swap.put(gateway);
        resources.health.retain(|name| new.upstream.contains_key(name));
        if let Some((_, redis)) = fresh {
            report::cache(new, redis, &resources.metrics, &resources.readiness);
        }
        self.loaded = loaded;
        self.resources = resources;
        tracing::info!("configuration reloaded");
        Ok(Some(discovery))
    }
}

/// What a running listener and an open log cannot change.
fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut changed = Vec::new();
    if old.server.listen != new.server.listen {
        changed.push("server.listen");
    }
    let limits = |config: &Config| {
        let server = &config.server;
        let times = [server.head_s, server.first_byte_s, server.write_s, server.drain_s];
        (server.max_connections, server.max_buffered_mb, times)
    };
    if limits(old) != limits(new) {
        changed.push("a limit of the listener");
    }
    if old.log != new.log {
        changed.push("[log]");
    }
    changed
}

/// The catalogue's own task, ended when a new catalogue takes over.
struct Looking(tokio::task::JoinHandle<()>);

impl Looking {
    fn at(discovery: &Discovery) -> Self {
        Self(tokio::spawn(discovery.clone().run()))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A reason to reload: `SIGHUP`, or another modification time or size of the file.
struct Changed {
    file: Option<PathBuf>,
    seen: Option<(SystemTime, u64)>,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Changed {
    fn new(file: Option<PathBuf>) -> Self {
        #[cfg(unix)]
        let hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok();
        let mut changed = Self {
            file,
            seen: None,
            #[cfg(unix)]
            hangup,
        };
        changed.seen = changed.look();
        changed
    }

    fn look(&self) -> Option<(SystemTime, u64)> {
        let meta = std::fs::metadata(self.file.as_ref()?).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    }

    async fn wait(&mut self) {
        loop {
            tokio::select! {
                () = self.hung_up() => {
                    self.seen = self.look();
                    return;
                }
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.look();
            // A file that is away for a moment is being replaced.
            if now.is_some() && now != self.seen {
                self.seen = now;
                return;
            }
        }
    }

    async fn hung_up(&mut self) {
        #[cfg(unix)]
        if let Some(hangup) = &mut self.hangup {
            let _ = hangup.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    }
}
