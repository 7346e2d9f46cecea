//! Intent: which upstream and which model a request goes to, and why.
//!
//! The mechanism is [`unigate_layers::route`]; this is the judgement. For the virtual model `auto` the rules of the
//! configuration decide, in their order, and the first that matches wins. Any other name is looked up: alias, then
//! `upstream/model`, then who has it, then the default upstream, which will say so if it does not exist.

mod policy;
mod rules;
mod target;

pub use self::rules::{Matched, Step};
pub use self::target::Addresses;

use self::{
    policy::{Policy, plain},
    rules::Rules,
};
use crate::{
    catalog::{Listed, Source, bare},
    config::Config,
    dialect::{Operation, Prompt},
    error::Error,
    front::{Ask, Front, Refusal},
    models::AUTO,
    record::{Decision, Record},
};
use http::{HeaderMap, HeaderName, Request};
use std::{
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
        names.extend(self.policy.alias(name).map(|(_, meant)| meant.as_str()));
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
        let alias = self.policy.alias(name).map(|(_, meant)| meant.as_str());
        match virtual_rule(alias.unwrap_or(name)) {
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
            let why = "no single upstream could answer".into();
            let _ = record.route.set(Decision { rule: "local".into(), why });
            let mut target = self.policy.addresses.itself();
            let asked = request.extensions().get::<Ask>().and_then(|ask| ask.model.as_deref());
            if asked.and_then(virtual_rule).is_some() {
                // What is asked about then.
                let default = self.policy.resolve(&self.source.catalog(), "default");
                target.model = default.ok().map(|(_, model)| model);
            }
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

/// The rule that a virtual name asks for: empty for `auto` itself, `None` for a name that is not virtual.
pub fn virtual_rule(name: &str) -> Option<&str> {
    let name = bare(name);
    let (head, rule) = name.split_once(':').unwrap_or((name, ""));
    head.eq_ignore_ascii_case(AUTO).then_some(rule)
}

#[cfg(test)]
mod tests;
