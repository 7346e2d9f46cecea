//! One upstream: a provider, configured, with what is held for it between requests.

use super::{
    Address, BoxError,
    admission::Admission,
    connect::{self, Http},
    loads::Loads,
    pulse::Pulse,
    upload::Upload,
};
use crate::{
    config,
    dialect::{self, Dialect, Quirks},
    front::{Ask, Front},
    health::{Health, Kind, Vital},
    provider::Provider,
};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Uri, request,
    uri::{PathAndQuery, Scheme},
};
use hyper::body::Body;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};
use unigate_layers::{body::Buffered, notes::Target};

/// Seconds to connect to a machine near this one, at most, where nobody configured anything else.
const NEAR_S: f64 = 2.0;

/// Seconds that the load of a model may take.
const LOAD_S: f64 = 600.0;

/// One upstream: a provider, configured.
pub(super) struct Upstream<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    pub(super) name: Arc<str>,
    pub(super) provider: &'static Provider,
    pub(super) quirks: Quirks,
    pub(super) chat: Option<&'static dyn Dialect>,
    pub(super) address: Address,
    pub(super) key: Option<(HeaderName, HeaderValue)>,
    pub(super) forward_client_key: bool,
    pub(super) admission: Admission,
    pub(super) loads: Loads,
    pub(super) first_byte: Duration,
    pub(super) idle: Duration,
    pub(super) total: Duration,
    /// Whether it refused to be asked for usage.
    pub(super) unasked: AtomicBool,
    pub(super) vital: Arc<Vital>,
    /// `None` for one in the cloud, which is asked nothing beside its traffic.
    pub(super) pulse: Option<Pulse>,
    pub(super) http: Http<Upload<Buffered<B>>>,
}

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    pub(super) fn new(
        name: &str,
        config: &config::Upstream,
        health: &Health,
    ) -> Result<Self, String> {
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
    pub(super) async fn knock(&self) -> Result<(), String> {
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
    pub(super) async fn stops(&self, since: Instant) {
        match &self.pulse {
            Some(pulse) => pulse.stops(since).await,
            None => std::future::pending().await,
        }
    }

    /// Where a request goes that nobody has decided about.
    pub(super) fn target(&self) -> Target {
        Target {
            upstream: self.name.clone(),
            scheme: self.address.scheme.clone(),
            authority: self.address.authority.clone(),
            model: None,
        }
    }

    /// Makes up for the layers that may be missing above: the address is ours, and the ask is read.
    pub(super) fn receive(&self, head: &mut request::Parts, body: &Buffered<B>) {
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
