//! What layers tell each other, pinned to a request on its way down or to a response on its way up.
//!
//! Each note has one writer, clones cheaply and has a meaning when it is absent. Nothing here is
//! required: a layer that finds no note does what its documentation says for that case.

use http::uri::{Authority, Scheme};
use http::{Request, Response};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where this attempt of a request goes: an upstream and, if it was changed, a model.
///
/// A request extension. Written by whoever routes, rewritten by [`Fallback`](crate::retry::Fallback)
/// for each attempt, applied by [`RewriteLayer`](crate::rewrite::RewriteLayer).
/// Absent: the request goes where its address says, unchanged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The name of the upstream, for logs and for the retry budget. Not an address.
    pub upstream: Arc<str>,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// The value for the body's model field. `None`: as the client asked.
    pub model: Option<Arc<str>>,
}

/// The targets to try after the first one, in order.
///
/// A request extension. Written by whoever routes, read by [`Fallback`](crate::retry::Fallback).
/// Absent: there is no other target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fallbacks(pub Arc<[Target]>);

/// One try of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Where it went. `None`: no [`Target`] was set, so to the request's own address.
    pub target: Option<Target>,
    /// How it ended, in a few words: `200`, `503`, `connect: refused`.
    pub outcome: Arc<str>,
    /// From sending the request to having the response's head, or the error.
    pub elapsed: Duration,
}

/// Every attempt that was made for a response, the one that answered last.
///
/// A response extension, written by [`Fallback`](crate::retry::Fallback).
/// Absent: not known; nothing retries here, or the request could not have been sent twice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// In the order they were made; never empty.
    pub attempts: Arc<[Attempt]>,
}

/// What the cache did with a request.
///
/// A response extension, written by [`CacheLayer`](crate::cache::CacheLayer).
/// Absent: no cache in the stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheStatus {
    /// Answered from the store.
    Hit {
        /// Time since the entry was stored.
        age: Duration,
        /// Time for which the entry stays fresh from now on.
        ttl: Duration,
    },
    /// Looked for and not found, or found too old.
    Miss {
        /// Whether this answer is being remembered. Known at the head: an answer that later breaks
        /// off, grows past the limit or turns out to hold an error is dropped after all.
        stored: bool,
    },
    /// Not looked for because the request asked for a new answer, which is being remembered.
    Refresh,
    /// The policy has no opinion on this request: neither looked for nor remembered.
    Bypass,
    /// There is a cache layer, but no store behind it.
    Off,
}

// === impl Target ===

impl Target {
    /// The target of this request, if one was decided.
    pub fn of<B>(request: &Request<B>) -> Option<&Self> {
        request.extensions().get()
    }
}

/// `upstream`, or `upstream/model`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.upstream)?;
        match &self.model {
            Some(model) => write!(f, "/{model}"),
            None => Ok(()),
        }
    }
}

// === impl Fallbacks ===

impl Fallbacks {
    /// The targets after the first one; empty when nobody named any.
    pub fn of<B>(request: &Request<B>) -> &[Target] {
        request.extensions().get::<Self>().map_or(&[], |fallbacks| &fallbacks.0)
    }
}

// === impl Served ===

impl Served {
    /// The attempts behind this response, if known.
    pub fn of<R>(response: &Response<R>) -> Option<&Self> {
        response.extensions().get()
    }

    /// The attempt that answered.
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}

// === impl CacheStatus ===

impl CacheStatus {
    /// What the cache did for this response, if there is one in the stack.
    pub fn of<R>(response: &Response<R>) -> Option<Self> {
        response.extensions().get().copied()
    }

    /// One word for a log: `hit`, `miss`, `refresh`, `bypass`, `off`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Miss { .. } => "miss",
            Self::Refresh => "refresh",
            Self::Bypass => "bypass",
            Self::Off => "off",
        }
    }
}
