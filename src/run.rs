//! The running program: opens the stores, binds, serves, reloads, drains.

mod banner;
mod reload;
mod report;

pub use self::banner::Banner;

use self::{
    reload::{Reload, Swap},
    report::Reloads,
};
use crate::{
    config::{self, Config, Loaded},
    discovery::Discovery,
    gateway::{self, Resources},
    health::Health,
    listen::{self, Drained, Limits},
    log::LogRow,
    memory::Memory,
    metrics::Metrics,
    readiness::Readiness,
};
use std::{
    fmt,
    future::Future,
    io::IsTerminal,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};
use unigate_layers::{
    cache::{AnyStore, Seal},
    memory::MemoryStore,
    redis::{RedisOptions, RedisStore},
    sqlite::{SqliteLog, SqliteOptions, SqliteState},
};

/// Why the program could not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is valid by itself but cannot be used here; one line each.
    Config(Vec<String>),
    /// The address cannot be listened on.
    Bind {
        /// As configured.
        listen: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// How long the log may take to write its last rows.
const LOG_DRAIN: Duration = Duration::from_secs(5);

/// Runs the gateway until `SIGTERM` or `SIGINT`, then drains; a second signal is quick.
///
/// Returns what of the log is not in its file, if anything is not.
///
/// # Errors
/// [`StartError`] when it could not start. Afterwards nothing is an error: what breaks is told and lived with.
pub async fn run(loaded: Loaded) -> Result<Option<String>, StartError> {
    let listen = loaded.config.server.listen.clone();
    let listener =
        TcpListener::bind(&listen).await.map_err(|source| StartError::Bind { listen, source })?;
    let (stop, stopped) = watch::channel(0_u8);
    // Heard from here on: whoever reads that we listen may stop us at once.
    let mut signals = Signals::new();
    tokio::spawn(async move {
        for count in 1..=2 {
            signals.next().await;
            let _ = stop.send(count);
        }
    });
    let signalled = |count: u8| {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.wait_for(|seen| *seen >= count).await;
        }
    };
    to_the_end(listener, loaded, signalled(1), signalled(2)).await
}

/// Serves on a listener of the caller's until `shutdown`; `hurry` cuts the draining short.
///
/// # Errors
/// [`StartError::Config`] when the stack cannot be built.
pub async fn serve(
    listener: TcpListener,
    loaded: Loaded,
    shutdown: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) -> Result<(), StartError> {
    to_the_end(listener, loaded, shutdown, hurry).await.map(drop)
}

async fn to_the_end(
    listener: TcpListener,
    loaded: Loaded,
    shutdown: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) -> Result<Option<String>, StartError> {
    let config = &loaded.config;
    let addr = listener.local_addr().ok();
    let (resources, redis) = open_all(config);
    let reloads = Reloads::default();
    report::all(config, &resources, redis, &reloads);
    let gateway = gateway::build(config, &resources).map_err(StartError::Config)?;
    let swap = Swap::new(gateway);
    let limits = Limits {
        connections: listen::connections(config.server.max_connections),
        first_byte: Duration::from_secs(config.server.first_byte_s),
        head: Duration::from_secs(config.server.head_s),
        write: Duration::from_secs(config.server.write_s),
        drain: Duration::from_secs(config.server.drain_s),
    };
    let (log, stopping) = (resources.log.clone(), resources.stopping.clone());
    let reload = Reload::new(loaded.clone(), resources.clone(), swap.clone(), reloads);
    greet(&loaded, addr, &resources);
    let background = tokio::spawn(reload.run());
    let readiness = resources.readiness.clone();
    let shutdown = async move {
        shutdown.await;
        readiness.stop();
    };
    let drained = listen::serve(listener, swap, limits, shutdown, hurry).await;
    background.abort();
    if let Drained::Late(late) = drained {
        tracing::warn!(connections = late.connections(), "cut requests that were still running");
        stopping.store(true, Ordering::Relaxed);
        late.cut().await;
    }
    let mut incomplete = None;
    if let Some(log) = log {
        // The writer is a thread; its last commit must not block the runtime's own.
        let closed = tokio::task::spawn_blocking(move || (log.close(LOG_DRAIN), log.state()));
        if let Ok((lost, state)) = closed.await {
            incomplete = missing(lost, &state);
        }
    }
    if let Some(why) = &incomplete {
        tracing::warn!("{why}");
    }
    tracing::info!("stopped");
    Ok(incomplete)
}

/// What of the log is not in its file at the end, in words.
fn missing(lost: usize, state: &SqliteState) -> Option<String> {
    let dropped = state.overflowed + state.late + state.rejected + lost as u64;
    (dropped + state.spooled > 0).then(|| {
        let spooled = state.spooled;
        format!("rows of the log are not in its file: {spooled} spooled for the next start, {dropped} lost")
    })
}

/// Opens what a configuration names. What cannot be opened is told and done without.
pub fn open(config: &Config) -> Resources {
    open_all(config).0
}

fn open_all(config: &Config) -> (Resources, Option<RedisStore>) {
    let instance = format!("unigate-{}", uuid::Uuid::new_v4().simple());
    let (store, redis) = open_store(config);
    let resources = Resources {
        log: open_log(config),
        store,
        discovery: Discovery::new(config, &instance),
        memory: Memory::new(config.server.max_buffered_mb.map(|mb| mb << 20)),
        health: Health::default(),
        budget: gateway::budget(),
        instance: instance.into(),
        metrics: Metrics::new(),
        readiness: Readiness::new(),
        stopping: Arc::default(),
    };
    (resources, redis)
}

fn open_log(config: &Config) -> Option<SqliteLog<LogRow>> {
    let path = config.log.path.as_ref().filter(|_| config.log.enabled)?;
    let days = u64::from(config.log.days);
    let options = SqliteOptions {
        max_age: (days > 0).then(|| Duration::from_secs(days * 86_400)),
        max_bytes: (config.log.max_mb > 0).then_some(config.log.max_mb << 20),
        ..SqliteOptions::default()
    };
    if let Some(folder) = path.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    // A file that cannot be opened is tried again, and told of.
    match SqliteLog::start(path, options) {
        Ok(log) => Some(log),
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "no request log");
            None
        }
    }
}

/// The store, and once more what it is if it is a Redis, which has something to tell.
fn open_store(config: &Config) -> (Option<AnyStore>, Option<RedisStore>) {
    let cache = &config.cache;
    let memory = || Some(AnyStore::new(MemoryStore::new(cache.max_bytes)));
    match cache.store.as_str() {
        "off" => (None, None),
        "redis" => {
            let url = cache.redis.as_ref().map(|url| url.read());
            let store = match url {
                Some(Ok(url)) => RedisStore::new(url.expose(), redis_options(cache))
                    .map_err(|error| error.to_string()),
                Some(Err(error)) => Err(error),
                None => Err("cache.redis is not set".to_owned()),
            };
            let seal = cache.seal.as_ref().map_or(Ok(Seal::default()), |secret| {
                secret.read().map(|secret| Seal::new(secret.expose().as_bytes()))
            });
            match store.and_then(|store| Ok(store.sealed(seal?))) {
                Ok(store) => (Some(AnyStore::new(store.clone())), Some(store)),
                Err(error) => {
                    tracing::warn!(%error, "no Redis: answers are cached in memory");
                    (memory(), None)
                }
            }
        }
        _ => (memory(), None),
    }
}

/// Redis takes what the cache keeps, and what an entry carries beside its body.
fn redis_options(cache: &config::Cache) -> RedisOptions {
    const BESIDE: usize = 4096;
    RedisOptions { max_value_bytes: cache.max_entry_bytes + BESIDE, ..RedisOptions::default() }
}

fn greet(loaded: &Loaded, addr: Option<SocketAddr>, resources: &Resources) {
    let addr = addr.map_or_else(|| loaded.config.server.listen.clone(), |addr| addr.to_string());
    for note in &loaded.notes {
        tracing::warn!(%note, "configuration");
    }
    if std::io::stderr().is_terminal() && loaded.config.log.format == "text" {
        // The banner waits a moment for the upstreams; the listener does not.
        let banner = Banner::new(loaded, &addr, resources);
        resources.discovery.silence_first();
        tokio::spawn(banner.show(resources.discovery.clone()));
    } else {
        let log = resources.log.as_ref().and(loaded.config.log.path.as_ref());
        let file = loaded.file.as_ref().map(|file| file.display().to_string());
        tracing::info!(
            %addr, version = env!("CARGO_PKG_VERSION"), config = file,
            log = log.map(|path| path.display().to_string()), "listening"
        );
    }
}

/// The signals that mean stop: `SIGTERM` and `SIGINT`.
struct Signals {
    #[cfg(unix)]
    heard: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Signals {
    fn new() -> Self {
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

    async fn next(&mut self) {
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

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(lines) => f.write_str(&lines.join("\n")),
            Self::Bind { listen, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "{listen} is in use, by another unigate perhaps; stop it, or choose another \
                     address with --listen 127.0.0.1:0"
                )
            }
            Self::Bind { listen, source } => write!(f, "cannot listen on {listen}: {source}"),
        }
    }
}

impl std::error::Error for StartError {}
