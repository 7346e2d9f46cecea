//! Same dialect on both sides: the bytes pass as they are, but for the model.

use crate::support::{Client, Gateway, Script, Step, Upstream, config};
use bytes::Bytes;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Notify, mpsc},
};

#[tokio::test]
async fn golden_1_and_2_the_bytes_of_a_chat_arrive_as_they_were_sent_whatever_their_type_is_called()
{
    let upstream = Upstream::always(&["m:latest"], Script::chat(&["hi"])).await;
    let gateway = Gateway::before(&upstream).await;
    let body = "{ \"model\" :\"m\",\"x\":1,\"x\":2,\n\"big\":9223372036854775808, \"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9\"}]}";
    let client = gateway.client().with("content-type", "application/x-www-form-urlencoded");
    let answer = client.send(Method::POST, "/api/chat", body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.seen()[0].body, body);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert_eq!(answer.lines().len(), 2);
}

#[tokio::test]
async fn golden_4_only_the_model_changes_when_it_is_an_alias() {
    let upstream = Upstream::always(&["llama3.1:8b"], Script::said("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.aliases.insert("gpt-4o-mini".into(), "llama3.1:8b".into());
    let gateway = Gateway::start(config).await;
    let body = r#"{"stream":false, "messages": [{"role":"user","content":"model"}] ,"model":"gpt-4o-mini" }"#;
    let answer = gateway.client().send(Method::POST, "/api/chat", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.seen()[0].body, body.replace("gpt-4o-mini", "llama3.1:8b"));
    assert_eq!(answer.header("x-unigate-route"), "alias; why=\"gpt-4o-mini means llama3.1:8b\"");
}

#[tokio::test]
async fn golden_6_an_upload_flows_while_it_is_sent() {
    let upstream = Upstream::always(&[], Script::json(&json!({}))).await;
    let gateway = Gateway::before(&upstream).await;
    let (send, mut receive) = mpsc::channel::<Bytes>(1);
    let body = StreamBody::new(futures(move |cx| receive.poll_recv(cx)));
    let path = format!("/api/blobs/sha256:{}", "a".repeat(64));
    let tcp = tokio::net::TcpStream::connect(gateway.addr).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(&path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let answer = tokio::spawn(client.send_request(request));
    // Far more than is ever held: it can only be sent because it is taken away at the other end.
    for _ in 0..96 {
        send.send(Bytes::from(vec![b'x'; 1 << 20])).await.unwrap();
    }
    drop(send);
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    let seen = &upstream.seen()[0];
    assert_eq!((seen.path.as_str(), seen.body.len()), (path.as_str(), 96 << 20));
}

#[tokio::test]
async fn an_upload_that_is_answered_before_it_is_read_is_taken_to_its_end() {
    // An Ollama that has the blob says so at once, reads nothing, and closes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut lingering = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 512];
            let _ = stream.read(&mut head).await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            // As Go does: what it has not read stays unread for a while, so that the answer arrives.
            lingering.push(stream);
        }
    });
    let silent = Upstream::always(&[], Script::json(&json!({}))).await;
    let mut config = config(&[("ollama", "ollama", &silent)]);
    config.upstream.get_mut("ollama").unwrap().url = Some(format!("http://{addr}"));
    let gateway = Gateway::start(config).await;
    let mut client = tokio::net::TcpStream::connect(gateway.addr).await.unwrap();
    let size = 64 << 20;
    let head = format!(
        "POST /api/blobs/sha256:{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n",
        "a".repeat(64)
    );
    client.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..64 {
        client.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
    }
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn golden_7_heads_have_no_body() {
    let upstream = Upstream::always(&["m"], Script::json(&json!({}))).await;
    let gateway = Gateway::before(&upstream).await;
    for path in ["/", "/api/tags", "/api/version"] {
        let answer = gateway.client().send(Method::HEAD, path, "").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{path}");
    }
    assert_eq!(gateway.client().get("/").await.text(), "Ollama is running");
}

#[tokio::test]
async fn golden_8_a_delete_has_a_body_and_its_empty_answer_stays_empty() {
    let upstream =
        Upstream::always(&["m"], Script { steps: vec![], ..Script::new("text/plain", "") }).await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().send(Method::DELETE, "/api/delete", r#"{"model":"m"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    let seen = &upstream.seen()[0];
    assert_eq!((seen.method.as_str(), &seen.body[..]), ("DELETE", &br#"{"model":"m"}"#[..]));
}

#[tokio::test]
async fn golden_9_the_upstream_sees_its_own_host_and_no_credential_of_the_client() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway
        .client()
        .with("authorization", "Bearer client-secret")
        .with("x-api-key", "client-secret")
        .with("cookie", "a=client-secret")
        .with("origin", "http://localhost:3000");
    let body =
        json!({ "model": "m", "stream": false, "messages": [{ "role": "user", "content": "x" }] });
    assert_eq!(client.post("/api/chat", &body).await.status, 200);
    let seen = &upstream.seen()[0];
    assert_eq!(seen.headers["host"], upstream.addr.to_string());
    assert!(!format!("{:?}", seen.headers).contains("client-secret"));
    assert!(!seen.headers.contains_key("origin"));
}

#[tokio::test]
async fn each_upstream_gets_its_own_key_only() {
    let upstream = Upstream::always(&["g"], Script::completion("hi")).await;
    let mut config = config(&[("cloud", "openai", &upstream)]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-own\n").unwrap();
    let key = format!("\"file:{}\"", file.display());
    config.upstream.get_mut("cloud").unwrap().key = Some(serde_json::from_str(&key).unwrap());
    let gateway = Gateway::start(config).await;
    let body = json!({ "model": "g", "messages": [{ "role": "user", "content": "x" }] });
    let client = gateway.client().with("authorization", "Bearer client-secret");
    assert_eq!(client.post("/v1/chat/completions", &body).await.status, 200);
    assert_eq!(upstream.seen()[0].headers["authorization"], "Bearer sk-own");
}

#[tokio::test]
async fn a_clients_key_stands_in_place_of_ours_where_the_upstream_says_so() {
    let upstream = Upstream::always(&["g"], Script::completion("hi")).await;
    let mut config = config(&[("cloud", "openai", &upstream)]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "sk-own").unwrap();
    let cloud = config.upstream.get_mut("cloud").unwrap();
    cloud.key = Some(serde_json::from_str(&format!("\"file:{}\"", file.display())).unwrap());
    cloud.forward_client_key = true;
    let gateway = Gateway::start(config).await;
    let body = json!({ "model": "g", "messages": [{ "role": "user", "content": "x" }] });
    let client = gateway.client().with("cache-control", "no-store");
    client.post("/v1/chat/completions", &body).await;
    client.with("authorization", "Bearer theirs").post("/v1/chat/completions", &body).await;
    let keys: Vec<_> =
        upstream.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(keys, ["Bearer sk-own", "Bearer theirs"]);
}

#[tokio::test]
async fn golden_13_what_a_client_signs_passes_where_its_key_may_travel() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let body = r#"{"model":"m","stream":false,"messages":[{"role":"user","content":"x"}]}"#;
    for travels in [true, false] {
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.upstream.get_mut("ollama").unwrap().forward_client_key = travels;
        let gateway = Gateway::start(config).await;
        // Source: ollama api/client.go, with OLLAMA_AUTH=1: the signature is over method, path and query.
        let client = gateway.client().with("authorization", "AAAAC3Nz:c2lnbmF0dXJl");
        let path = "/api/chat?ts=1785000000";
        assert_eq!(client.send(Method::POST, path, body).await.status, 200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.path, path);
        let key = seen.headers.get("authorization").map(|key| key.to_str().unwrap());
        assert_eq!(key, travels.then_some("AAAAC3Nz:c2lnbmF0dXJl"));
    }
}

#[tokio::test]
async fn golden_15_a_busy_ollama_is_told_as_it_says_it_and_when_to_come_again() {
    // Source: ollama server/sched.go ErrMaxQueue, with its two spaces.
    let words = "server busy, please try again.  maximum pending requests exceeded";
    let busy = json!({ "error": words });
    let upstream = Upstream::always(&["m"], Script::error(503, &busy)).await;
    let gateway = Gateway::before(&upstream).await;
    for stream in [true, false] {
        let body = json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "x" }] });
        let answer = gateway.client().post("/api/chat", &body).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (503, busy.to_string()));
        let after: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
    }
}

#[tokio::test]
async fn what_nobody_knows_passes_with_its_query_to_the_default_upstream() {
    let upstream = Upstream::always(&["m"], Script::new("text/x-strange", "as it came")).await;
    let gateway = Gateway::before(&upstream).await;
    for path in ["/api/experimental/web_search?ts=1&x=%2F", "/v1/audio/speech", "/something/else"] {
        let answer = gateway.client().send(Method::POST, path, "any \x01 bytes").await;
        assert_eq!(answer.text(), "as it came", "{path}");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!((seen.path.as_str(), &seen.body[..]), (path, &b"any \x01 bytes"[..]));
    }
}

#[tokio::test]
async fn golden_12_a_frame_passes_before_its_line_is_complete() {
    let (first, second) = (
        Bytes::from_static(b"{\"message\":{\"content\":\"\xf0\x9f"),
        Bytes::from_static(b"\x98\x80\"},\"done\":true,\"done_reason\":\"stop\"}\n"),
    );
    let go = Arc::new(Notify::new());
    let steps = vec![
        Step::Data("{\"message\":{\"content\":\"a\"},\"done\":false}\n".into()),
        Step::Data(first.clone()),
        Step::Wait(go.clone()),
        Step::Data(second.clone()),
    ];
    let script = Script { steps, ..Script::new("application/x-ndjson", "") };
    let upstream = Upstream::always(&["m"], script).await;
    let gateway = Gateway::before(&upstream).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    let mut answer = gateway.client().open(Method::POST, "/api/chat", body).await;
    let mut got = Vec::new();
    while !got.ends_with(&first) {
        got.extend(crate::streaming::next(&mut answer).await.unwrap());
    }
    go.notify_one();
    while let Some(data) = crate::streaming::next(&mut answer).await {
        got.extend(data);
    }
    assert!(got.ends_with(&second));
}

#[tokio::test]
async fn http_2_without_tls_is_served_on_the_same_port() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let http: hyper_util::client::legacy::Client<_, http_body_util::Full<Bytes>> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .http2_only(true)
            .build_http();
    let uri = format!("http://{}/api/version", gateway.addr).parse().unwrap();
    let answer = http.get(uri).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    assert_eq!(Client::of(gateway.addr).get("/health").await.status, 200);
}

/// A stream of frames out of a closure; three lines instead of a dependency.
fn futures<F>(poll: F) -> impl futures_core::Stream<Item = Result<Frame<Bytes>, std::io::Error>>
where
    F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Unpin,
{
    struct Polled<F>(F);
    impl<F> futures_core::Stream for Polled<F>
    where
        F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Unpin,
    {
        type Item = Result<Frame<Bytes>, std::io::Error>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            (self.0)(cx).map(|data| data.map(|data| Ok(Frame::data(data))))
        }
    }
    Polled(poll)
}
