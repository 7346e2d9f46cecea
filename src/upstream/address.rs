//! An address of the configuration, taken apart.

use crate::{config, provider::Provider};
use http::{
    Uri,
    uri::{Authority, Scheme},
};

/// An address of the configuration, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// What stands before `/v1` or `/api`: `""`, `/openai`, ….
    pub prefix: String,
}

impl Address {
    /// Where an upstream lives: its `url`, or its provider's.
    ///
    /// # Errors
    /// The reason: no address, not `http` or `https`, no host.
    pub fn of(name: &str, upstream: &config::Upstream) -> Result<Self, String> {
        let provider = Provider::of(name, upstream)?;
        let url = upstream.url.as_deref().unwrap_or(provider.url);
        if url.is_empty() {
            return Err(format!("provider {:?} needs a url", provider.name));
        }
        let uri: Uri = url.parse().map_err(|error| format!("{url:?}: {error}"))?;
        let scheme = uri.scheme().cloned().filter(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
        let (Some(scheme), Some(authority)) = (scheme, uri.authority().cloned()) else {
            return Err(format!("{url:?} is not an http or https address"));
        };
        let path = uri.path().trim_end_matches('/');
        // People write the base URL of an OpenAI SDK, which ends with the version.
        let prefix = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        Ok(Self { scheme, authority, prefix })
    }
}
