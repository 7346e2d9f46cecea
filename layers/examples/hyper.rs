//! Under a hyper server and over a hyper client: a complete proxy with log, cache, route and fallback.
//!
//! `cargo run -p unigate-layers --features full --example hyper`

mod support;

use bytes::Bytes;
use http::Response;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
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

    let service = ServiceBuilder::new()
        .layer(LogLayer::new(log.clone()))
        .map_response(support::notes_to_headers)
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

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });

    support::ask_twice(address, &store).await;
    let lost = tokio::task::spawn_blocking(move || log.close(Duration::from_secs(5))).await?;
    assert_eq!(lost, 0);
    support::show_log(&path);
    Ok(())
}
