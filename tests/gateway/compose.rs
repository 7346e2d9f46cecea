//! Each layer of the stack left out in turn: the rest still compiles, and still answers.
//!
//! Two of them carry weight, and the compiler says so: the buffer, for those who read bodies, and the rescue, for a
//! server that knows no errors.

#![expect(clippy::unwrap_used, reason = "a test that meets a surprise should stop")]

mod parts;

use self::parts::{Parts, Web, answers, asked, stack};
use crate::support::{Client, Script, Upstream};
use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use std::fmt::Debug;
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder, ServiceExt};
use unigate::gateway;
use unigate_layers::{body::Buffered, notes::Target};

#[tokio::test]
async fn with_nothing_left_out_everything_is_there() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name access buffer decode ask cache rescue route local retry
        rewrite))
        .await;
    let answer = client.post("/api/chat", &asked("alias", false)).await;
    for header in ["x-request-id", "x-unigate-route", "x-unigate-cache", "x-unigate-attempts"] {
        assert!(answer.headers.contains_key(header), "{header}");
    }
    assert_eq!(parts.seen_last()["model"], "m");
    assert_eq!(client.get("/health").await.status, StatusCode::OK);
    let stranger = client.with("host", "evil.example").get("/api/version").await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    let failed = client.post("/api/chat", &asked("failing", false)).await;
    assert_eq!(failed.header("x-unigate-attempts"), "2");
    assert!(!parts.rows().is_empty());
}

#[tokio::test]
async fn without_log() {
    let parts = Parts::new().await;
    let client = answers(
        stack!(parts: name access buffer decode ask cache rescue route local retry rewrite),
    )
    .await;
    assert!(client.get("/health").await.headers.contains_key("x-request-id"));
    assert!(parts.rows().is_empty());
}

#[tokio::test]
async fn without_name() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log access buffer decode ask cache rescue route local retry rewrite))
            .await;
    let answer = client.post("/v1/chat/completions", &asked("m", false)).await;
    assert!(!answer.headers.contains_key("x-request-id"));
    // Nobody says which dialect it is, so nothing is translated.
    assert_eq!(parts.upstream.seen().last().unwrap().path, "/v1/chat/completions");
}

#[tokio::test]
async fn without_access() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name buffer decode ask cache rescue route local retry rewrite))
            .await;
    let stranger = client.with("host", "evil.example");
    assert_eq!(stranger.post("/api/chat", &asked("m", false)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_decode() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name access buffer ask cache rescue route local retry rewrite))
            .await;
    // Nobody can read it, so it is what it looks like.
    let answer =
        client.with("content-encoding", "zstd").post("/api/chat", &asked("m", false)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let answer = client.with("content-encoding", "zstd");
    let answer = answer.send(Method::POST, "/api/chat", &b"\x28\xb5\x2f\xfd"[..]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_ask() {
    let parts = Parts::new().await;
    let client = answers(
        stack!(parts: log name access buffer decode cache rescue route local retry rewrite),
    )
    .await;
    // Nobody says which model is asked for, so none is written.
    client.post("/api/chat", &asked("alias", false)).await;
    assert_eq!(parts.seen_last()["model"], "alias");
}

#[tokio::test]
async fn without_cache() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name access buffer decode ask rescue route local retry rewrite))
            .await;
    let before = parts.upstream.seen().len();
    for _ in 0..2 {
        let answer = client.post("/api/chat", &asked("m", false)).await;
        assert!(!answer.headers.contains_key("x-unigate-cache"));
    }
    assert_eq!(parts.upstream.seen().len(), before + 2);
}

#[tokio::test]
async fn without_route_a_pinned_target_is_where_it_goes() {
    let parts = Parts::new().await;
    let target = parts.target("m");
    let pin = move |mut request: Request<Buffered<Web>>| {
        request.extensions_mut().insert(target.clone());
        request
    };
    let below = stack!(parts: local retry rewrite);
    let stack = ServiceBuilder::new()
        .layer(parts.log())
        .layer(parts.name())
        .layer(parts.access())
        .layer(parts.buffer())
        .layer(parts.ask())
        .layer(parts.cache())
        .layer(parts.rescue())
        .map_request(pin)
        .service(below);
    let client = answers(stack).await;
    let answer = client.post("/api/chat", &asked("anything", false)).await;
    assert!(!answer.headers.contains_key("x-unigate-route"));
    assert_eq!(parts.seen_last()["model"], "m");
}

#[tokio::test]
async fn without_route_and_without_a_target_it_goes_to_the_default_upstream() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name access buffer decode ask cache rescue local retry rewrite))
            .await;
    let answer = client.post("/api/chat", &asked("m", false)).await;
    assert_eq!(answer.header("x-unigate-upstream"), "ollama");
}

#[tokio::test]
async fn without_local() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name access buffer decode ask cache rescue route retry rewrite))
            .await;
    // What the gateway would answer itself has nobody to answer it.
    assert_eq!(client.get("/health").await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn without_retry() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name access buffer decode ask cache rescue route local rewrite))
            .await;
    let before = parts.upstream.seen().len();
    let answer = client.post("/api/chat", &asked("failing", false)).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.headers.contains_key("x-unigate-attempts"));
    assert_eq!(parts.upstream.seen().len(), before + 1);
}

#[tokio::test]
async fn without_rewrite() {
    let parts = Parts::new().await;
    let client =
        answers(stack!(parts: log name access buffer decode ask cache rescue route local retry))
            .await;
    // The leaf knows its addresses; the model stays as it came.
    client.post("/api/chat", &asked("alias", false)).await;
    assert_eq!(parts.seen_last()["model"], "alias");
}

#[tokio::test]
async fn with_the_load_bearing_ones_alone() {
    let parts = Parts::new().await;
    answers(stack!(parts: buffer rescue)).await;
}

#[tokio::test]
async fn the_leaf_alone_is_a_working_proxy() {
    let parts = Parts::new().await;
    let body = asked("m", true).to_string();
    for whole in [true, false] {
        let bytes = Bytes::from(body.clone());
        let body = if whole { Buffered::whole(bytes) } else { Buffered::streaming(bytes.into()) };
        let request: Request<Buffered<Full<Bytes>>> =
            Request::post("/api/chat?x=1").body(body).unwrap();
        let answer = parts.upstreams().oneshot(request).await.unwrap();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(text.ends_with(b"\"prompt_eval_count\":3}\n"), "{text:?}");
    }
    for seen in parts.upstream.seen() {
        assert_eq!((seen.path.as_str(), &seen.body[..]), ("/api/chat?x=1", body.as_bytes()));
    }
}

#[tokio::test]
async fn the_leaf_alone_does_not_go_where_the_request_says() {
    let parts = Parts::new().await;
    let elsewhere = Upstream::always(&[], Script::said("caught")).await;
    let address = format!("http://{}/api/chat", elsewhere.addr);
    let request = Request::post(address).header("host", "evil.example");
    let body: Buffered<Full<Bytes>> = Buffered::whole(asked("m", false).to_string().into());
    let answer = parts.upstreams().oneshot(request.body(body).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(elsewhere.seen().is_empty());
    let seen = parts.upstream.seen();
    assert_eq!(seen[0].headers["host"], parts.upstream.addr.to_string());
}

/// Over the leaf, without a server; what a layer's service must be in anybody's house.
async fn alone<S, R>(service: S)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: Debug,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Debug,
{
    let body = asked("m", false).to_string();
    let request = Request::post("/api/chat").header("content-type", "application/json");
    let answer = service.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("fine"), "{text:?}");
}

#[tokio::test]
async fn each_layer_stands_alone_over_the_leaf_and_is_clone_send_and_sync() {
    let parts = Parts::new().await;
    // The leaf takes what a buffer gives; that much stands below each.
    alone(stack!(parts: buffer)).await;
    alone(stack!(parts: log buffer)).await;
    alone(stack!(parts: name buffer)).await;
    alone(stack!(parts: access buffer)).await;
    alone(stack!(parts: buffer decode)).await;
    alone(stack!(parts: buffer ask)).await;
    alone(stack!(parts: buffer cache)).await;
    alone(stack!(parts: buffer rescue)).await;
    alone(stack!(parts: buffer route)).await;
    alone(stack!(parts: buffer local)).await;
    alone(stack!(parts: buffer retry)).await;
    alone(stack!(parts: buffer rewrite)).await;
    assert_eq!(parts.rows().len(), 1);
}

#[tokio::test]
async fn a_router_without_the_gateways_leaf_decides_all_the_same() {
    let parts = Parts::new().await;
    let inner = tower::service_fn(|request: Request<Buffered<Full<Bytes>>>| async move {
        let target = Target::of(&request).map(ToString::to_string);
        let body = request.body().bytes().cloned().unwrap_or_default();
        Ok::<_, std::convert::Infallible>(Response::new(Full::from(format!("{target:?} {body:?}"))))
    });
    let stack = ServiceBuilder::new()
        .layer(parts.name())
        .layer(parts.buffer())
        .layer(parts.ask())
        .layer(parts.route())
        .layer(parts.rewrite())
        .service(inner);
    let request = Request::post("/api/chat").header("content-type", "application/json");
    let body = r#"{"model":"alias","x":1}"#;
    let answer = stack.oneshot(request.body(Full::from(body)).unwrap()).await.unwrap();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, r#"Some("ollama/m") b"{\"model\":\"m\",\"x\":1}""#);
}

#[tokio::test]
async fn an_axum_router_takes_the_whole_gateway() {
    let parts = Parts::new().await;
    let gateway = gateway::build::<Body>(&parts.config, &parts.resources()).unwrap();
    let app = Router::new()
        .route("/mine", get(|| async { "mine" }))
        .fallback_service(gateway.map_response(|answer| answer.map(Body::new)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::of(listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(client.get("/mine").await.text(), "mine");
    let answer = client.post("/v1/chat/completions", &asked("alias", false)).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "fine");
    assert_eq!(answer.header("x-unigate-route"), "alias; why=\"alias means m\"");
    let answer = client.post("/api/chat", &asked("m", true)).await;
    assert_eq!(answer.lines().last().unwrap()["done"], json!(true));
}

#[tokio::test]
async fn an_axum_router_takes_the_layers_over_a_chat_of_its_own() {
    let parts = Parts::new().await;
    let mine = Script::said("fine");
    let mine = move || async move { format!("{:?}", mine.status) };
    let app = Router::new().route("/api/chat", axum::routing::post(mine)).layer(
        ServiceBuilder::new()
            .layer(parts.log())
            .layer(parts.name())
            .layer(parts.access())
            .layer(parts.buffer())
            .layer(parts.ask())
            .layer(parts.cache()),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::of(listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let answer = client.with("content-type", "application/json");
    let answer = answer.post("/api/chat", &asked("m", false)).await;
    assert_eq!((answer.text().as_str(), answer.header("x-unigate-cache")), ("200", "MISS"));
    let answer = client.with("content-type", "application/json");
    let answer = answer.post("/api/chat", &json!({ "model": 5 })).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}
