//! What holds for all layers: they go anywhere, depend on little, and do not know each other.

#![cfg(feature = "full")]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::path::{Path, PathBuf};
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;
use unigate_layers::body::Buffered;
use unigate_layers::buffer::{Buffer, BufferLayer};
use unigate_layers::cache::{AnyStore, Cache, CacheLayer, Entry, Fill, Plan, Policy};
use unigate_layers::log::{Log, LogLayer};
use unigate_layers::memory::MemoryStore;
use unigate_layers::redis::RedisStore;
use unigate_layers::rescue::{Answer, Rescue, RescueLayer, answer};
use unigate_layers::retry::{Fallback, Judge, Verdict};
use unigate_layers::rewrite::{Rewrite, RewriteLayer};
use unigate_layers::route::{Route, RouteLayer, sync};
use unigate_layers::sqlite::{HttpRow, SqliteLog};

#[derive(Clone, Copy, Debug)]
struct Nothing;

impl<R, E> Judge<R, E> for Nothing {
    fn judge(&self, _: Result<&Response<R>, &E>) -> Verdict {
        Verdict::Done
    }

    fn outcome(&self, _: Result<&Response<R>, &E>) -> std::sync::Arc<str> {
        "".into()
    }
}

impl<B> Policy<B> for Nothing {
    type Fill = Self;

    fn plan(&self, _: &Request<B>) -> Option<Plan> {
        None
    }

    fn fill(&self, _: &Request<B>) -> Self {
        Self
    }

    fn replay(&self, _: &Request<B>, _: &Entry, _: std::time::Duration) -> Option<Response<Bytes>> {
        None
    }
}

impl Fill for Nothing {
    fn worth(&mut self, _: &http::response::Parts) -> bool {
        false
    }

    fn keep(self, _: Bytes) -> Option<(Bytes, std::sync::Arc<str>)> {
        None
    }
}

#[test]
fn every_layer_and_service_is_cloned_sent_and_shared() {
    fn goes_anywhere<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    goes_anywhere::<LogLayer<SqliteLog<HttpRow>>>();
    goes_anywhere::<Log<Nothing, Option<SqliteLog<HttpRow>>>>();
    goes_anywhere::<BufferLayer>();
    goes_anywhere::<Buffer<Nothing>>();
    goes_anywhere::<CacheLayer<AnyStore, Nothing>>();
    goes_anywhere::<Cache<Nothing, Option<MemoryStore>, Nothing>>();
    goes_anywhere::<RedisStore>();
    goes_anywhere::<RescueLayer<Answer<fn(Nothing)>>>();
    goes_anywhere::<Rescue<Nothing, Answer<fn(Nothing)>>>();
    goes_anywhere::<RouteLayer<Nothing>>();
    goes_anywhere::<Route<Nothing, Nothing>>();
    goes_anywhere::<Fallback<Nothing>>();
    goes_anywhere::<RewriteLayer>();
    goes_anywhere::<Rewrite<Nothing>>();
}

type Whole = Request<Buffered<Full<Bytes>>>;
type Client = BoxCloneSyncService<Whole, Response<Full<Bytes>>, std::io::Error>;

// Compiles: the whole stack is a service that axum and hyper take, and each layer can be left out.
#[tokio::test]
async fn the_stack_composes_and_each_layer_can_be_left_out() {
    macro_rules! stack {
        ($($layer:expr),*) => {{
            let client: Client = BoxCloneSyncService::new(tower::service_fn(|request: Whole| async move {
                let body = Full::from(request.body().bytes().cloned().unwrap_or_default());
                Ok(Response::new(body))
            }));
            let service = ServiceBuilder::new()$(.layer($layer))*.service(client);
            let service = BoxCloneSyncService::new(service);
            let request = Request::post("/").header("content-type", "application/json");
            let request = request.body(Full::<Bytes>::from("{}")).unwrap();
            let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
            let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
            assert_eq!(body.to_bytes(), "{}");
        }};
    }
    let log = || LogLayer::new(None::<SqliteLog<HttpRow>>);
    let buffer = || BufferLayer::new(1024);
    let cache = || CacheLayer::new(None::<MemoryStore>, Nothing);
    let rescue = || RescueLayer::new(answer(|_: std::io::Error| Response::new(Bytes::new())));
    let route = || RouteLayer::new(sync(|request: Whole| request));
    let retry = || tower::retry::RetryLayer::new(Fallback::new(Nothing));
    let rewrite = RewriteLayer::new;
    stack!(log(), buffer(), cache(), rescue(), route(), retry(), rewrite());
    stack!(buffer(), cache(), rescue(), route(), retry(), rewrite());
    stack!(log(), buffer(), rescue(), route(), retry(), rewrite());
    stack!(log(), buffer(), cache(), route(), retry(), rewrite());
    stack!(log(), buffer(), cache(), rescue(), retry(), rewrite());
    stack!(log(), buffer(), cache(), rescue(), route(), rewrite());
    stack!(log(), buffer(), cache(), rescue(), route(), retry());
    stack!(buffer());
}

#[expect(clippy::unwrap_used, reason = "a test that cannot read its sources should stop")]
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

// A back end knows the layer it serves; nobody else knows anybody but bodies and notes.
#[test]
fn no_layer_imports_another() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20);
    for file in files {
        let name = file.strip_prefix(&root).unwrap().with_extension("");
        let own = name.components().next().unwrap().as_os_str().to_str().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for import in line.split("crate::").skip(1) {
                let import =
                    import.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                let may = match own {
                    "memory" | "redis" => import == "cache",
                    "sqlite" => import == "log",
                    _ => false,
                };
                let ground = matches!(import, "body" | "notes" | "testing") || import == own;
                assert!(may || ground, "{} imports {import}", file.display());
            }
        }
    }
}

#[test]
fn what_everyone_gets_is_the_http_and_tower_vocabulary() {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let mandatory: Vec<_> = section
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.contains("optional = true"))
        .map(|line| line.split(['.', ' ']).next().unwrap())
        .collect();
    assert_eq!(
        mandatory,
        [
            "bytes",
            "http",
            "http-body",
            "http-body-util",
            "pin-project-lite",
            "tower-layer",
            "tower-service"
        ]
    );
}
