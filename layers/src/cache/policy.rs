//! The judgement that a cache asks for: what is looked up, what is kept, and how it answers.

use super::{Entry, Key};
use bytes::Bytes;
use http::{Request, Response, response};
use std::sync::Arc;
use std::time::Duration;

/// What the cache may do for one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// What was asked. Two requests with the same key get the same answer.
    pub key: Key,
    /// Whether to look it up. `false` with `write`: the client wants a new answer.
    pub read: bool,
    /// Whether to keep the answer.
    pub write: bool,
    /// How long a kept answer may be used.
    pub ttl: Duration,
    /// An entry older than this is a miss for this request. `None`: its own time to live decides.
    pub max_age: Option<Duration>,
}

/// Knows what is worth caching, under which key, and how a kept answer is told.
///
/// `Option<Policy>` is one too: `None` caches nothing.
pub trait Policy<B> {
    /// What watches an answer that may be kept.
    type Fill: Fill;

    /// What the cache may do for this request. `None`: nothing.
    fn plan(&self, request: &Request<B>) -> Option<Plan>;

    /// A request whose answer may be kept goes to the service below. Owns what it needs of it.
    fn fill(&self, request: &Request<B>) -> Self::Fill;

    /// The answer out of an entry. The layer adds [`CacheStatus`](crate::notes::CacheStatus), `age` and `cache-status`.
    /// `None`: this entry cannot answer this request, which is a miss.
    fn replay(&self, request: &Request<B>, entry: &Entry, age: Duration)
    -> Option<Response<Bytes>>;
}

/// Decides whether one answer is kept, and in which form.
pub trait Fill: Send + 'static {
    /// By its head, may this answer be kept? Notes of layers below are in `extensions`.
    fn worth(&mut self, head: &response::Parts) -> bool;

    /// The whole body, after it ended as it should. What to store, and the [`Entry::meta`] text to store with it.
    /// `None`: not after all, because it holds an error or is not whole. Called off the client's path.
    fn keep(self, body: Bytes) -> Option<(Bytes, Arc<str>)>;
}

// === impl Policy and Fill for Option ===

impl<B, P: Policy<B>> Policy<B> for Option<P> {
    type Fill = Option<P::Fill>;

    fn plan(&self, request: &Request<B>) -> Option<Plan> {
        self.as_ref()?.plan(request)
    }

    fn fill(&self, request: &Request<B>) -> Self::Fill {
        self.as_ref().map(|policy| policy.fill(request))
    }

    fn replay(
        &self,
        request: &Request<B>,
        entry: &Entry,
        age: Duration,
    ) -> Option<Response<Bytes>> {
        self.as_ref()?.replay(request, entry, age)
    }
}

impl<L: Fill> Fill for Option<L> {
    fn worth(&mut self, head: &response::Parts) -> bool {
        self.as_mut().is_some_and(|fill| fill.worth(head))
    }

    fn keep(self, body: Bytes) -> Option<(Bytes, Arc<str>)> {
        self?.keep(body)
    }
}
