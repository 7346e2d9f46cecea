//! A changed configuration becomes a new stack, or changes nothing.
//!
//! `SIGHUP` and a changed file both ask for it. The file is looked at twice a second: notifications are unreliable
//! for bind mounts and for the symlinks that orchestrators swap. Secrets in other files are read again on `SIGHUP`.
//!
//! Whoever came in before stays in: a request keeps the stack it began with, to the end of its answer, also when the key
//! that let it in is no longer one.

use super::report::{self, Reloads};
use crate::{
    config::{Config, Loaded, Secret},
    discovery::Discovery,
    gateway::{self, Answer, Gateway, Resources},
};
use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
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
    /// Of the secrets that the configuration refers to.
    secrets: [u8; 32],
}

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long a changed file must have stayed as it is: one that is being written may be valid, and mean something else.
const SETTLED: Duration = Duration::from_millis(150);

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
        let secrets = secrets(&loaded.config);
        Self { loaded, resources, swap, changed, reloads, secrets }
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
        if loaded.file != self.loaded.file {
            // Without its file it would run on defaults, which let everybody in.
            let name = |file: &Option<PathBuf>| match file {
                Some(file) => file.display().to_string(),
                None => "none".to_owned(),
            };
            let (was, is) = (name(&self.loaded.file), name(&loaded.file));
            return Err(format!("the file is no longer {was} but {is}; start again to use that"));
        }
        // What says nothing new may stand for new secrets, which it only refers to.
        let secrets = secrets(&loaded.config);
        if loaded.config == self.loaded.config && secrets == self.secrets {
            tracing::info!("configuration unchanged");
            return Ok(None);
        }
        let old = &self.loaded.config;
        let new = &bound(old, &loaded.config)?;
        let discovery = Discovery::new(new, &self.resources.instance);
        let fresh = (old.cache != new.cache).then(|| super::open_store(new));
        let mut resources = Resources { discovery: discovery.clone(), ..self.resources.clone() };
        if let Some((store, _)) = &fresh {
            resources.store.clone_from(store);
        }
        let gateway = gateway::build(new, &resources).map_err(|lines| lines.join("; "))?;
        for section in fixed(old, &loaded.config) {
            tracing::warn!("{section} changed; that takes effect after a restart");
        }
        self.swap.put(gateway);
        resources.health.retain(|name| new.upstream.contains_key(name));
        if let Some((_, redis)) = fresh {
            report::cache(new, redis, &resources.metrics, &resources.readiness);
        }
        self.loaded = loaded;
        self.secrets = secrets;
        self.resources = resources;
        tracing::info!("configuration reloaded");
        Ok(Some(discovery))
    }
}

/// A digest of every secret as it stands now; one that cannot be read counts as none.
fn secrets(config: &Config) -> [u8; 32] {
    let keys = config.server.keys.iter().chain(config.upstream.values().flat_map(|up| &up.key));
    let mut digest = Sha256::new();
    for key in keys {
        let key = key.read();
        let text = key.as_ref().map_or("", Secret::expose);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().into()
}

/// What the new configuration is on the listener that there is: who may come in depends on where it listens.
fn bound(old: &Config, new: &Config) -> Result<Config, String> {
    let mut bound = new.clone();
    bound.server.listen.clone_from(&old.server.listen);
    if old.server.listen == new.server.listen {
        return Ok(bound);
    }
    let problems = bound.validate();
    if problems.is_empty() {
        return Ok(bound);
    }
    Err(format!("{} (server.listen changes after a restart only)", problems.join("; ")))
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

/// Looks for a reason to reload: `SIGHUP`, or another modification time or size of the file.
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
        let mut news = None;
        loop {
            let pause = if news.is_some() { SETTLED } else { LOOK };
            tokio::select! {
                () = self.hung_up() => {
                    self.seen = self.look();
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
            let now = self.look();
            // A file that is away, or changes still, is being replaced.
            if now.is_some() && now != self.seen {
                if now == news {
                    self.seen = now;
                    return;
                }
                news = now;
            } else {
                news = None;
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const MOMENT: Duration = Duration::from_millis(5);

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_when_it_has_stayed_as_it_is_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "a").unwrap();
        let mut changed = Changed::new(Some(file.clone()));
        let mut waiting = std::pin::pin!(changed.wait());
        assert!(timeout(LOOK * 3, &mut waiting).await.is_err(), "nothing has changed");
        // It is seen to have changed, and then to have changed again.
        for (text, pause) in [("ab", LOOK), ("abc", SETTLED), ("", SETTLED), ("abcd", SETTLED)] {
            std::fs::write(&file, text).unwrap();
            assert!(timeout(pause, &mut waiting).await.is_err(), "{text}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(
            timeout(LOOK * 3, &mut waiting).await.is_err(),
            "a file that is away is being replaced"
        );
        std::fs::write(&file, "whole").unwrap();
        assert!(timeout(LOOK + SETTLED + MOMENT, &mut waiting).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_as_it_was_is_no_news() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "a").unwrap();
        let mut changed = Changed::new(Some(file.clone()));
        let before = changed.seen;
        let mut waiting = std::pin::pin!(changed.wait());
        std::fs::remove_file(&file).unwrap();
        assert!(timeout(LOOK * 2, &mut waiting).await.is_err());
        std::fs::write(&file, "a").unwrap();
        std::fs::File::open(&file).unwrap().set_modified(before.unwrap().0).unwrap();
        assert!(timeout(LOOK * 3, &mut waiting).await.is_err());
    }
}
