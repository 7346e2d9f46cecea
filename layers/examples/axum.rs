//! In `axum::Router::layer`: every layer on a router of one's own, with no error handler.
//!
//! `cargo run -p unigate-layers --features full --example axum`

mod support;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use std::time::Duration;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower::retry::RetryLayer;
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

    // What answers: a proxy to one of two upstreams.
    let proxy = ServiceBuilder::new()
        .layer(RescueLayer::new(answer(|error: support::ClientError| {
            let body = Bytes::from(error.to_string());
            Response::builder().status(502).body(body).unwrap_or_default()
        })))
        .layer(RouteLayer::new(sync(support::two_targets(ill, well))))
        .layer(RetryLayer::new(Fallback::new(support::On5xx)))
        .layer(RewriteLayer::new())
        .service(support::client());

    // What stands in front of it, and of any other route.
    let app = Router::new()
        .route("/health", axum::routing::get(|| async { "ok" }))
        .fallback_service(
            ServiceBuilder::new()
                .map_response(|response: Response<_>| response.map(Body::new))
                .layer(BufferLayer::new(1 << 20))
                .layer(CacheLayer::new(store.clone(), support::ByBody))
                .service(proxy),
        )
        .layer(axum::middleware::map_response(async |response: Response<Body>| {
            support::notes_to_headers(response)
        }))
        .layer(LogLayer::new(log.clone()));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    support::ask_twice(address, &store).await;
    let lost = tokio::task::spawn_blocking(move || log.close(Duration::from_secs(5))).await?;
    assert_eq!(lost, 0);
    support::show_log(&path);
    Ok(())
}
