//! The architecture: a configuration becomes the stack, read from top to bottom as the path of a request.
//!
//! This is the only file that knows the order.

use crate::{
    access::AccessLayer,
    cache::ChatKey,
    catalog::Source,
    config::{Config, Secret},
    dialect::Operation,
    discovery::Discovery,
    edge::{EdgeLayer, HeadLayer, Patience},
    front::{AskLayer, DecodeLayer, Errors, Front, NameLayer},
    health::Health,
    heartbeat::Beats,
    local::LocalLayer,
    log::{FileLog, LogRow, Rows},
    memory::Memory,
    metrics::{Counted, Metrics},
    models::Auto,
    provider::Provider,
    readiness::Readiness,
    retry::Worth,
    route::{Addresses, Router},
    translate::Known,
    upstream::{Address, BoxError, Upstreams},
};
use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::{Body, Incoming};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tower::{ServiceBuilder, retry::RetryLayer, util::BoxCloneSyncService};
use unigate_layers::{
    buffer::{BufferLayer, is_json},
    cache::{AnyStore, CacheLayer},
    heartbeat::HeartbeatLayer,
    log::LogLayer,
    rescue::RescueLayer,
    retry::{Budget, Fallback},
    rewrite::RewriteLayer,
    route::RouteLayer,
    sqlite::SqliteLog,
};

/// A whole gateway: one value that can be cloned for each connection, and swapped for another.
///
/// `B` is the body of its requests: hyper's, unless it stands in somebody else's house (`axum::body::Body`).
pub type Gateway<B = Incoming> = BoxCloneSyncService<Request<B>, Response<Answer>, Infallible>;

/// The body of an answer, whoever made it.
pub type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// What outlives a reload: the stores, and what is known of the upstreams.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Where rows go; `None`: nothing is logged.
    pub log: Option<SqliteLog<LogRow>>,
    /// Where answers are kept; `None`: nothing is cached.
    pub store: Option<AnyStore>,
    /// What the upstreams have.
    pub discovery: Discovery,
    /// What request bodies may take together.
    pub memory: Memory,
    /// How the upstreams fare.
    pub health: Health,
    /// Extra attempts that all requests have made so far.
    pub budget: Arc<Budget>,
    /// This process's name in `Via`, by which it knows its own requests.
    pub instance: Arc<str>,
    /// What is counted, and shown at `/metrics`.
    pub metrics: Metrics,
    /// What `/readyz` tells beside which upstreams answer.
    pub readiness: Readiness,
    /// Set when the gateway cuts what still runs, so that the log does not blame the clients.
    pub stopping: Arc<AtomicBool>,
}

/// Builds the stack. Connects to nothing.
///
/// # Errors
/// One line for each thing that cannot be used as configured.
pub fn build<B>(config: &Config, resources: &Resources) -> Result<Gateway<B>, Vec<String>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    let discovery = resources.discovery.clone();
    let upstreams = Upstreams::new(config, &resources.instance, &resources.health)?;
    let upstreams = upstreams.knowing(known(&discovery));
    let one = |error: String| vec![error];
    let router = Router::new(config, addresses(config)?, discovery.clone()).map_err(one)?;
    let access = access(config)?;
    let revision =
        serde_json::to_vec(&(&config.models, &config.aliases, &config.route, &config.translate))
            .map_err(|error| vec![error.to_string()])?;
    let key = ChatKey::new(Duration::from_secs(config.cache.ttl_s))
        .routing(&revision, router.headers())
        .standing(standing(&router, &discovery))
        .by_credential(config.upstream.values().any(|upstream| upstream.forward_client_key))
        .sampled_streams(config.cache.sampled_streams)
        .fallbacks(config.cache.fallbacks);
    let auto = Auto { rules: router.rules(), configured: config.models.default.is_some() };
    let local = LocalLayer::new(discovery, auto, is_ollama(config))
        .health(resources.health.clone())
        .metrics(resources.metrics.clone())
        .readiness(resources.readiness.clone());
    let file = resources.log.clone().map(|log| FileLog::new(log).strict(config.log.strict));
    // Counted where they are handed over, be there a log or not.
    let rows = Rows::new(Counted::new(resources.metrics.clone(), file))
        .prompts(config.log.prompts)
        .stopping(resources.stopping.clone());

    let stack = ServiceBuilder::new()
        // The seam: above it there is one body type, whoever answered.
        .map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync))
        // Above everything: whatever happens below, exactly one row.
        .layer(LogLayer::new(rows))
        // Which dialect, which operation, from method and path alone; signs every answer on its way up.
        .layer(NameLayer)
        // A head with two meanings is no request.
        .layer(HeadLayer)
        // Host, origin, key: refused before a byte of the body is read.
        .layer(access)
        // In time, and room for what is read whole.
        .layer(EdgeLayer::new(
            resources.memory.clone(),
            Patience {
                idle: Duration::from_secs(config.server.body_idle_s),
                whole: Duration::from_secs(config.server.body_s),
            },
            config.server.max_body_bytes,
            is_read,
        ))
        // JSON bodies become whole; uploads keep streaming.
        .layer(BufferLayer::new(config.server.max_body_bytes).when(is_read))
        // Compressed bodies become readable, and keep at hand what they were.
        .layer(DecodeLayer::new(config.server.max_body_bytes))
        // Which model, streamed or not: read once, from a whole body.
        .layer(AskLayer)
        // Above the cache, which must keep nothing of it: signs of life for whoever waits for a stream.
        .layer(HeartbeatLayer::new(Beats::new(config.server.heartbeat_s)))
        // Above the route: the key is what was asked, not what was chosen.
        .layer(
            CacheLayer::new(resources.store.clone(), key)
                .max_entry_bytes(config.cache.max_entry_bytes),
        )
        // Above all that can fail: from here up there are only responses.
        .layer(RescueLayer::new(Errors))
        // Decides where and which model, and why.
        .layer(RouteLayer::new(router))
        // Lists and details that no single upstream could answer; nothing there is worth a retry.
        .layer(local)
        // The same target again, then the next one, until something meaningful has come.
        .layer(RetryLayer::new(fallback(config, &resources.budget)))
        // Applies the decision of this attempt: address and model, by splice.
        .layer(RewriteLayer::new().fields(&["model", "name"]))
        // Translates if it must, sends, peeks, streams.
        .service(upstreams);
    Ok(BoxCloneSyncService::new(stack))
}

/// Where each upstream lives.
///
/// # Errors
/// One line for each address that is none.
pub fn addresses(config: &Config) -> Result<Addresses, Vec<String>> {
    let mut known = BTreeMap::new();
    let mut errors = Vec::new();
    for (name, upstream) in &config.upstream {
        match Address::of(name, upstream) {
            Ok(at) => drop(known.insert(name.as_str().into(), (at.scheme, at.authority))),
            Err(why) => errors.push(format!("upstream.{name}: {why}")),
        }
    }
    let home = config.default_upstream();
    match home {
        Some(home) if errors.is_empty() => Ok(Addresses::new(home, known)),
        Some(_) => Err(errors),
        None => Err(vec!["no upstream is configured".into()]),
    }
}

fn access(config: &Config) -> Result<AccessLayer, Vec<String>> {
    let server = &config.server;
    let keys: Result<Vec<Secret>, String> = server.keys.iter().map(|key| key.read()).collect();
    let keys = keys.map_err(|error| vec![format!("server.keys: {error}")])?;
    let keys: Vec<&str> = keys.iter().map(Secret::expose).collect();
    let (hosts, origins) = (server.allowed_hosts.clone(), server.allowed_origins.clone());
    Ok(AccessLayer::new(&keys, hosts, origins, server.manages())
        .max_failures_per_min(server.max_failures_per_min))
}

/// What stands behind a name; not known while a client is changing what is installed.
fn standing(
    router: &Router<Discovery>,
    discovery: &Discovery,
) -> impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static {
    let (router, discovery) = (router.clone(), discovery.clone());
    move |name| discovery.is_settled().then(|| router.standing(name))
}

/// What is known of a model, as far as its upstream lists it.
fn known(discovery: &Discovery) -> impl Fn(&str, &str) -> Option<Known> + Send + Sync + 'static {
    let discovery = discovery.clone();
    move |upstream, name| {
        let catalog = discovery.catalog();
        let tagged = catalog.upstreams.get(upstream)?.tagged;
        let model = &catalog.model(upstream, name)?.model;
        // What makes pictures has another way to be loaded.
        let loads = tagged && !model.remote && !model.capabilities.iter().any(|can| can == "image");
        Some(Known { capabilities: model.capabilities.clone(), context: model.context, loads })
    }
}

fn fallback(config: &Config, budget: &Arc<Budget>) -> Fallback<Worth> {
    let retry = &config.retry;
    budget.set_percent(retry.budget_percent);
    Fallback::new(Worth)
        .tries_per_target(retry.tries)
        .backoff(Duration::from_millis(retry.backoff_ms), Duration::from_secs(1))
        .deadline(Duration::from_secs(retry.deadline_s))
        .budget(budget.clone())
        // A budget is there to spare an upstream; another one is no burden to it.
        .free_fallbacks(true)
}

/// The account of extra attempts, for [`Resources::budget`]; what share they may have says the configuration.
pub fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(0, RETRIES_PER_S, Duration::from_secs(10)))
}

/// Retries that the budget always has, however few requests there are: one person at one machine.
const RETRIES_PER_S: u32 = 2;

/// Whether a body is to be read whole. Bodies that nothing looks into, model files above all, keep streaming.
fn is_read(head: &request::Parts) -> bool {
    match Front::of(&head.extensions).operation {
        // Ollama's clients may send JSON as anything.
        Some(
            Operation::Chat
            | Operation::Generate
            | Operation::Embed
            | Operation::EmbedOne
            | Operation::Count
            | Operation::Model
            | Operation::Pull
            | Operation::Manage,
        ) => true,
        Some(Operation::Other) => is_json(head),
        _ => false,
    }
}

fn is_ollama(config: &Config) -> bool {
    let home = config.default_upstream().unwrap_or_default();
    let provider = config.upstream.get(home).and_then(|home_up| Provider::of(home, home_up).ok());
    provider.is_some_and(|provider| provider.dialect.name() == "ollama")
}
