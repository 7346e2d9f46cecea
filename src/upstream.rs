//! The leaf: a target becomes an HTTP request, its answer a stream. It translates only where it must.
//!
//! An answer is returned only after its first meaningful event (text, thinking, a tool call, or a clean end): until
//! then a refusal, an error inside a 200, an empty start and an early end are errors, and whoever stands above may
//! try again.
//!
//! Alone it is a working proxy to the default upstream: without a target from above a request goes there, without an
//! [`Ask`] it reads the body itself, and an upstream's address is always its own, whatever the request's says.

mod address;
mod admission;
mod answer;
mod body;
mod choices;
mod connect;
mod exchange;
mod headers;
mod images;
mod loads;
mod outgoing;
mod probe;
mod pulse;
mod timer;
mod upload;

pub use self::{
    address::Address,
    body::{AnswerBody, BoxError},
    probe::{Probe, Silence},
};

use self::{
    admission::Admission, answer::Said, connect::Http, exchange::Exchange, images::Images,
    loads::Loads, pulse::Pulse, upload::Upload,
};
use crate::{
    config,
    dialect::{self, Dialect, Quirks},
    error::Error,
    front::{Ask, Front, Refusal},
    health::{Health, Kind, Vital},
    provider::Provider,
    translate::Known,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, request,
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
    time::{Duration, Instant},
};
use tower_service::Service;
use unigate_layers::{
    admit::Place,
    body::Buffered,
    notes::{Fallbacks, Target},
};

/// A place among the requests in flight to an upstream; held until the answer's body is gone. `None` for what asks no model.
type Permit = Option<Place>;

/// Seconds to connect to a machine near this one, at most, where nobody configured anything else.
const NEAR_S: f64 = 2.0;

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
    /// Not held, only counted.
    stream: usize,
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
    admission: Admission,
    loads: Loads,
    first_byte: Duration,
    idle: Duration,
    total: Duration,
    /// Whether it refused to be asked for usage.
    unasked: AtomicBool,
    vital: Arc<Vital>,
    /// `None` for one in the cloud, which is asked nothing beside its traffic.
    pulse: Option<Pulse>,
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
    /// `instance` names this process, so that a request that comes back to it is noticed. `health` is what is known
    /// of them so far, and what they learn of them.
    ///
    /// # Errors
    /// One line for each upstream that cannot be used as configured.
    pub fn new(
        config: &config::Config,
        instance: &str,
        health: &Health,
    ) -> Result<Self, Vec<String>> {
        let mut known = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, upstream) in &config.upstream {
            match Upstream::new(name, upstream, health) {
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
            stream: config.server.max_stream_bytes,
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
        let others = others(&head, &target);
        let leave = upstream.vital.enter(others, || upstream.knock()).await?;
        let exchange = Exchange::new(upstream.clone(), &mut head, &target, &self);
        let answer = exchange.run(head, body).await;
        leave.heard(answer.as_ref().map(said));
        answer
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
    fn new(name: &str, config: &config::Upstream, health: &Health) -> Result<Self, String> {
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
        // Whoever comes with a key of his own may be the only one who can load anything.
        let warms = own == "ollama" && !config.forward_client_key;
        let warms = warms && config.warm_up.unwrap_or(true);
        let secure = address.scheme == Scheme::HTTPS;
        let local = provider.is_local_at(&address.authority);
        let kind = match config.breaker.as_deref() {
            Some("local") => Kind::Local,
            Some("cloud") => Kind::Cloud,
            Some("off") => Kind::Off,
            _ if local => Kind::Local,
            _ => Kind::Cloud,
        };
        let pulse =
            (kind == Kind::Local || local).then(|| Pulse::new(provider, &address, key.as_ref()));
        let pulse = pulse.flatten();
        let total = seconds(config.total_s, provider.total_s)?;
        let first_byte = match &pulse {
            // A model may load for as long as it takes, where it can be told from a server that froze.
            Some(pulse) if pulse.is_watched() && config.first_byte_s.is_none() => total,
            _ => seconds(config.first_byte_s, provider.first_byte_s)?.min(total),
        };
        let connect = if local { provider.connect_s.min(NEAR_S) } else { provider.connect_s };
        Ok(Self {
            name: name.into(),
            provider,
            quirks: provider.quirks_at(address.authority.host()),
            chat,
            vital: health.of(name, &address.url(""), kind),
            pulse,
            address,
            key,
            forward_client_key: config.forward_client_key,
            admission: Admission::new(config)?,
            loads: Loads::new(warms, seconds(config.load_s, LOAD_S)?),
            first_byte,
            idle: seconds(config.idle_s, provider.idle_s)?,
            total,
            unasked: AtomicBool::new(false),
            http: connect::client(seconds(config.connect_s, connect)?, secure),
        })
    }

    /// Asks whether anybody is there.
    async fn knock(&self) -> Result<(), String> {
        match &self.pulse {
            Some(pulse) => {
                let asked = pulse.ask().await;
                asked.map_err(|why| format!("cannot reach {} {why}", self.name))
            }
            None => Ok(()),
        }
    }

    /// Returns when it has stopped answering anything while somebody waits who began to at `since`; never, where that
    /// cannot be told.
    async fn stops(&self, since: Instant) {
        match &self.pulse {
            Some(pulse) => pulse.stops(since).await,
            None => std::future::pending().await,
        }
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
}

/// Seconds that the load of a model may take.
const LOAD_S: f64 = 600.0;

/// Whether another target is left to answer in place of this one.
fn others(head: &request::Parts, target: &Target) -> bool {
    let fallbacks = head.extensions.get::<Fallbacks>().map_or(&[][..], |fallbacks| &fallbacks.0);
    fallbacks.last().is_some_and(|last| last != target)
}

/// The status as the upstream said it.
fn said(response: &Response<AnswerBody>) -> StatusCode {
    response.extensions().get::<Said>().map_or(response.status(), |said| said.0)
}

/// Whether this process has forwarded the request already.
fn came_back(headers: &HeaderMap, instance: &HeaderValue) -> bool {
    headers.get_all(http::header::VIA).iter().any(|via| via == instance)
}
