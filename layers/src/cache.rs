//! Answers what was asked before from a store, and fills it while the stream passes.
//!
//! It belongs above routing (the key is what was asked, not what was chosen), and below a
//! [`BufferLayer`](crate::buffer::BufferLayer) if the policy reads bodies. The answer is remembered while it passes, up
//! to a size, and written off the client's path after it ended as it should. It fails open: a store in trouble is a miss.
//! A look-up costs one box and one of the store's.
//!
//! A policy, and the layer alone:
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode, response};
//! use http_body_util::Full;
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tower::{Layer, Service, service_fn};
//! use unigate_layers::cache::{CacheLayer, Entry, Fill, Key, Plan, Policy};
//! use unigate_layers::notes::CacheStatus;
//!
//! /// Keeps what GET answers, by path, for a minute.
//! #[derive(Clone)]
//! struct Pages;
//! struct KeepOk;
//!
//! impl<B> Policy<B> for Pages {
//!     type Fill = KeepOk;
//!
//!     fn plan(&self, request: &Request<B>) -> Option<Plan> {
//!         let key = Key::of(&[request.uri().path().as_bytes()]);
//!         let ttl = Duration::from_secs(60);
//!         (request.method() == "GET").then_some(Plan { key, read: true, write: true, ttl, max_age: None })
//!     }
//!
//!     fn fill(&self, _: &Request<B>) -> KeepOk { KeepOk }
//!
//!     fn replay(&self, _: &Request<B>, entry: &Entry, _: Duration) -> Option<Response<Bytes>> {
//!         Some(Response::new(entry.body.clone()))
//!     }
//! }
//!
//! impl Fill for KeepOk {
//!     fn worth(&mut self, head: &response::Parts) -> bool { head.status == StatusCode::OK }
//!
//!     fn keep(self, body: Bytes) -> Option<(Bytes, Arc<str>)> { Some((body, "".into())) }
//! }
//!
//! # #[cfg(feature = "memory")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # use unigate_layers::memory::MemoryStore;
//! # use http_body_util::BodyExt;
//! let service = service_fn(|_: Request<()>| async {
//!     Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::from("hello")))
//! });
//! let mut service = CacheLayer::new(MemoryStore::new(1 << 20), Pages).layer(service);
//! let first = service.call(Request::new(())).await.unwrap();
//! assert_eq!(CacheStatus::of(&first), Some(CacheStatus::Miss { stored: true }));
//! first.into_body().collect().await.unwrap();
//! tokio::task::yield_now().await; // the write is off the client's path
//! let second = service.call(Request::new(())).await.unwrap();
//! assert_eq!(CacheStatus::of(&second).unwrap().as_str(), "hit");
//! # }
//! # #[cfg(not(feature = "memory"))]
//! # fn main() {}
//! ```
//!
//! In a stack, with a store that is chosen at the start:
//!
//! ```
//! # #[cfg(all(feature = "memory", feature = "redis", feature = "buffer"))] {
//! use unigate_layers::buffer::BufferLayer;
//! use unigate_layers::cache::{AnyStore, CacheLayer};
//! use unigate_layers::memory::MemoryStore;
//! use unigate_layers::redis::{RedisOptions, RedisStore};
//! # let (policy, service, enabled, redis_url) = ((), (), true, None::<String>);
//!
//! let store = match redis_url {
//!     Some(url) => AnyStore::new(RedisStore::new(&url, RedisOptions::default()).unwrap()),
//!     None => AnyStore::new(MemoryStore::new(64 << 20)),
//! };
//! let stack = tower::ServiceBuilder::new()
//!     .layer(BufferLayer::new(1 << 20))
//!     .layer(CacheLayer::new(enabled.then_some(store), policy))
//!     .service(service);
//! # }
//! ```

mod answer;
mod entry;
mod fill;
mod key;
mod policy;
mod seal;
mod store;

pub use entry::Entry;
pub use fill::{Cached, Filler};
pub use key::Key;
pub use policy::{Fill, Plan, Policy};
pub use seal::Seal;
pub use store::{AnyStore, BoxFuture, Store};

use crate::notes::CacheStatus;
use answer::{OnAnswer, fresh, hit};
use bytes::Bytes;
use fill::Writer;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};
use tower_layer::Layer;
use tower_service::Service;

/// Looks every request up in a [`Store`], as a [`Policy`] says.
#[derive(Clone)]
pub struct CacheLayer<T, P> {
    store: T,
    policy: P,
    rules: Rules,
}

/// The service of [`CacheLayer`].
#[derive(Clone)]
pub struct Cache<S, T, P> {
    inner: S,
    store: T,
    policy: P,
    rules: Rules,
}

#[derive(Clone, Debug)]
struct Rules {
    name: Arc<str>,
    max_entry_bytes: usize,
    writer: Writer,
}

pin_project! {
    /// The future of [`Cache`].
    pub struct ResponseFuture<F, T, L, O> {
        #[pin]
        state: State<F, T, L, O>,
    }
}

type Story<O> = Pin<Box<dyn Future<Output = O> + Send>>;

pin_project! {
    #[project = StateProj]
    enum State<F, T, L, O> {
        Passing { #[pin] inner: F, on: Option<OnAnswer<T, L>> },
        LookingUp { story: Story<O> },
    }
}

// === impl CacheLayer ===

impl<T, P> CacheLayer<T, P> {
    /// Keeps answers in `store` as `policy` says.
    pub fn new(store: T, policy: P) -> Self {
        let rules = Rules {
            name: Arc::from("unigate"),
            max_entry_bytes: 1024 * 1024,
            writer: Writer::new(),
        };
        Self { store, policy, rules }
    }

    /// The largest answer to keep, in bytes of its body. Default 1 MiB. Of a larger one nothing is kept; it passes
    /// all the same.
    #[must_use]
    pub fn max_entry_bytes(mut self, bytes: usize) -> Self {
        self.rules.max_entry_bytes = bytes;
        self
    }

    /// What this cache calls itself in `cache-status` (RFC 9211): a token, else it is quoted. Default `unigate`.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.rules.name = Arc::from(name);
        self
    }
}

impl<S, T: Clone, P: Clone> Layer<S> for CacheLayer<T, P> {
    type Service = Cache<S, T, P>;

    fn layer(&self, inner: S) -> Cache<S, T, P> {
        Cache {
            inner,
            store: self.store.clone(),
            policy: self.policy.clone(),
            rules: self.rules.clone(),
        }
    }
}

impl<T, P: fmt::Debug> fmt::Debug for CacheLayer<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("policy", &self.policy)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

// === impl Cache ===

impl<S, T, P, B, R> Service<Request<B>> for Cache<S, T, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    T: Store,
    P: Policy<B> + Clone + Send + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Cached<R, Filler<T, P::Fill>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T, P::Fill, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.store.is_off() {
            return self.pass(request, CacheStatus::Off, None);
        }
        let Some(plan) = self.policy.plan(&request).filter(|plan| plan.read || plan.write) else {
            return self.pass(request, CacheStatus::Bypass, None);
        };
        if !plan.read {
            let fill = (self.store.clone(), plan, self.policy.fill(&request));
            return self.pass(request, CacheStatus::Refresh, Some(fill));
        }
        // The clone is not ready; the original is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (store, policy, rules) = (self.store.clone(), self.policy.clone(), self.rules.clone());
        let story = async move {
            // The request is not borrowed across the wait, so that its body need not be `Sync`.
            let found = store.get(&plan.key).await;
            if let Some(entry) = found
                && let Some((age, ttl)) = fresh(&entry, plan.max_age)
                && let Some(response) = policy.replay(&request, &entry, age)
            {
                return Ok(hit(response, &rules.name, age, ttl));
            }
            let status = CacheStatus::Miss { stored: false };
            let fill = plan.write.then(|| (store, plan, policy.fill(&request)));
            drop(policy);
            let answer = inner.call(request).await?;
            Ok(OnAnswer { status, rules, fill }.answered(answer))
        };
        ResponseFuture { state: State::LookingUp { story: Box::pin(story) } }
    }
}

impl<S, T, P> Cache<S, T, P> {
    fn pass<B, L, O>(
        &mut self,
        request: Request<B>,
        status: CacheStatus,
        fill: Option<(T, Plan, L)>,
    ) -> ResponseFuture<S::Future, T, L, O>
    where
        S: Service<Request<B>>,
    {
        let on = Some(OnAnswer { status, rules: self.rules.clone(), fill });
        ResponseFuture { state: State::Passing { inner: self.inner.call(request), on } }
    }
}

impl<S: fmt::Debug, T, P: fmt::Debug> fmt::Debug for Cache<S, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

pub(crate) fn now_ms() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

// === impl ResponseFuture ===

impl<F, T, L, R, E> Future for ResponseFuture<F, T, L, Result<Response<Cached<R, Filler<T, L>>>, E>>
where
    F: Future<Output = Result<Response<R>, E>>,
    T: Store,
    L: Fill,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<Cached<R, Filler<T, L>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::LookingUp { story } => story.as_mut().poll(cx),
            StateProj::Passing { inner, on } => {
                let answer = ready!(inner.poll(cx))?;
                match on.take() {
                    Some(on) => Poll::Ready(Ok(on.answered(answer))),
                    None => Poll::Pending, // Polled after its end.
                }
            }
        }
    }
}

impl<F, T, L, O> fmt::Debug for ResponseFuture<F, T, L, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
