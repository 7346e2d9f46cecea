//! What a name or a rule leads to: a target, and where to go when it fails.

use super::{Addresses, Route, rules::Rules};
use crate::{
    catalog::{Catalog, State, same_tag},
    config::Models,
    dialect::{Operation, Prompt},
    error::Error,
    front::Front,
    pick,
    record::Decision,
};
use http::HeaderMap;
use std::{collections::BTreeMap, sync::Arc};
use unigate_layers::notes::Target;

/// What the configuration says about names and prompts.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) rules: Rules,
    pub(super) models: Models,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) addresses: Addresses,
}

/// An upstream and a model of it.
type Place = (Arc<str>, Arc<str>);

impl Policy {
    pub(super) fn auto(
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

    /// The alias that a name is, and what it means.
    pub(super) fn alias(&self, name: &str) -> Option<(&String, &String)> {
        self.aliases.iter().find(|(alias, _)| same_tag(alias, name))
    }

    pub(super) fn named(
        &self,
        catalog: &Catalog,
        front: Front,
        name: &str,
    ) -> Result<Route, Error> {
        if let Some((alias, meant)) = self.alias(name) {
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
    pub(super) fn resolve(&self, catalog: &Catalog, name: &str) -> Result<Place, Error> {
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

pub(super) fn plain(target: Target, rule: &'static str, why: &str) -> Route {
    let decision = Decision { rule: rule.into(), why: why.into() };
    Route { target, fallbacks: Vec::new(), decision, steps: Vec::new() }
}
