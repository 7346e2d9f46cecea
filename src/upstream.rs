//! The leaf: a target becomes an HTTP request, its answer a stream. It translates only where it must.
//!
//! An answer is returned only after its first meaningful event (text, thinking, a tool call, or a clean end): until
//! then a refusal, an error inside a 200, an empty start and an early end are errors, and whoever stands above may
//! try again.
//!
//! Alone it is a working proxy to the default upstream: without a target from above a request goes there, without an
//! [`Ask`] it reads the body itself, and an upstream's address is always its own, whatever the request's says.

mod address;
mod answer;
mod body;
mod choices;
mod connect;
mod exchange;
mod headers;
mod images;
mod outgoing;
mod probe;
mod timer;
mod upload;

pub use self::{
    address::Address,
    body::{AnswerBody, BoxError},
    probe::{Probe, Silence},
};

use self::{connect::Http, exchange::Exchange, images::Images, upload::Upload};
use crate::{
    config,
    dialect::{self, Dialect, Quirks},
    error::Error,
    front::{Ask, Front, Refusal},
    provider::Provider,
    translate::Known,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, request,
    uri::{PathAndQuery, Scheme},
};
use hyper::body::Body;
use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
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
    known: Arc<BTreeMap<Arc<str>, Arc<Upstream<B>>>>,
    home: Arc<str>,
    instance: HeaderValue,
    bounds: Bounds,
    images: Option<Images>,
    max_image_bytes: usize,
    strict: bool,
    knows: Knows,
}

/// What is known of a model of an upstream, by their names.
type Knows = Arc<dyn Fn(&str, &str) -> Option<Known> + Send + Sync>;

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
    address: Address,
    key: Option<(HeaderName, HeaderValue)>,
    forward_client_key: bool,
    limit: usize,
    places: Option<Arc<Semaphore>>,
    first_byte: Duration,
    idle: Duration,
    total: Duration,
    /// Whether it refused to be asked for usage.
    unasked: AtomicBool,
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
                    known.insert(upstream.name.clone(), Arc::new(upstream));
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
        let home = config.default_upstream().unwrap_or_default().into();
        let config::Translate { strict, max_image_bytes, .. } = config.translate;
        Ok(Self {
            known: Arc::new(known),
            home,
            instance,
            bounds,
            images: Images::new(&config.translate),
            max_image_bytes,
            strict,
            knows: Arc::new(|_: &str, _: &str| None),
        })
    }

    /// Translates with what is known of each model, by the names of its upstream and its own. Default: nothing is.
    #[must_use]
    pub fn knowing(
        mut self,
        knows: impl Fn(&str, &str) -> Option<Known> + Send + Sync + 'static,
    ) -> Self {
        self.knows = Arc::new(knows);
        self
    }

    async fn answer(self, request: Request<Buffered<B>>) -> Result<Response<AnswerBody>, Error> {
        let (mut head, body) = request.into_parts();
        if let Some(Refusal(error)) = head.extensions.remove() {
            return Err(error);
        }
        let target = head.extensions.remove::<Target>();
        let name = target.as_ref().map_or(&self.home, |target| &target.upstream);
        let upstream =
            self.known.get(name).ok_or_else(|| Error::Internal(format!("no upstream {name:?}")))?;
        if came_back(&head.headers, &self.instance) {
            return Err(Error::Loop { upstream: upstream.name.clone() });
        }
        let target = target.unwrap_or_else(|| upstream.target());
        upstream.receive(&mut head, &body);
        let permit = upstream.enter()?;
        let exchange = Exchange::new(upstream.clone(), &mut head, &target, &self);
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
        Self {
            known: self.known.clone(),
            home: self.home.clone(),
            instance: self.instance.clone(),
            bounds: self.bounds,
            images: self.images.clone(),
            max_image_bytes: self.max_image_bytes,
            strict: self.strict,
            knows: self.knows.clone(),
        }
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
        let own = provider.dialect.name();
        let chat = match config.chat.as_deref().map(|chat| (chat, dialect::named(chat))) {
            None => None,
            // Many servers speak the others' beside their own; only an Ollama speaks Ollama's.
            Some((_, Some(chat))) if chat.name() != "ollama" || own == "ollama" => Some(chat),
            Some((other, _)) => return Err(format!("chat = {other:?}: {name} does not speak it")),
        };
        let key = match &config.key {
            None => None,
            Some(key) => Some(provider.credential.header(key.read()?.expose())?),
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
            address,
            key,
            forward_client_key: config.forward_client_key,
            limit,
            places: (limit > 0).then(|| Arc::new(Semaphore::new(limit))),
            first_byte: seconds(config.first_byte_s, provider.first_byte_s)?,
            idle: seconds(config.idle_s, provider.idle_s)?,
            total: seconds(config.total_s, provider.total_s)?,
            unasked: AtomicBool::new(false),
            http: connect::client(seconds(config.connect_s, provider.connect_s)?, secure),
        })
    }

    /// Where a request goes that nobody has decided about.
    fn target(&self) -> Target {
        Target {
            upstream: self.name.clone(),
            scheme: self.address.scheme.clone(),
            authority: self.address.authority.clone(),
            model: None,
        }
    }

    /// Makes up for the layers that may be missing above: the address is ours, and the ask is read.
    fn receive(&self, head: &mut request::Parts, body: &Buffered<B>) {
        // Never the address in the request, which a client may have written: our credential goes with it.
        let Address { scheme, authority, .. } = &self.address;
        if head.uri.scheme() != Some(scheme) || head.uri.authority() != Some(authority) {
            let mut parts = std::mem::take(&mut head.uri).into_parts();
            parts.scheme = Some(scheme.clone());
            parts.authority = Some(authority.clone());
            parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
            head.uri = Uri::from_parts(parts).unwrap_or_default();
        }
        let front = Front::of(&head.extensions);
        if let Some(operation) = front.operation
            && operation.asks_a_model()
            && head.extensions.get::<Ask>().is_none()
            && let Some(body) = body.bytes()
            && let Ok(ask) = front.dialect.ask(operation, body)
        {
            head.extensions.insert(ask);
        }
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
