//! Finds out what upstreams have, again and again, without any request waiting for it.

use crate::{
    catalog::{Catalog, Listing, Source, State},
    chat::Model,
    config::Config,
    models,
    provider::Provider,
    upstream::{Probe, Silence},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// The newest catalogue, and the way to make a newer one. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Discovery {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalog: ArcSwap<Catalog>,
    wake: Notify,
    changing: AtomicUsize,
    silent: AtomicBool,
    probe: Probe,
    asked: Vec<Asked>,
    home: Arc<str>,
    allow_cloud: bool,
    every: Duration,
}

/// A change of what is installed, under way.
#[derive(Debug)]
pub struct Change(Discovery);

#[derive(Clone, Debug)]
struct Asked {
    name: Arc<str>,
    provider: &'static Provider,
    only: Vec<String>,
}

/// How soon an upstream that did not answer is asked again.
const MISSING: Duration = Duration::from_secs(5);

/// How soon the next look follows when somebody is in a hurry.
const SOON: Duration = Duration::from_secs(1);

impl Discovery {
    /// A catalogue of a valid configuration; empty until [`Discovery::refresh`].
    ///
    /// `instance` names this process, so that it does not take itself for an upstream.
    pub fn new(config: &Config, instance: &str) -> Self {
        let asked = config.upstream.iter().filter_map(|(name, upstream)| {
            let provider = Provider::of(name, upstream).ok()?;
            Some(Asked { name: name.as_str().into(), provider, only: upstream.models.clone() })
        });
        let shared = Shared {
            catalog: ArcSwap::default(),
            wake: Notify::new(),
            changing: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
            probe: Probe::new(config, instance),
            asked: asked.collect(),
            home: config.default_upstream().unwrap_or_default().into(),
            allow_cloud: config.models.allow_cloud,
            every: Duration::from_secs(config.models.refresh_s.max(1)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks every upstream now, all at once; takes as long as the slowest, two seconds at most.
    pub async fn refresh(&self) -> Arc<Catalog> {
        let shared = &self.shared;
        let mut asking = JoinSet::new();
        for asked in shared.asked.clone() {
            let probe = shared.probe.clone();
            asking.spawn(async move {
                let listing = ask(&probe, &asked).await;
                (asked.name, listing)
            });
        }
        let before = shared.catalog.load_full();
        let mut upstreams = BTreeMap::new();
        while let Some(result) = asking.join_next().await {
            let Ok((name, mut listing)) = result else { continue };
            if let State::Down(why) = &listing.state {
                // What it had is still the best guess; it may be back before the next look.
                if let Some(known) = before.upstreams.get(&name) {
                    listing.models.clone_from(&known.models);
                }
                tracing::debug!(upstream = %name, why, "upstream does not answer");
            }
            upstreams.insert(name, listing);
        }
        let catalog = Arc::new(Catalog::new(upstreams, &shared.home, shared.allow_cloud));
        // Several may look at once: each tells what is news beside the last one stored.
        let before = shared.catalog.swap(catalog.clone());
        if !shared.silent.swap(false, Ordering::SeqCst) {
            announce(&before, &catalog);
        }
        catalog
    }

    /// The first look is shown by somebody else, and announced by nobody.
    pub fn silence_first(&self) {
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    /// Keeps the catalogue fresh until dropped: at the configured pace, sooner while someone is missing, and
    /// within a second when [`Discovery::hurry`] is called.
    pub async fn run(self) {
        loop {
            let catalog = self.refresh().await;
            let missing =
                catalog.upstreams.values().any(|listing| matches!(listing.state, State::Down(_)));
            let pause = if missing { MISSING.min(self.shared.every) } else { self.shared.every };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Many may be in a hurry at once; one look is enough for them.
                () = self.shared.wake.notified() => tokio::time::sleep(SOON).await,
            }
        }
    }

    /// Something has changed, or looks as if it had: look again soon.
    pub fn hurry(&self) {
        self.shared.wake.notify_one();
    }

    /// A client is changing what is installed. Until the change is dropped and has been looked at, the catalogue is
    /// [unsettled](Self::is_settled).
    pub fn change(&self) -> Change {
        self.shared.changing.fetch_add(1, Ordering::SeqCst);
        Change(self.clone())
    }

    /// Whether the catalogue is as new as every change that went through this gateway.
    pub fn is_settled(&self) -> bool {
        self.shared.changing.load(Ordering::SeqCst) == 0
    }

    /// What the upstreams are asked with.
    pub fn probe(&self) -> &Probe {
        &self.shared.probe
    }

    /// The default upstream.
    pub fn home(&self) -> &str {
        &self.shared.home
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let discovery = self.0.clone();
        let settle = |discovery: &Discovery| {
            discovery.shared.changing.fetch_sub(1, Ordering::SeqCst);
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return settle(&discovery);
        };
        runtime.spawn(async move {
            discovery.refresh().await;
            settle(&discovery);
        });
    }
}

impl Source for Discovery {
    fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.load_full()
    }
}

async fn ask(probe: &Probe, asked: &Asked) -> Listing {
    let tagged = asked.provider.dialect.name() == "ollama";
    let listing =
        if tagged { ollama(probe, &asked.name).await } else { listed(probe, asked).await };
    match listing {
        Ok(mut listing) => {
            if !asked.only.is_empty() {
                listing.models.retain(|model| asked.only.iter().any(|name| **name == *model.name));
            }
            listing
        }
        Err(silence) => {
            Listing { state: State::Down(silence.why), models: named(&asked.only), tagged }
        }
    }
}

async fn ollama(probe: &Probe, name: &str) -> Result<Listing, Silence> {
    let (tags, ps, version) = tokio::join!(
        probe.get(name, "/api/tags"),
        probe.get(name, "/api/ps"),
        probe.get(name, "/api/version"),
    );
    // A question that an old Ollama cannot answer costs nothing but what it would have told.
    let ps: Bytes = ps.unwrap_or_default();
    let version = version.ok().and_then(|body| models::read_version(&body));
    let models = models::read_tags(&tags?, &ps);
    Ok(Listing { state: State::Up { version }, models, tagged: true })
}

async fn listed(probe: &Probe, asked: &Asked) -> Result<Listing, Silence> {
    let state = State::Up { version: None };
    let dialect = asked.provider.dialect;
    let path = match dialect.name() {
        // Without it the first twenty come; a thousand is the most. Source: anthropic-python types/model_list_params.py.
        "anthropic" => "/v1/models?limit=1000",
        _ => "/v1/models",
    };
    let models = match probe.get(&asked.name, path).await {
        Ok(list) => models::read_list(dialect, &list),
        // An upstream that answers but cannot list has what the configuration says.
        Err(Silence { status: Some(status), .. })
            if status.is_client_error() && !asked.only.is_empty() =>
        {
            named(&asked.only)
        }
        Err(silence) => return Err(silence),
    };
    Ok(Listing { state, models, tagged: false })
}

fn named(only: &[String]) -> Vec<crate::catalog::Listed> {
    let model = |name: &String| Model { name: name.clone(), ..Model::default() };
    only.iter().map(|name| models::named(model(name))).collect()
}

/// One line when an upstream comes, goes, or when `auto` means something else.
fn announce(before: &Catalog, now: &Catalog) {
    for (name, listing) in &now.upstreams {
        let known = before.upstreams.get(name).map(|listing| &listing.state);
        match (&listing.state, known) {
            (State::Down(why), Some(State::Up { .. }) | None) => {
                tracing::warn!(upstream = %name, why, "upstream is not there; still looking");
            }
            (State::Up { version }, Some(State::Down(_))) => {
                tracing::info!(upstream = %name, version, models = listing.models.len(), "upstream is there");
            }
            _ => {}
        }
    }
    if let Some(picks) = &now.picks
        && before.picks.as_ref() != Some(picks)
    {
        tracing::info!(
            coder = picks.coder,
            small = picks.small,
            default = picks.default,
            "models behind auto"
        );
    }
}
