//! The leaf: a target becomes an HTTP request, its answer a stream. It translates only where it must.
//!
//! An answer is returned only after its first meaningful event (text, thinking, a tool call, or a clean end): until
//! then a refusal, an error inside a 200, an empty start and an early end are errors, and whoever stands above may
//! try again.

mod address;
mod body;
mod connect;
mod exchange;
mod headers;
mod probe;
mod upload;

pub use self::{
    address::Address,
    body::{AnswerBody, BoxError},
    probe::Probe,
};

use self::{connect::Http, exchange::Exchange, upload::Upload};
use crate::{
    config,
    dialect::{Dialect, Quirks, ollama::OLLAMA, openai::OPENAI},
    error::Error,
    front::Refusal,
    provider::Provider,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, uri::Scheme};
use hyper::body::Body;
use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;
use unigate_layers::{body::Buffered, notes::Target};

/// A place among the requests in flight to an upstream; held until the answer's body is gone.
type Permit = Option<OwnedSemaphorePermit>;

/// Everything that can be asked, by the name in the configuration. Cheap to clone.
pub struct Upstreams<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    known: Arc<BTreeMap<Arc<str>, Upstream<B>>>,
    instance: HeaderValue,
    bounds: Bounds,
}

/// What is read whole, at most, in bytes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    request: usize,
    answer: usize,
}

/// One upstream: a provider, configured.
struct Upstream<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    name: Arc<str>,
    provider: &'static Provider,
    quirks: Quirks,
    chat: Option<&'static dyn Dialect>,
    /// Where it is, for people.
    at: String,
    /// What stands before `/v1` or `/api`; without a slash at its end.
    prefix: String,
    key: Option<HeaderValue>,
    forward_client_key: bool,
    limit: usize,
    places: Option<Arc<Semaphore>>,
    first_byte: Duration,
    idle: Duration,
    total: Duration,
    http: Http<Upload<Buffered<B>>>,
}

// === impl Upstreams ===

impl<B> Upstreams<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// Clients for every upstream of a valid configuration; nothing is connected.
    ///
    /// `instance` names this process, so that a request that comes back to it is noticed.
    ///
    /// # Errors
    /// One line for each upstream that cannot be used as configured.
    pub fn new(config: &config::Config, instance: &str) -> Result<Self, Vec<String>> {
        let mut known = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, upstream) in &config.upstream {
            match Upstream::new(name, upstream) {
                Ok(upstream) => {
                    known.insert(upstream.name.clone(), upstream);
                }
                Err(why) => errors.push(format!("upstream.{name}: {why}")),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let instance = HeaderValue::try_from(format!("1.1 {instance}"))
            .map_err(|error| vec![format!("instance name: {error}")])?;
        let bounds = Bounds {
            request: config.server.max_body_bytes,
            answer: config.server.max_answer_bytes,
        };
        Ok(Self { known: Arc::new(known), instance, bounds })
    }

    async fn answer(self, request: Request<Buffered<B>>) -> Result<Response<AnswerBody>, Error> {
        let (mut head, body) = request.into_parts();
        if let Some(Refusal(error)) = head.extensions.remove() {
            return Err(error);
        }
        let target = head.extensions.remove::<Target>();
        let target = target.ok_or_else(|| Error::Internal("no target was decided".into()))?;
        let upstream = self
            .known
            .get(&target.upstream)
            .ok_or_else(|| Error::Internal(format!("no upstream {:?}", target.upstream)))?;
        if came_back(&head.headers, &self.instance) {
            return Err(Error::Loop { upstream: upstream.name.clone() });
        }
        let permit = upstream.enter()?;
        let exchange = Exchange::new(upstream, &mut head, &target, self.bounds);
        exchange.run(head, body, permit, &self.instance).await
    }
}

impl<B> Service<Request<Buffered<B>>> for Upstreams<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = Response<AnswerBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Buffered<B>>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}

impl<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> Clone for Upstreams<B> {
    fn clone(&self) -> Self {
        Self { known: self.known.clone(), instance: self.instance.clone(), bounds: self.bounds }
    }
}

impl<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> fmt::Debug for Upstreams<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}

// === impl Upstream ===

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    fn new(name: &str, config: &config::Upstream) -> Result<Self, String> {
        let address = Address::of(name, config)?;
        let provider = Provider::of(name, config)?;
        let chat: Option<&'static dyn Dialect> = match config.chat.as_deref() {
            None => None,
            Some("openai") => Some(&OPENAI),
            Some("ollama") if provider.dialect.name() == "ollama" => Some(&OLLAMA),
            Some(other) => return Err(format!("chat = {other:?}: {name} does not speak it")),
        };
        let key = match &config.key {
            None => None,
            Some(key) => Some(bearer(key.read()?.expose())?),
        };
        let seconds = |own: Option<f64>, default: f64| {
            Duration::try_from_secs_f64(own.unwrap_or(default)).map_err(|error| error.to_string())
        };
        let limit = config.max_in_flight;
        let secure = address.scheme == Scheme::HTTPS;
        Ok(Self {
            name: name.into(),
            provider,
            quirks: provider.quirks_at(address.authority.host()),
            chat,
            at: format!("{}://{}", address.scheme, address.authority),
            prefix: address.prefix,
            key,
            forward_client_key: config.forward_client_key,
            limit,
            places: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
            first_byte: seconds(config.first_byte_s, provider.first_byte_s)?,
            idle: seconds(config.idle_s, provider.idle_s)?,
            total: seconds(config.total_s, provider.total_s)?,
            http: connect::client(seconds(config.connect_s, provider.connect_s)?, secure),
        })
    }

    fn enter(&self) -> Result<Permit, Error> {
        let Some(places) = &self.places else { return Ok(None) };
        let permit = places.clone().try_acquire_owned();
        permit
            .map(Some)
            .map_err(|_| Error::Overloaded { upstream: self.name.clone(), limit: self.limit })
    }
}

/// Whether this process has forwarded the request already.
fn came_back(headers: &HeaderMap, instance: &HeaderValue) -> bool {
    headers.get_all(http::header::VIA).iter().any(|via| via == instance)
}

fn bearer(key: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|_| "the key has characters that no header can carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
