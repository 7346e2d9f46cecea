//! Intent: which upstream and which model a request goes to, and why.
//!
//! The mechanism is [`unigate_layers::route`]; this is the judgement. For the virtual model `auto` the rules of the
//! configuration decide, in their order, and the first that matches wins. Any other name is looked up: alias, then
//! `upstream/model`, then who has it, then the default upstream, which will say so if it does not exist.

mod rules;
mod target;

pub use self::rules::{Matched, Step};
pub use self::target::Addresses;

use self::rules::Rules;
use crate::{
    catalog::{Catalog, Listed, Source, State, bare, same_tag},
    config::{Config, Models},
    dialect::{Operation, Prompt},
    error::Error,
    front::{Ask, Front, Refusal},
    models::AUTO,
    pick,
    record::{Decision, Record},
};
use http::{HeaderMap, HeaderName, Request};
use std::{
    collections::BTreeMap,
    future::{Ready, ready},
    sync::Arc,
};
use unigate_layers::{
    body::Replay,
    notes::{Fallbacks, Target},
};

/// The name of the target that is the gateway itself: lists, details of virtual models, its own paths.
pub const SELF: &str = "unigate";

/// Decides the target of each request. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Router<C> {
    policy: Arc<Policy>,
    source: C,
}

#[derive(Debug)]
struct Policy {
    rules: Rules,
    models: Models,
    aliases: BTreeMap<String, String>,
    addresses: Addresses,
}

/// An upstream and a model of it.
type Place = (Arc<str>, Arc<str>);

/// What was decided for one request.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it goes first.
    pub target: Target,
    /// Where it goes when that fails, in order.
    pub fallbacks: Vec<Target>,
    /// In words.
    pub decision: Decision,
    /// Every rule that was looked at, for `--explain`; empty for a name that is not virtual.
    pub steps: Vec<Step>,
}

impl<C: Source> Router<C> {
    /// The router of a valid configuration.
    ///
    /// # Errors
    /// The reason, for a rule or an address that validation would have refused.
    pub fn new(config: &Config, addresses: Addresses, source: C) -> Result<Self, String> {
        let policy = Policy {
            rules: Rules::new(&config.route)?,
            models: config.models.clone(),
            aliases: config.aliases.clone(),
            addresses,
        };
        Ok(Self { policy: Arc::new(policy), source })
    }

    /// Request headers that rules look at; they are part of a cache key.
    pub fn headers(&self) -> Vec<HeaderName> {
        self.policy.rules.headers()
    }

    /// The names that may stand behind `auto:`.
    pub fn rules(&self) -> Vec<String> {
        self.policy.rules.names()
    }

    /// The rule for a prompt, or the one that a virtual name asks for, and every rule that was looked at; `None` for a
    /// name that no rule has. What stands behind the rule's model is not looked at.
    pub fn rule(
        &self,
        asked: &str,
        prompt: &Prompt,
        headers: &HeaderMap,
    ) -> Option<(Matched, Vec<Step>)> {
        self.policy.rules.choose(asked, prompt, headers)
    }

    /// Whether the gateway answers this itself, because no single upstream could.
    fn answers_itself<B>(&self, front: Front, request: &Request<B>) -> bool {
        if Front::is_own(request.uri().path()) {
            return true;
        }
        let catalog = self.source.catalog();
        let home = catalog.upstreams.get(self.policy.addresses.home());
        let asked = request.extensions().get::<Ask>().and_then(|ask| ask.model.as_deref());
        // An upstream that is no Ollama has no routes to show or fetch a model.
        let elsewhere = |name: &str| {
            let upstream = match virtual_rule(name) {
                Some(_) => self.policy.resolve(&catalog, "default").ok().map(|(at, _)| at),
                None => {
                    catalog.find(name, self.policy.addresses.home()).map(|found| found.upstream)
                }
            };
            let listing = upstream.and_then(|at| catalog.upstreams.get(&at)).or(home);
            listing.is_some_and(|listing| !listing.tagged)
        };
        match front.operation {
            Some(Operation::Models | Operation::Version | Operation::Root | Operation::Loaded) => {
                true
            }
            // A path names the model of OpenAI's detail route; Ollama's names it in the body.
            Some(Operation::Model) if request.method() != http::Method::POST => true,
            Some(Operation::Model) => asked.is_some_and(elsewhere),
            Some(Operation::Pull) => {
                asked.is_some_and(|name| virtual_rule(name).is_some() || elsewhere(name))
            }
            _ => false,
        }
    }

    /// What stands behind a name now: changed when a model was made again, removed, or picked anew. It is a part of
    /// cache keys, so that no answer outlives its model.
    pub fn standing(&self, name: &str) -> Vec<u8> {
        let catalog = self.source.catalog();
        let mut names: Vec<&str> = vec![name];
        let alias = self.policy.aliases.iter().find(|(alias, _)| same_tag(alias, name));
        names.extend(alias.map(|(_, meant)| meant.as_str()));
        if names.iter().any(|name| virtual_rule(name).is_some()) {
            let picks = catalog.picks.iter();
            names.extend(picks.flat_map(|p| [&*p.default, &*p.coder, &*p.small]));
        }
        let mut standing = Vec::new();
        for name in names {
            let found = catalog.find(name, self.policy.addresses.home());
            let model = found.and_then(|found| catalog.model(&found.upstream, &found.model));
            standing.extend(model.map_or("", Listed::digest).as_bytes());
            standing.push(b'/');
        }
        standing
    }

    /// Decides, without sending.
    ///
    /// # Errors
    /// [`Error`] when no upstream can serve this: no model for `auto`, an unknown `auto:<rule>`.
    pub fn decide(
        &self,
        front: Front,
        ask: Option<&Ask>,
        prompt: impl FnOnce() -> Prompt,
        headers: &HeaderMap,
    ) -> Result<Route, Error> {
        let catalog = self.source.catalog();
        let Some(name) = ask.and_then(|ask| ask.model.as_deref()) else {
            let home = self.policy.addresses.home();
            let target = self.policy.addresses.target(home, None)?;
            return Ok(plain(target, "default", "no model named"));
        };
        match virtual_rule(name) {
            // What `auto` is, without a prompt: what its default is.
            Some("") if front.operation == Some(Operation::Model) => {
                self.policy.auto(&catalog, front, "default", &Prompt::default(), headers)
            }
            Some(rule) => self.policy.auto(&catalog, front, rule, &prompt(), headers),
            None => self.policy.named(&catalog, front, name),
        }
    }
}

impl<C: Source, B: Replay + Send> unigate_layers::route::Router<B> for Router<C> {
    type Future = Ready<Request<B>>;

    fn route(&self, mut request: Request<B>) -> Self::Future {
        let front = Front::of(request.extensions());
        let record = Record::of(request.extensions_mut());
        if self.answers_itself(front, &request) {
            let mut target = self.policy.addresses.itself();
            // What is asked about, when a virtual name was.
            let default = || self.policy.resolve(&self.source.catalog(), "default").ok();
            target.model = request
                .extensions()
                .get::<Ask>()
                .and_then(|ask| virtual_rule(ask.model.as_deref()?))
                .and_then(|_| Some(default()?.1));
            request.extensions_mut().insert(target);
            return ready(request);
        }
        let prompt = || match (front.operation, request.body().bytes()) {
            (Some(operation), Some(body)) => front.dialect.prompt(operation, body),
            _ => Prompt::default(),
        };
        let decided = self.decide(front, request.extensions().get(), prompt, request.headers());
        match decided {
            Ok(route) => {
                tracing::debug!(
                    rule = %route.decision.rule, why = %route.decision.why,
                    upstream = %route.target.upstream, model = route.target.model.as_deref(),
                    "routed"
                );
                let _ = record.route.set(route.decision);
                let extensions = request.extensions_mut();
                extensions.insert(route.target);
                if !route.fallbacks.is_empty() {
                    extensions.insert(Fallbacks(route.fallbacks.into()));
                }
            }
            Err(error) => {
                let _ =
                    record.route.set(Decision { rule: "none".into(), why: error.code().into() });
                request.extensions_mut().insert(Refusal(error));
            }
        }
        ready(request)
    }
}

impl Policy {
    fn auto(
        &self,
        catalog: &Catalog,
        front: Front,
        rule: &str,
        prompt: &Prompt,
        headers: &HeaderMap,
    ) -> Result<Route, Error> {
        let (matched, steps) = self.rules.choose(rule, prompt, headers).ok_or_else(|| {
            Error::ModelNotFound(format!(
                "model \"auto:{rule}\" names no rule; known: {}",
                self.rules.names().join(", ")
            ))
        })?;
        let mut why = matched.why.clone();
        let (mut upstream, mut model) = self.resolve(catalog, &matched.model)?;
        // Tools, images and thinking need a model that can; a rule's choice gives way to one that does.
        let wants = [("vision", prompt.images), ("tools", prompt.tools)];
        for (capability, wanted) in wants {
            if wanted && let Some(able) = self.able(catalog, &upstream, &model, capability)? {
                why = format!("{why}; {model} cannot do {capability}");
                (upstream, model) = able;
            }
        }
        let target = self.addresses.target(&upstream, Some(&model))?;
        let names =
            if matched.fallbacks.is_empty() { &self.models.fallback } else { &matched.fallbacks };
        let fallbacks = self.fallbacks(catalog, front, names, &target);
        let decision = Decision { rule: matched.rule.as_str().into(), why: why.into() };
        Ok(Route { target, fallbacks, decision, steps })
    }

    fn named(&self, catalog: &Catalog, front: Front, name: &str) -> Result<Route, Error> {
        let alias =
            self.aliases.iter().find(|(alias, _)| bare(alias).eq_ignore_ascii_case(bare(name)));
        if let Some((alias, meant)) = alias {
            let (upstream, model) = self.resolve(catalog, meant)?;
            let target = self.addresses.target(&upstream, Some(&model))?;
            let why = format!("{alias} means {meant}");
            return Ok(self.with_fallbacks(catalog, front, plain(target, "alias", &why)));
        }
        if let Some((upstream, model)) = self.addresses.split(name) {
            let target = self.addresses.target(upstream, Some(model))?;
            let why = format!("upstream {upstream} named in the model");
            return Ok(self.with_fallbacks(catalog, front, plain(target, "direct", &why)));
        }
        let home = self.addresses.home();
        let route = match catalog.find(name, home) {
            // The client's own spelling goes to its own upstream: the bytes stay as they came.
            Some(found) => {
                let listing = catalog.upstreams.get(&found.upstream);
                let tagged = listing.is_some_and(|listing| listing.tagged);
                let same = found.how == "tag" && found.upstream == *home && tagged;
                let model = if same { name } else { &found.model };
                let target = self.addresses.target(&found.upstream, Some(model))?;
                plain(target, found.how, &format!("{} has it", found.upstream))
            }
            None => {
                let target = self.addresses.target(home, Some(name))?;
                plain(target, "unknown", "no upstream lists it")
            }
        };
        Ok(self.with_fallbacks(catalog, front, route))
    }

    fn with_fallbacks(&self, catalog: &Catalog, front: Front, mut route: Route) -> Route {
        route.fallbacks = self.fallbacks(catalog, front, &self.models.fallback, &route.target);
        route
    }

    fn fallbacks(
        &self,
        catalog: &Catalog,
        front: Front,
        names: &[String],
        first: &Target,
    ) -> Vec<Target> {
        // Vectors of another model mean something else, and what is not translated cannot change its upstream.
        if !matches!(front.operation, Some(Operation::Chat | Operation::Generate)) {
            return Vec::new();
        }
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            let resolved = self.resolve(catalog, name);
            let target = resolved.and_then(|(u, m)| self.addresses.target(&u, Some(&m)));
            match target {
                Ok(target) if target != *first && !targets.contains(&target) => {
                    targets.push(target);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%name, %error, "fallback left out"),
            }
        }
        targets
    }

    /// A name of the configuration: a role, `upstream/model`, or a model.
    fn resolve(&self, catalog: &Catalog, name: &str) -> Result<Place, Error> {
        let picks = catalog.picks.as_ref();
        let (chosen, picked) = match name {
            "default" => (&self.models.default, picks.map(|picks| &picks.default)),
            "coder" => (&self.models.coder, picks.map(|picks| &picks.coder)),
            "small" => (&self.models.small, picks.map(|picks| &picks.small)),
            model => return Ok(self.lookup(catalog, model)),
        };
        match (chosen, picked) {
            (Some(chosen), _) => Ok(self.lookup(catalog, chosen)),
            (None, Some(picked)) => Ok((self.addresses.home().clone(), picked.as_str().into())),
            // A role without a model of its own falls back to the configured default.
            (None, None) => match &self.models.default {
                Some(default) => Ok(self.lookup(catalog, default)),
                None => Err(self.nothing(catalog)),
            },
        }
    }

    fn lookup(&self, catalog: &Catalog, name: &str) -> Place {
        if let Some((upstream, model)) = self.addresses.split(name) {
            return (upstream.clone(), model.into());
        }
        let home = self.addresses.home();
        match catalog.find(name, home) {
            Some(found) => (found.upstream, found.model),
            None => (home.clone(), name.into()),
        }
    }

    /// Another model of the same upstream, when the chosen one is known to lack a capability.
    fn able(
        &self,
        catalog: &Catalog,
        upstream: &Arc<str>,
        model: &str,
        capability: &str,
    ) -> Result<Option<Place>, Error> {
        let Some(known) = catalog.model(upstream, model) else { return Ok(None) };
        let has = |c: &[String]| c.is_empty() || c.iter().any(|c| c == capability);
        if has(&known.installed.capabilities) {
            return Ok(None);
        }
        let installed: Vec<_> = catalog.upstreams[upstream]
            .models
            .iter()
            .map(|model| model.installed.clone())
            .filter(|model| self.models.allow_cloud || !model.remote)
            .collect();
        match pick::able(&installed, capability, model) {
            Some(able) => Ok(Some((upstream.clone(), able.as_str().into()))),
            None => Err(Error::Unsupported(format!(
                "no installed model can do {capability}; install one that does, \
                 for example \"ollama pull {}\"",
                if capability == "vision" { "gemma3:4b" } else { "llama3.1:8b" }
            ))),
        }
    }

    fn nothing(&self, catalog: &Catalog) -> Error {
        let home = self.addresses.home();
        let why = match catalog.upstreams.get(home).map(|listing| &listing.state) {
            Some(State::Down(why)) => why.clone(),
            Some(State::Up { .. }) => {
                return Error::ModelNotFound(
                    "no model stands behind \"auto\": set models.default, \
                     or install one (\"ollama pull llama3.2\")"
                        .into(),
                );
            }
            _ => "(it has not answered so far)".into(),
        };
        Error::Connect { upstream: home.clone(), why }
    }
}

fn plain(target: Target, rule: &'static str, why: &str) -> Route {
    let decision = Decision { rule: rule.into(), why: why.into() };
    Route { target, fallbacks: Vec::new(), decision, steps: Vec::new() }
}

/// The rule that a virtual name asks for: empty for `auto` itself, `None` for a name that is not virtual.
pub fn virtual_rule(name: &str) -> Option<&str> {
    let name = bare(name);
    let (head, rule) = name.split_once(':').unwrap_or((name, ""));
    head.eq_ignore_ascii_case(AUTO).then_some(rule)
}

#[cfg(test)]
mod tests;
