//! In a `tower::ServiceBuilder`, without any server: the stack is a client that routes, retries and remembers.
//!
//! `cargo run -p unigate-layers --features full --example tower`

mod support;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use tower::retry::RetryLayer;
use tower::{Service, ServiceBuilder, ServiceExt};
use unigate_layers::buffer::BufferLayer;
use unigate_layers::cache::CacheLayer;
use unigate_layers::log::LogLayer;
use unigate_layers::memory::MemoryStore;
use unigate_layers::rescue::{RescueLayer, answer};
use unigate_layers::retry::Fallback;
use unigate_layers::rewrite::RewriteLayer;
use unigate_layers::route::{RouteLayer, sync};
use unigate_layers::sqlite::{SqliteLog, SqliteOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new(1 << 20);
    let (ill, well) = (support::upstream(503).await, support::upstream(200).await);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("log.db");
    let log = SqliteLog::open(&path, SqliteOptions::default())?;

    let mut service = ServiceBuilder::new()
        .layer(LogLayer::new(log.clone()))
        .layer(BufferLayer::new(1 << 20))
        .layer(CacheLayer::new(store.clone(), support::ByBody))
        .layer(RescueLayer::new(answer(|error: support::ClientError| {
            let body = Bytes::from(error.to_string());
            Response::builder().status(502).body(body).unwrap_or_default()
        })))
        .layer(RouteLayer::new(sync(support::two_targets(ill, well))))
        .layer(RetryLayer::new(Fallback::new(support::On5xx)))
        .layer(RewriteLayer::new())
        .service(support::client());

    for expected in ["miss", "hit"] {
        let request = Request::post("/chat")
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(r#"{"model": "auto", "prompt": "hi"}"#))?;
        let response = service.ready().await?.call(request).await?;
        let (head, body) = support::notes_to_headers(response).into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        support::check(&head, &body, expected);
        support::kept(&store).await;
    }

    let lost = tokio::task::spawn_blocking(move || log.close(Duration::from_secs(5))).await?;
    assert_eq!(lost, 0);
    support::show_log(&path);
    Ok(())
}
