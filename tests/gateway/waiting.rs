//! What clients see while they wait: for a place, and for a stream to begin.

use crate::support::{Gateway, Script, Step, Upstream, config};
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "max_tokens": 9, "prompt": "x", "input": "x",
        "messages": [{ "role": "user", "content": "x" }] })
}

/// Says one word, and the rest when told.
fn halting(go_on: &Arc<Notify>) -> Script {
    let mut script = Script::chat(&["one", "two"]);
    script.steps.insert(1, Step::Wait(go_on.clone()));
    script
}

#[tokio::test]
async fn who_waits_for_a_place_is_told_which_it_was_and_how_long_it_took() {
    let go_on = Arc::new(Notify::new());
    let upstream = Upstream::always(&["m"], halting(&go_on)).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.cache.store = "off".into();
    config.upstream.get_mut("ollama").unwrap().max_in_flight = 1;
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    let mut first = client.open(Method::POST, "/api/chat", ask(true).to_string()).await;
    assert!(!first.headers().contains_key("x-unigate-queue"), "it did not wait");
    crate::streaming::next(&mut first).await.unwrap();
    let later = gateway.client();
    let second = tokio::spawn(async move {
        later.open(Method::POST, "/v1/chat/completions", ask(true).to_string()).await
    });
    // Both are let go on: the second only has a place when the first is over.
    go_on.notify_one();
    first.into_body().collect().await.unwrap();
    let second = second.await.unwrap();
    // It may have come after all, when the place was free again.
    if let Some(queue) = second.headers().get("x-unigate-queue") {
        assert!(queue.to_str().unwrap().starts_with("1; waited="), "{queue:?}");
    }
    go_on.notify_one();
    let body = second.into_body().collect().await.unwrap().to_bytes();
    assert!(body.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_refusal_says_when_to_come_again_and_by_what_that_is_judged() {
    let upstream = Upstream::always(&["m"], Script::chat(&["one"]).then(1, Step::Hang)).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    let ollama = config.upstream.get_mut("ollama").unwrap();
    (ollama.max_in_flight, ollama.max_queued) = (1, Some(0));
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    let mut first = client.open(Method::POST, "/api/chat", ask(true).to_string()).await;
    crate::streaming::next(&mut first).await.unwrap();
    let refused = client.post("/v1/chat/completions", &ask(false)).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    let said = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        said.contains("which is the limit") && said.contains("how long answers take"),
        "{said}"
    );
    drop(first);
}

#[tokio::test]
async fn who_waits_too_long_in_the_queue_goes_to_the_fallback() {
    let local = Upstream::always(&["m"], Script::chat(&["one"]).then(1, Step::Hang)).await;
    let cloud = Upstream::always(&["g"], Script::chunks(&["saved"])).await;
    let mut config = config(&[("ollama", "ollama", &local), ("cloud", "openai", &cloud)]);
    config.models.fallback = vec!["cloud/g".into()];
    let ollama = config.upstream.get_mut("ollama").unwrap();
    (ollama.max_in_flight, ollama.queue_s) = (1, Some(0.1));
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    let mut first = client.open(Method::POST, "/api/chat", ask(true).to_string()).await;
    crate::streaming::next(&mut first).await.unwrap();
    let second = client.post("/v1/chat/completions", &ask(true)).await;
    assert_eq!(second.header("x-unigate-upstream"), "cloud");
    let queue = second.header("x-unigate-queue").to_owned();
    let waited: u64 = queue.strip_prefix("1; waited=").unwrap().parse().unwrap();
    assert!((100..5_000).contains(&waited), "{queue}");
}

/// Before this upstream, with signs of life after a tenth of a second.
async fn beating(upstreams: &[(&str, &str, &Upstream)]) -> Gateway {
    let mut config = config(upstreams);
    config.server.heartbeat_s = 0.1;
    config.models.fallback = vec!["cloud/g".into()];
    if upstreams.len() == 1 {
        config.models.fallback.clear();
    }
    Gateway::start(config).await
}

#[tokio::test]
async fn who_waits_for_a_stream_gets_signs_of_life_in_his_dialect_and_then_the_stream() {
    for (path, sign, end) in [
        ("/v1/chat/completions", ": keep-alive\n\n", "data: [DONE]\n\n"),
        ("/v1/messages", "event: ping\ndata: {\"type\":\"ping\"}\n\n", "message_stop\"}\n\n"),
        ("/v1/responses", ": keep-alive\n\n", "\n\n"),
        ("/api/chat", "\"content\":\"\"},\"done\":false}\n", "}\n"),
    ] {
        let go_on = Arc::new(Notify::new());
        let mut script = Script::chat(&["one"]);
        script.steps.insert(0, Step::Wait(go_on.clone()));
        let upstream = Upstream::always(&["m"], script).await;
        let gateway = beating(&[("ollama", "ollama", &upstream)]).await;
        let client = gateway.client();
        let mut answer = client.open(Method::POST, path, ask(true).to_string()).await;
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let streams =
            if path == "/api/chat" { "application/x-ndjson" } else { "text/event-stream" };
        assert_eq!(kind, streams, "{path}");
        for _ in 0..2 {
            let piece = crate::streaming::next(&mut answer).await.unwrap();
            let piece = String::from_utf8_lossy(&piece).into_owned();
            assert!(piece.ends_with(sign), "{path}: {piece}");
        }
        go_on.notify_one();
        let rest = answer.into_body().collect().await.unwrap().to_bytes();
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(rest.contains("one") && rest.ends_with(end), "{path}: {rest}");
        // What is kept has no signs in it.
        let kept = client.post(path, &ask(true)).await;
        if kept.header("x-unigate-cache") == "HIT" {
            assert!(!kept.text().contains("keep-alive") && !kept.text().contains("ping"), "{path}");
        }
        let rows = gateway.stop().await;
        assert_eq!(
            (&rows[0]["ending"], &rows[0]["status_code"]),
            (&json!("complete"), &json!(200)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_fallback_stays_possible_behind_signs_of_life() {
    let go_on = Arc::new(Notify::new());
    let mut script = Script::chat(&["one"]).cut(0);
    script.steps.push(Step::Wait(go_on.clone()));
    script.steps.push(Step::Break);
    let local = Upstream::always(&["m"], script).await;
    let cloud = Upstream::always(&["g"], Script::chunks(&["saved"])).await;
    let upstreams = [("ollama", "ollama", &local), ("cloud", "openai", &cloud)];
    let gateway = beating(&upstreams).await;
    let client = gateway.client();
    let mut answer = client.open(Method::POST, "/v1/chat/completions", ask(true).to_string()).await;
    crate::streaming::next(&mut answer).await.unwrap();
    go_on.notify_one();
    go_on.notify_waiters();
    let release = tokio::spawn(async move {
        loop {
            go_on.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let rest = answer.into_body().collect().await.unwrap().to_bytes();
    release.abort();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("saved") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
}

#[tokio::test]
async fn a_failure_behind_signs_of_life_is_told_in_the_stream_and_in_the_log() {
    for path in ["/v1/chat/completions", "/v1/messages", "/api/chat"] {
        let upstream = Upstream::always(&["m"], Script::chat(&["one"]).then(0, Step::Hang)).await;
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.server.heartbeat_s = 0.05;
        config.retry.tries = 1;
        config.upstream.get_mut("ollama").unwrap().first_byte_s = Some(0.3);
        let gateway = Gateway::start(config).await;
        let answer = gateway.client().post(path, &ask(true)).await;
        let text = answer.text();
        assert_eq!(answer.status, 200, "{path}: {text}");
        assert!(text.contains("\"error\"") && text.contains("no answer from ollama"), "{text}");
        assert!(!text.contains("[DONE]") && !text.contains("\"done\":true"), "{text}");
        let rows = gateway.stop().await;
        let row = &rows[0];
        assert_eq!(
            (&row["ending"], &row["status_code"], &row["error_code"]),
            (&json!("failed"), &json!(200), &json!("first_byte_timeout")),
            "{path}"
        );
    }
}
