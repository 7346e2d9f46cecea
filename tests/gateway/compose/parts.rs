//! The parts of a gateway, each by itself, over one scripted Ollama.

use crate::support::{Client, Script, Upstream, config};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;
use tower::{Service, retry::RetryLayer};
use unigate::{
    access::AccessLayer,
    cache::ChatKey,
    catalog::Catalog,
    config::Config,
    discovery::Discovery,
    front::{AskLayer, DecodeLayer, Errors, NameLayer},
    gateway::{self, Resources},
    health::Health,
    listen::{self, Limits},
    local::LocalLayer,
    log::{LogRow, Rows, Sink},
    metrics::Metrics,
    models::Auto,
    readiness::Readiness,
    retry::Worth,
    route::{Addresses, Router},
    upstream::{BoxError, Upstreams},
};
use unigate_layers::{
    buffer::BufferLayer, cache::CacheLayer, log::LogLayer, memory::MemoryStore, notes::Target,
    rescue::RescueLayer, retry::Fallback, rewrite::RewriteLayer, route::RouteLayer,
};

/// The body of a request that came over the web.
pub(super) type Web = Incoming;

/// These layers of these parts, from top to bottom, over the leaf.
macro_rules! stack {
    ($parts:ident: $($layer:ident)*) => {
        tower::ServiceBuilder::new()$(.layer($parts.$layer()))*.service($parts.upstreams())
    };
}
pub(super) use stack;

/// What every stack is made of.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) upstream: Upstream,
    kept: Kept,
}

/// Rows, kept in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<LogRow>>>);

impl Sink for Kept {
    fn push(&self, row: LogRow) {
        self.0.lock().unwrap().push(row);
    }
}

impl Parts {
    /// One Ollama with the model `m`, which `alias` means too; the model `failing` fails.
    pub(super) async fn new() -> Self {
        let upstream = Upstream::start(&["m"], |seen| {
            let ask = seen.json();
            let (openai, stream) = (seen.path.starts_with("/v1/"), ask["stream"] == json!(true));
            match (ask["model"] == "failing", openai, stream) {
                (true, _, _) => Script::error(500, &json!({ "error": "as asked" })),
                (false, true, true) => Script::chunks(&["fi", "ne"]),
                (false, true, false) => Script::completion("fine"),
                (false, false, true) => Script::chat(&["fi", "ne"]),
                (false, false, false) => Script::said("fine"),
            }
        })
        .await;
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.aliases.insert("alias".into(), "m".into());
        config.log.path = None;
        Self { config, upstream, kept: Kept::default() }
    }

    pub(super) fn rows(&self) -> Vec<LogRow> {
        self.kept.0.lock().unwrap().clone()
    }

    /// What the upstream was asked last.
    pub(super) fn seen_last(&self) -> Value {
        self.upstream.seen().last().unwrap().json()
    }

    pub(super) fn target(&self, model: &str) -> Target {
        self.addresses().target("ollama", Some(model)).unwrap()
    }

    pub(super) fn resources(&self) -> Resources {
        let discovery = Discovery::new(&self.config, "test");
        Resources {
            log: None,
            store: None,
            discovery,
            memory: unigate::memory::Memory::default(),
            health: Health::default(),
            budget: gateway::budget(),
            instance: "test".into(),
            metrics: Metrics::new(),
            readiness: Readiness::new(),
            stopping: Arc::default(),
        }
    }

    pub(super) fn log(&self) -> LogLayer<Rows<Kept>> {
        LogLayer::new(Rows::new(self.kept.clone()))
    }

    pub(super) fn name(&self) -> NameLayer {
        NameLayer
    }

    pub(super) fn access(&self) -> AccessLayer {
        AccessLayer::open()
    }

    pub(super) fn buffer(&self) -> BufferLayer {
        BufferLayer::new(1 << 20)
    }

    pub(super) fn decode(&self) -> DecodeLayer {
        DecodeLayer::new(1 << 20)
    }

    pub(super) fn ask(&self) -> AskLayer {
        AskLayer
    }

    pub(super) fn cache(&self) -> CacheLayer<MemoryStore, ChatKey> {
        CacheLayer::new(MemoryStore::new(1 << 20), ChatKey::default())
    }

    pub(super) fn rescue(&self) -> RescueLayer<Errors> {
        RescueLayer::new(Errors)
    }

    /// Without discovery: nothing is known but names and addresses.
    pub(super) fn route(&self) -> RouteLayer<Router<Arc<Catalog>>> {
        let catalog = Arc::new(Catalog::default());
        RouteLayer::new(Router::new(&self.config, self.addresses(), catalog).unwrap())
    }

    pub(super) fn local(&self) -> LocalLayer {
        let discovery = Discovery::new(&self.config, "test");
        LocalLayer::new(discovery, Auto::default(), true)
    }

    pub(super) fn retry(&self) -> RetryLayer<Fallback<Worth>> {
        RetryLayer::new(Fallback::new(Worth))
    }

    pub(super) fn rewrite(&self) -> RewriteLayer {
        RewriteLayer::new()
    }

    pub(super) fn upstreams<B>(&self) -> Upstreams<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError> + Send,
    {
        Upstreams::new(&self.config, "test", &Health::default()).unwrap()
    }

    fn addresses(&self) -> Addresses {
        gateway::addresses(&self.config).unwrap()
    }
}

/// A chat; each with a text of its own would be each a miss, so all are the same but for these two.
pub(super) fn asked(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream,
        "messages": [{ "role": "user", "content": "How are you?" }] })
}

/// Serves a stack on a free port and chats with it in both dialects, streamed and not.
pub(super) async fn answers<S, R>(stack: S) -> Client
where
    S: Service<Request<Incoming>, Response = Response<R>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client =
        Client::of(listener.local_addr().unwrap()).with("content-type", "application/json");
    tokio::spawn(listen::serve(listener, stack, Limits::default(), pending(), pending()));
    let said = |events: &[Value], at: &str| {
        let words = events.iter().filter_map(|event| event.pointer(at)?.as_str());
        words.collect::<String>()
    };
    let answer = client.post("/api/chat", &asked("m", false)).await;
    assert_eq!(answer.json()["message"]["content"], "fine", "{}", answer.text());
    let answer = client.post("/api/chat", &asked("m", true)).await;
    assert_eq!(said(&answer.lines(), "/message/content"), "fine");
    let path = "/v1/chat/completions";
    let answer = client.post(path, &asked("m", false)).await;
    assert_eq!(said(&[answer.json()], "/choices/0/message/content"), "fine");
    let answer = client.post(path, &asked("m", true)).await;
    assert_eq!(said(&answer.events(), "/choices/0/delta/content"), "fine");
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
    client
}
