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
async fn a_stream_that_outlasts_the_drain_is_cut_and_its_row_says_so() {
    for path in ["/api/chat", "/v1/chat/completions"] {
        let upstream = Upstream::always(&["m"], Script::chat(&["one"]).then(1, Step::Hang)).await;
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.server.drain_s = 1;
        let gateway = Gateway::start(config).await;
        let mut answer = gateway.client().open(Method::POST, path, ask().to_string()).await;
        next(&mut answer).await.unwrap();
        let rows = timeout(SOON, gateway.stop()).await.expect("it does not wait for ever");
        let seen = (rows.len(), &rows[0]["ending"], &rows[0]["status_code"]);
        assert_eq!(seen, (1, &json!("cancelled"), &json!(200)), "{path}");
        assert_eq!(rows[0]["error_code"], "gateway_stopped", "it was not the client");
        upstream.cut_off(1).await;
        // The client sees that it was cut: no end of the body, no terminal.
        let end = answer_end(&mut answer).await;
        assert!(end.is_err(), "{path}: {end:?}");
    }
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

/// Reads to the end, which may be none.
async fn answer_end(answer: &mut http::Response<hyper::body::Incoming>) -> hyper::Result<()> {
    use http_body_util::BodyExt;
    while let Some(frame) = answer.body_mut().frame().await {
        frame?;
    }
    Ok(())
}
