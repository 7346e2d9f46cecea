//! A cache that understands chats, before a service of one's own: `axum::Router::layer`.
//!
//! Two bodies that mean the same are one question, and one kept answer serves who wants a stream and who does not.
//! `cargo run --example axum_chat_cache`

mod support;

use axum::{Router, routing::post};
use serde_json::{Value, json};
use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering::Relaxed};
use std::time::Duration;
use support::{Failure, chat, client, completion, say, text};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use unigate::{
    cache::ChatKey,
    front::{AskLayer, NameLayer},
};
use unigate_layers::{buffer::BufferLayer, cache::CacheLayer, memory::MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let store = MemoryStore::new(1 << 20);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let model = move |body: String| async move {
        count.fetch_add(1, Relaxed);
        let asked: Value = serde_json::from_str(&body).unwrap_or_default();
        ([("content-type", "application/json")], completion(&asked).to_string())
    };
    let app = Router::new().route("/v1/chat/completions", post(model)).layer(
        ServiceBuilder::new()
            // Which dialect, which operation; signs the answer.
            .layer(NameLayer)
            .layer(BufferLayer::new(1 << 20))
            // Which model, streamed or not; refuses what is no chat.
            .layer(AskLayer)
            .layer(CacheLayer::new(store.clone(), ChatKey::new(Duration::from_secs(60)))),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let hi = json!([{ "role": "user", "content": "hi" }]);
    for (body, status, cache) in [
        (json!({ "model": "m", "messages": hi }), 200, "MISS"),
        (json!({ "user": "me", "messages": hi, "model": "m:latest" }), 200, "HIT"),
        (json!({ "model": "m", "stream": true, "messages": hi }), 200, "HIT"),
        (json!({ "model": 5 }), 400, "-"),
    ] {
        let mut request = chat(&address, &body)?;
        request.headers_mut().insert("cache-control", "max-age=60".parse()?);
        let (head, body) = client().request(request).await?.into_parts();
        let seen = head.headers.get("x-unigate-cache").map_or(Ok("-"), |seen| seen.to_str())?;
        say(&format!("{} {seen}: {}", head.status, text(body).await?.trim_end()));
        assert_eq!((head.status.as_u16(), seen), (status, cache));
        // An answer is kept beside the client's path, a moment after it was given.
        let kept = async {
            while store.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                store.settle();
            }
        };
        tokio::time::timeout(Duration::from_secs(5), kept).await?;
    }
    assert_eq!(asked.load(Relaxed), 1);
    Ok(())
}
