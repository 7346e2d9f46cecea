//! An address of the configuration, taken apart.

use crate::{config, provider::Provider};
use http::{
    Uri,
    uri::{Authority, Scheme},
};
use std::fmt;

/// An address of the configuration, taken apart. `Display` is what a person needs to find it: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// The path of the address, without a slash at its end.
    base: String,
    /// Whether the base stands in place of `/v1`, as in the base URL of an OpenAI SDK.
    versioned: bool,
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
        let versioned = provider.dialect.name() == "openai";
        let base = match uri.path().trim_end_matches('/') {
            // Only a host: its API is where everybody's is.
            "" if versioned => "/v1",
            // The base URL of Anthropic's SDK is without the version, and people write it with it.
            base if provider.dialect.name() == "anthropic" => {
                base.strip_suffix("/v1").unwrap_or(base)
            }
            base => base,
        };
        Ok(Self { scheme, authority, base: base.to_owned(), versioned })
    }

    /// The upstream's path (and query) for one of ours.
    pub fn path(&self, path: &str) -> String {
        let base = &self.base;
        if !self.versioned {
            return format!("{base}{path}");
        }
        match path.strip_prefix("/v1") {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => {
                format!("{base}{rest}")
            }
            _ => format!("{}{path}", base.strip_suffix("/v1").unwrap_or(base)),
        }
    }

    /// The whole address of one of our paths.
    pub fn url(&self, path: &str) -> String {
        format!("{self}{}", self.path(path))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(provider: &str, url: &str, path: &str) -> String {
        let upstream = config::Upstream {
            provider: provider.into(),
            url: Some(url.into()),
            ..config::Upstream::default()
        };
        Address::of("x", &upstream).unwrap().path(path)
    }

    #[test]
    fn an_openai_address_is_the_base_url_of_its_sdk() {
        let chat = "/v1/chat/completions?a=/v1";
        for (url, expected) in [
            ("https://api.openai.com/v1", "/v1/chat/completions?a=/v1"),
            ("https://api.openai.com/v1/", "/v1/chat/completions?a=/v1"),
            ("http://localhost:8000", "/v1/chat/completions?a=/v1"),
            ("https://api.groq.com/openai/v1", "/openai/v1/chat/completions?a=/v1"),
            ("https://x.example/v1beta/openai", "/v1beta/openai/chat/completions?a=/v1"),
            ("https://x.example/custom", "/custom/chat/completions?a=/v1"),
        ] {
            assert_eq!(path("openai", url, chat), expected, "{url}");
        }
        assert_eq!(path("openai", "https://x.example/openai/v1", "/other"), "/openai/other");
        assert_eq!(path("openai", "https://x.example/v1", "/v1beta/x"), "/v1beta/x");
    }

    #[test]
    fn an_anthropic_address_may_name_the_version_or_not() {
        for (url, expected) in [
            ("https://api.anthropic.com", "/v1/messages?beta=true"),
            ("https://api.anthropic.com/v1/", "/v1/messages?beta=true"),
            ("https://x.example/anthropic", "/anthropic/v1/messages?beta=true"),
        ] {
            assert_eq!(path("anthropic", url, "/v1/messages?beta=true"), expected, "{url}");
        }
    }

    #[test]
    fn an_ollama_address_stands_before_every_path() {
        assert_eq!(path("ollama", "http://h:11434", "/api/chat"), "/api/chat");
        assert_eq!(path("ollama", "http://h/team/", "/v1/models"), "/team/v1/models");
    }
}
