//! Where upstreams live, as the router needs it: a name and an address.

use crate::error::Error;
use http::uri::{Authority, Scheme};
use std::{collections::BTreeMap, sync::Arc};
use unigate_layers::notes::Target;

/// The addresses of all upstreams, and which of them is the default.
#[derive(Clone, Debug)]
pub struct Addresses {
    home: Arc<str>,
    known: BTreeMap<Arc<str>, (Scheme, Authority)>,
}

impl Addresses {
    /// `home` is the upstream for requests that name no model, and for models that nobody lists.
    pub fn new(home: &str, known: BTreeMap<Arc<str>, (Scheme, Authority)>) -> Self {
        Self { home: home.into(), known }
    }

    /// The default upstream's name.
    pub fn home(&self) -> &Arc<str> {
        &self.home
    }

    /// A target of this upstream.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no such upstream.
    pub fn target(&self, upstream: &str, model: Option<&str>) -> Result<Target, Error> {
        let (name, (scheme, authority)) = self
            .known
            .get_key_value(upstream)
            .ok_or_else(|| Error::Internal(format!("no upstream is named {upstream:?}")))?;
        Ok(Target {
            upstream: name.clone(),
            scheme: scheme.clone(),
            authority: authority.clone(),
            model: model.map(Into::into),
        })
    }

    /// The gateway itself.
    pub fn itself(&self) -> Target {
        Target {
            upstream: super::SELF.into(),
            scheme: Scheme::HTTP,
            authority: Authority::from_static("unigate.internal"),
            model: None,
        }
    }

    /// `upstream/model`, if the part before the first slash is an upstream; model names have slashes too.
    pub fn split<'a>(&self, name: &'a str) -> Option<(&Arc<str>, &'a str)> {
        let (upstream, model) = name.split_once('/')?;
        let (upstream, _) = self.known.get_key_value(upstream)?;
        (!model.is_empty()).then_some((upstream, model))
    }
}
