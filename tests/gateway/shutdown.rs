//! The way to stop: what runs is let finish, what does not end is cut, and nothing else holds it up.

pub(crate) mod program;
mod reload;

use crate::{
    streaming::next,
    support::{Gateway, Script, Step, Upstream, config},
};
use http::Method;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Notify, time::timeout};

/// Far more than a stop may take that waits for nothing, and less than the time to drain.
const SOON: Duration = Duration::from_secs(10);

fn ask() -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "stream": true })
}

/// Two words, the second when the test says so.
async fn slow() -> (Upstream, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let mut script = Script::chat(&["one", "two"]);
    script.steps.insert(1, Step::Wait(go.clone()));
    (Upstream::always(&["m"], script).await, go)
}

#[tokio::test]
async fn a_stream_that_runs_is_finished_while_nobody_new_is_let_in() {
    for (path, terminal) in
        [("/api/chat", "\"done\":true"), ("/v1/chat/completions", "data: [DONE]\n\n")]
    {
        let (upstream, go) = slow().await;
        let mut gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        let mut answer = client.open(Method::POST, path, ask().to_string()).await;
        next(&mut answer).await.unwrap();
        gateway.begin_stop();
        let closed = async {
            while TcpStream::connect(gateway.addr).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, closed).await.expect("the listener is closed while a stream runs");
        go.notify_one();
        let mut rest = Vec::new();
        while let Some(data) = next(&mut answer).await {
            rest.extend(data);
        }
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.contains("two") && rest.contains(terminal), "{path}: {rest}");
        let rows = timeout(SOON, gateway.stop()).await.expect("then it stops");
        assert_eq!((rows.len(), &rows[0]["ending"]), (1, &json!("complete")), "{path}");
    }
}

#[tokio::test]
async fn an_unstreamed_answer_that_is_under_way_is_finished_too() {
    let go = Arc::new(Notify::new());
    let mut script = Script::said("late");
    script.steps.insert(0, Step::Wait(go.clone()));
    let upstream = Upstream::always(&["m"], script).await;
    let mut gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let mut body = ask();
    body["stream"] = false.into();
    let asking = tokio::spawn(async move { client.post("/v1/chat/completions", &body).await });
    while upstream.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.begin_stop();
    tokio::task::yield_now().await;
    go.notify_one();
    let answer = asking.await.unwrap();
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "late");
    assert_eq!(timeout(SOON, gateway.stop()).await.unwrap()[0]["ending"], "complete");
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_is_told_so_and_its_row_says_it() {
    for (path, words, terminal) in [
        ("/api/chat", "{\"error\":\"the gateway is being stopped", "\"done\":true"),
        ("/v1/chat/completions", "gateway_stopped", "[DONE]"),
    ] {
        let upstream = Upstream::always(&["m"], Script::chat(&["one"]).then(1, Step::Hang)).await;
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.server.drain_s = 1;
        let gateway = Gateway::start(config).await;
        let mut answer = gateway.client().open(Method::POST, path, ask().to_string()).await;
        next(&mut answer).await.unwrap();
        let rows = timeout(SOON, gateway.stop()).await.expect("it does not wait for ever");
        let seen = (rows.len(), &rows[0]["ending"], &rows[0]["status_code"]);
        assert_eq!(seen, (1, &json!("failed"), &json!(200)), "{path}");
        assert_eq!(rows[0]["error_code"], "gateway_stopped", "it was not the client");
        upstream.cut_off(1).await;
        let mut rest = Vec::new();
        while let Some(data) = next(&mut answer).await {
            rest.extend(data);
        }
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.contains(words) && !rest.contains(terminal), "{path}: {rest}");
    }
}

#[tokio::test]
async fn a_request_that_has_no_head_when_the_drain_is_over_is_refused_in_words() {
    let mut script = Script::said("late");
    script.steps.insert(0, Step::Hang);
    let upstream = Upstream::always(&["m"], script).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.drain_s = 1;
    let mut gateway = Gateway::start(config).await;
    let client = gateway.client();
    let mut body = ask();
    body["stream"] = false.into();
    let asking = tokio::spawn(async move { client.post("/v1/chat/completions", &body).await });
    while upstream.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.begin_stop();
    let answer = asking.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.json()["error"]["code"], "gateway_stopped", "{}", answer.text());
    let rows = timeout(SOON, gateway.stop()).await.unwrap();
    assert_eq!((&rows[0]["ending"], &rows[0]["status_code"]), (&json!("failed"), &json!(503)));
}

#[tokio::test]
async fn it_says_that_it_stops_before_it_lets_nobody_in_any_more() {
    let (upstream, _) = slow().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.drain_delay_s = 1;
    let mut gateway = Gateway::start(config).await;
    let client = gateway.client();
    assert_eq!(client.get("/readyz").await.status, 200);
    gateway.begin_stop();
    let ready = loop {
        // Always a connection of its own, as a load balancer's.
        let ready = gateway.client().get("/readyz").await;
        if ready.status != 200 {
            break ready;
        }
    };
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (503, &json!("stopping")));
    assert_eq!(gateway.client().get("/livez").await.status, 200, "it lives all the same");
    timeout(SOON, gateway.stopped()).await.expect("then it stops");
}

#[tokio::test]
async fn connections_without_a_request_do_not_hold_it_up() {
    let (upstream, _) = slow().await;
    let mut gateway = Gateway::before(&upstream).await;
    // One that was used and is kept alive, one that never said a byte.
    let client = gateway.client();
    assert_eq!(client.get("/health").await.status, 200);
    let silent = TcpStream::connect(gateway.addr).await.unwrap();
    let mut kept = TcpStream::connect(gateway.addr).await.unwrap();
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    kept.readable().await.unwrap();
    gateway.begin_stop();
    timeout(SOON, gateway.stopped()).await.expect("idle connections are closed at once");
    drop((client, silent, kept));
}

#[tokio::test]
async fn a_connection_in_the_middle_of_a_head_is_cut_after_the_drain() {
    let (upstream, _) = slow().await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.drain_s = 1;
    let mut gateway = Gateway::start(config).await;
    let mut half = TcpStream::connect(gateway.addr).await.unwrap();
    half.write_all(b"GET /health HTTP/1.1\r\nhost: local").await.unwrap();
    assert_eq!(gateway.client().get("/health").await.status, 200);
    gateway.begin_stop();
    timeout(SOON, gateway.stopped()).await.expect("half a head is nobody's request");
}
