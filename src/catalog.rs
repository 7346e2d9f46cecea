//! Which models are where: a snapshot of what every upstream said it has, as plain data.

use crate::{
    chat::Model,
    pick::{self, Installed, Picks},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A snapshot of all upstreams. Never changed; replaced by a newer one.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By the upstream's name in the configuration.
    pub upstreams: BTreeMap<Arc<str>, Listing>,
    /// Which models serve `auto`; `None` while there is none that can chat.
    pub picks: Option<Picks>,
}

/// What one upstream has.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Whether it answered, the last time it was asked.
    pub state: State,
    /// Its models, in its own order.
    pub models: Vec<Listed>,
    /// Whether this is an Ollama: it understands that case does not count and `x` is `x:latest`, and has routes to show
    /// and to fetch models.
    pub tagged: bool,
}

/// Whether an upstream answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Not asked so far.
    #[default]
    Unknown,
    /// It answered, and is of this version if it says.
    Up {
        /// As it came from `/api/version`.
        version: Option<String>,
    },
    /// It did not answer; the reason.
    Down(String),
}

/// A model of an upstream.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name to ask for.
    pub name: Arc<str>,
    /// The list entry as the upstream wrote it.
    pub entry: Value,
    /// The same, understood.
    pub model: Model,
    /// What the picker looks at.
    pub installed: Installed,
}

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The upstream that has it.
    pub upstream: Arc<str>,
    /// The name as that upstream knows it.
    pub model: Arc<str>,
    /// How it was found: `exact`, `tag`.
    pub how: &'static str,
}

/// Where a snapshot comes from. A fixed one is its own source.
pub trait Source: Clone + Send + Sync + 'static {
    /// The newest snapshot; never waits.
    fn catalog(&self) -> Arc<Catalog>;
}

impl Source for Arc<Catalog> {
    fn catalog(&self) -> Arc<Catalog> {
        self.clone()
    }
}

impl Listed {
    /// What tells one making of a model from the next; empty where the upstream does not say.
    pub fn digest(&self) -> &str {
        self.entry["digest"].as_str().unwrap_or_default()
    }
}

impl Catalog {
    /// A snapshot with its picks made from the models of the upstream named `home`, if that is an Ollama: what a cloud
    /// has costs money, and is never picked without being named.
    pub fn new(upstreams: BTreeMap<Arc<str>, Listing>, home: &str, allow_cloud: bool) -> Self {
        let installed: Vec<Installed> = upstreams
            .get(home)
            .filter(|listing| listing.tagged)
            .map(|listing| listing.models.iter().map(|model| model.installed.clone()).collect())
            .unwrap_or_default();
        Self { picks: pick::pick(&installed, allow_cloud), upstreams }
    }

    /// Looks a name up: exactly, then without regard to case and with `:latest`; `home` first, then the others.
    pub fn find(&self, name: &str, home: &str) -> Option<Found> {
        let first = self.upstreams.get_key_value(home);
        let others = self.upstreams.iter().filter(|(upstream, _)| &***upstream != home);
        let all = || first.into_iter().chain(others.clone());
        let found = |upstream: &Arc<str>, model: &Listed, how| Found {
            upstream: upstream.clone(),
            model: model.name.clone(),
            how,
        };
        for (upstream, listing) in all() {
            if let Some(model) = listing.models.iter().find(|model| &*model.name == name) {
                return Some(found(upstream, model, "exact"));
            }
        }
        for (upstream, listing) in all() {
            if let Some(model) = listing.models.iter().find(|model| same_tag(&model.name, name)) {
                return Some(found(upstream, model, "tag"));
            }
        }
        None
    }

    /// What is known of a model of one upstream.
    pub fn model(&self, upstream: &str, name: &str) -> Option<&Listed> {
        let models = &self.upstreams.get(upstream)?.models;
        models.iter().find(|model| same_tag(&model.name, name))
    }

    /// Every model's name, for "did you mean".
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.upstreams.values().flat_map(|listing| listing.models.iter().map(|model| &*model.name))
    }
}

/// Whether two names mean one model to Ollama.
///
/// Source: ollama types/model/name.go: case does not count, and a name without a tag means `:latest`.
pub fn same_tag(a: &str, b: &str) -> bool {
    let (a, b) = (bare(a), bare(b));
    a.eq_ignore_ascii_case(b)
}

/// A name without the tag that it has anyway.
pub fn bare(name: &str) -> &str {
    name.strip_suffix(":latest").unwrap_or(name)
}
