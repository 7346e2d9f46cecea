//! Who may come in: host, origin, key, method, and what a client may manage.

use super::{all_failed, ask, refusal};
use crate::support::{Gateway, Script, Upstream, config, secret};
use http::Method;
use serde_json::json;

async fn ollama() -> Upstream {
    Upstream::always(&["m"], Script::said("hi")).await
}

#[tokio::test]
async fn a_foreign_host_is_refused_in_both_dialects() {
    let upstream = ollama().await;
    let gateway = Gateway::before(&upstream).await;
    let foreign = gateway.client().with("host", "evil.example.com");
    for path in ["/api/chat", "/v1/chat/completions", "/unigate/x", "/health"] {
        let (status, message, _) = refusal(path, &foreign.post(path, &ask(false)).await);
        assert_eq!(status, 403, "{path}");
        assert!(message.contains("evil.example.com"), "{message}");
        assert!(message.contains("server.allowed_hosts"), "it says what to do: {message}");
    }
    assert!(upstream.seen().is_empty());
    all_failed(gateway, &[403; 4]).await;
}

#[tokio::test]
async fn local_and_allowed_hosts_come_in() {
    let upstream = ollama().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.allowed_hosts = vec!["chat.example.com".into()];
    let gateway = Gateway::start(config).await;
    for host in ["localhost:11435", "127.0.0.1", "[::1]:1", "chat.example.com", "gpu.local:80"] {
        let answer = gateway.client().with("host", host).post("/api/chat", &ask(false)).await;
        assert_eq!(answer.status, 200, "{host}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_refused_and_may_not_read_why() {
    let upstream = ollama().await;
    let gateway = Gateway::before(&upstream).await;
    let page = gateway.client().with("origin", "https://evil.example.com");
    for path in ["/api/chat", "/v1/chat/completions"] {
        let answer = page.post(path, &ask(false)).await;
        let (status, message, _) = refusal(path, &answer);
        assert_eq!(status, 403, "{path}");
        assert!(message.contains("server.allowed_origins"), "{message}");
        assert!(cors(&answer.headers).is_empty(), "{:?}", answer.headers);
        let asking = page.with("access-control-request-method", "POST");
        let preflight = asking.send(Method::OPTIONS, path, "").await;
        assert_eq!(preflight.status, 403);
        assert!(cors(&preflight.headers).is_empty(), "{:?}", preflight.headers);
    }
    assert!(upstream.seen().is_empty());
    all_failed(gateway, &[403; 4]).await;
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read() {
    let upstream = ollama().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.allowed_origins = vec!["https://chat.example.com".into()];
    let gateway = Gateway::start(config).await;
    for origin in ["https://chat.example.com", "http://localhost:3000"] {
        let page = gateway.client().with("origin", origin);
        let preflight = page
            .with("access-control-request-method", "POST")
            .with("access-control-request-headers", "authorization,x-stainless-lang")
            .send(Method::OPTIONS, "/v1/chat/completions", "")
            .await;
        assert_eq!((preflight.status.as_u16(), preflight.body.len()), (204, 0));
        assert_eq!(preflight.header("access-control-allow-origin"), origin);
        let headers = preflight.header("access-control-allow-headers");
        assert_eq!(headers, "authorization,x-stainless-lang");
        assert!(preflight.header("access-control-allow-methods").contains("POST"));
        assert!(preflight.header("vary").contains("Origin"));

        let answer = page.post("/v1/chat/completions", &ask(false)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        let exposed = answer.header("access-control-expose-headers");
        for name in ["x-request-id", "x-unigate-route", "x-unigate-cache", "retry-after"] {
            assert!(exposed.contains(name), "{exposed}");
        }
        // What went wrong may be read as well.
        let wrong = page.send(Method::POST, "/v1/chat/completions", "{").await;
        assert_eq!((wrong.status.as_u16(), cors(&wrong.headers).len()), (400, 2));
    }
    assert_eq!(upstream.seen().len(), 1, "the second page got the first one's answer");
}

#[tokio::test]
async fn golden_14_a_wrong_or_missing_key_is_401_for_openai_and_403_for_ollama() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = ollama().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.keys = vec![secret(&folder, "key", "sesame")];
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    for (path, expected) in [("/v1/chat/completions", 401), ("/api/chat", 403)] {
        for stranger in [client.clone(), client.with("authorization", "Bearer sesam")] {
            let (status, message, code) = refusal(path, &stranger.post(path, &ask(false)).await);
            assert_eq!(status, expected, "{path}");
            assert!(message.contains("key"), "{message}");
            assert!(code.is_empty() || code == "invalid_api_key", "{code}");
        }
        let friend = client.with("authorization", "Bearer sesame");
        assert_eq!(friend.post(path, &ask(false)).await.status, 200, "{path}");
    }
    let message = client.post("/v1/chat/completions", &ask(false)).await.text();
    assert!(message.contains("Authorization: Bearer"), "it says what to do: {message}");
    assert_eq!(client.get("/health").await.status, 200, "who watches over us needs no key");
    let rows = gateway.stop().await;
    let who: Vec<_> = rows.iter().map(|row| row["key_id"].is_string()).collect();
    assert_eq!(who, [false, false, true, false, false, true, false, false]);
}

#[tokio::test]
async fn models_are_not_managed_where_that_is_not_allowed() {
    let upstream = ollama().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.allow_manage = Some(false);
    let gateway = Gateway::start(config).await;
    let blob = format!("/api/blobs/sha256:{}", "a".repeat(64));
    let body = json!({ "model": "m" }).to_string();
    let routes = [
        (Method::POST, "/api/pull"),
        (Method::POST, "/api/push"),
        (Method::POST, "/api/create"),
        (Method::POST, "/api/copy"),
        (Method::DELETE, "/api/delete"),
        (Method::POST, blob.as_str()),
    ];
    for (method, path) in &routes {
        let answer = gateway.client().send(method.clone(), path, body.clone()).await;
        let (status, message, _) = refusal(path, &answer);
        assert_eq!(status, 403, "{path}");
        assert!(message.contains("server.allow_manage"), "{message}");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.client().post("/api/chat", &ask(false)).await.status, 200);
    let rows = gateway.stop().await;
    assert_eq!(rows.iter().filter(|row| row["ending"] == "failed").count(), routes.len());
}

#[tokio::test]
async fn our_own_paths_take_get_only_and_end_where_they_end() {
    let upstream = ollama().await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    for path in ["/health", "/livez", "/readyz", "/unigate/x"] {
        let (status, message, _) = refusal(path, &client.post(path, &json!({})).await);
        assert_eq!(status, 405, "{path}");
        assert!(message.contains("GET"), "{message}");
    }
    for path in ["/unigate/nothing", "/unigate/", "/unigate"] {
        let (status, message, _) = refusal(path, &client.get(path).await);
        assert_eq!(status, 404, "{path}");
        assert!(message.contains("/health"), "it says what there is: {message}");
    }
    assert!(upstream.seen().is_empty(), "our own paths are never the upstream's");
    all_failed(gateway, &[405, 405, 405, 405, 404, 404, 404]).await;
}

/// The headers by which a page may read an answer.
fn cors(headers: &http::HeaderMap) -> Vec<&str> {
    let names = headers.keys().map(http::HeaderName::as_str);
    names.filter(|name| name.starts_with("access-control-")).collect()
}
