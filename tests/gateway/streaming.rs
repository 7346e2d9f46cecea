//! The main path: token by token, and nothing runs for a client that has gone.

use crate::support::{Gateway, Script, Step, Upstream, config};
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

/// The next bytes of an answer, `None` at its end.
pub(crate) async fn next(answer: &mut Response<Incoming>) -> Option<Bytes> {
    Some(answer.body_mut().frame().await?.unwrap().into_data().unwrap_or_default())
}

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "x" }] })
}

#[tokio::test]
async fn each_token_is_passed_on_before_the_next_one_exists() {
    for (path, dialect) in [("/api/chat", "ollama"), ("/v1/chat/completions", "openai")] {
        let go = Arc::new(Notify::new());
        let mut script = Script::chat(&["one", "two"]);
        script.steps.insert(1, Step::Wait(go.clone()));
        let upstream = Upstream::always(&["m"], script).await;
        let gateway = Gateway::before(&upstream).await;
        let mut answer =
            gateway.client().open(Method::POST, path, ask("m", true).to_string()).await;
        let first = next(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&first).contains("one"), "{dialect}");
        go.notify_one();
        let mut rest = Vec::new();
        while let Some(data) = next(&mut answer).await {
            rest.extend(data);
        }
        assert!(String::from_utf8_lossy(&rest).contains("two"), "{dialect}");
    }
}

#[tokio::test]
async fn golden_10_a_client_that_leaves_mid_stream_takes_its_upstream_request_with_it() {
    for path in ["/api/chat", "/v1/chat/completions"] {
        let upstream = Upstream::always(&["m"], Script::chat(&["one"]).then(1, Step::Hang)).await;
        let gateway = Gateway::before(&upstream).await;
        let mut answer =
            gateway.client().open(Method::POST, path, ask("m", true).to_string()).await;
        next(&mut answer).await.unwrap();
        drop(answer);
        upstream.cut_off(1).await;
        let rows = gateway.stop().await;
        assert_eq!((rows.len(), &rows[0]["ending"]), (1, &json!("cancelled")), "{path}");
        assert_eq!(rows[0]["prompt_tokens"], Value::Null, "what was not counted is not zero");
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_token_takes_its_upstream_request_with_it() {
    for stream in [true, false] {
        let upstream = Upstream::always(&["m"], Script::chat(&[]).then(0, Step::Hang)).await;
        let gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        let asking =
            tokio::spawn(
                async move { client.post("/v1/chat/completions", &ask("m", stream)).await },
            );
        while upstream.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        asking.abort();
        upstream.cut_off(1).await;
        let rows = gateway.stop().await;
        assert_eq!((rows.len(), &rows[0]["ending"]), (1, &json!("cancelled")));
        assert_eq!((&rows[0]["status_code"], &rows[0]["model_used"]), (&Value::Null, &json!("m")));
        assert_eq!(
            (&rows[0]["attempts"], &rows[0]["attempts_detail"]),
            (&json!(1), &json!("ollama/m unanswered"))
        );
    }
}

#[tokio::test]
async fn golden_38_an_error_after_content_is_told_and_no_done_follows() {
    let script = Script::lines(&[
        json!({ "message": { "content": "a" }, "done": false }),
        json!({ "error": "boom" }),
    ]);
    let upstream = Upstream::always(&["m"], script).await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask("m", true)).await;
    let events = answer.events();
    assert_eq!(events.last().unwrap()["error"]["message"], "boom");
    assert!(!answer.text().contains("[DONE]"));
    let native = gateway.client().post("/api/chat", &ask("m", true)).await;
    assert_eq!(native.lines().last().unwrap()["error"], "boom");
    for row in gateway.stop().await {
        assert_eq!((&row["ending"], &row["status_code"]), (&json!("failed"), &json!(200)));
        assert_eq!(row["error_message"], "boom");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_on_an_error_did_not_cancel_anything() {
    let script = Script::lines(&[
        json!({ "message": { "content": "a" }, "done": false }),
        json!({ "error": "boom" }),
    ]);
    let upstream = Upstream::always(&["m"], script.then(2, Step::Hang)).await;
    let gateway = Gateway::before(&upstream).await;
    let mut answer = gateway
        .client()
        .open(Method::POST, "/v1/chat/completions", ask("m", true).to_string())
        .await;
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains("boom") {
        got.extend(next(&mut answer).await.unwrap());
    }
    drop(answer);
    assert_eq!(gateway.stop().await[0]["ending"], "failed");
}

#[tokio::test]
async fn golden_39_an_answer_that_stops_in_the_middle_is_no_success_in_either_dialect() {
    let upstream = Upstream::always(&["m"], Script::chat(&["a"]).cut(1)).await;
    let gateway = Gateway::before(&upstream).await;
    let openai = gateway.client().post("/v1/chat/completions", &ask("m", true)).await;
    assert!(openai.events().last().unwrap()["error"]["message"].is_string());
    assert!(!openai.text().contains("[DONE]") && !openai.text().contains("\"stop\""));
    let native = gateway.client().post("/api/chat", &ask("m", true)).await;
    assert!(native.lines().last().unwrap()["error"].is_string());
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["ending"] == "failed"), "{rows:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_told_in_either_dialect() {
    for path in ["/v1/chat/completions", "/api/chat"] {
        let go = Arc::new(Notify::new());
        let mut script = Script::chat(&["a"]).then(1, Step::Wait(go.clone()));
        script.steps.push(Step::Break);
        let upstream = Upstream::always(&["m"], script).await;
        let gateway = Gateway::before(&upstream).await;
        let mut answer =
            gateway.client().open(Method::POST, path, ask("m", true).to_string()).await;
        let mut got = next(&mut answer).await.unwrap().to_vec();
        go.notify_one();
        while let Some(data) = next(&mut answer).await {
            got.extend(data);
        }
        let text = String::from_utf8(got).unwrap();
        assert!(text.contains("\"error\"") && text.contains("broke"), "{text}");
        assert!(!text.contains("[DONE]") && !text.contains("\"done\":true"), "{text}");
        let rows = gateway.stop().await;
        assert_eq!(
            (&rows[0]["ending"], &rows[0]["error_code"]),
            (&json!("failed"), &json!("upstream_broken"))
        );
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_ended_with_an_error() {
    let upstream = Upstream::always(&["m"], Script::chat(&["a"]).then(1, Step::Hang)).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.upstream.get_mut("ollama").unwrap().idle_s = Some(0.05);
    let gateway = Gateway::start(config).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask("m", true)).await;
    let last = answer.events().pop().unwrap();
    assert_eq!(last["error"]["code"], "idle_timeout", "{last}");
    upstream.cut_off(1).await;
    assert_eq!(gateway.stop().await[0]["error_code"], "idle_timeout");
}

#[tokio::test]
async fn the_body_ends_right_after_the_terminal_even_if_the_upstream_stays() {
    let upstream = Upstream::always(&["m"], {
        let mut script = Script::chat(&["a"]);
        script.steps.push(Step::Hang);
        script
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask("m", true)).await;
    assert!(answer.whole && answer.text().ends_with("data: [DONE]\n\n"));
    let rows = gateway.stop().await;
    assert_eq!(
        (&rows[0]["ending"], &rows[0]["completion_tokens"]),
        (&json!("complete"), &json!(1))
    );
}

#[tokio::test]
async fn usage_is_logged_for_a_client_that_did_not_ask_and_hidden_from_it() {
    let upstream = Upstream::always(&["g"], Script::chunks(&["a", "b"])).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask("g", true)).await;
    assert!(!answer.text().contains("prompt_tokens"), "{}", answer.text());
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(upstream.seen()[0].json()["stream_options"]["include_usage"], true);
    let rows = gateway.stop().await;
    assert_eq!((&rows[0]["prompt_tokens"], &rows[0]["completion_tokens"]), (&json!(5), &json!(2)));
}

#[tokio::test]
async fn streams_tell_proxies_on_the_way_to_keep_their_hands_off() {
    let upstream = Upstream::always(&["m"], Script::chat(&["a"])).await;
    let gateway = Gateway::before(&upstream).await;
    for (path, kind) in
        [("/api/chat", "application/x-ndjson"), ("/v1/chat/completions", "text/event-stream")]
    {
        let answer = gateway.client().post(path, &ask("m", true)).await;
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.header("x-accel-buffering"), "no");
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
}

#[tokio::test]
async fn golden_11_minutes_before_the_first_byte_are_waited_for() {
    for path in ["/api/chat", "/v1/chat/completions"] {
        let go = Arc::new(Notify::new());
        let mut script = Script::chat(&["at last"]);
        script.steps.insert(0, Step::Wait(go.clone()));
        let upstream = Upstream::always(&["m"], script).await;
        let gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        let asking = tokio::spawn(async move { client.post(path, &ask("m", true)).await });
        while upstream.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        // The clock stands still while something blocks, and moves only as far as it is told to.
        let (done, held) = std::sync::mpsc::sync_channel::<()>(1);
        let hold = tokio::task::spawn_blocking(move || held.recv());
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(8 * 60)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!asking.is_finished(), "{path}");
        go.notify_one();
        let answer = asking.await.unwrap();
        assert!(answer.whole && answer.text().contains("at last"), "{path}: {}", answer.text());
        tokio::time::resume();
        done.send(()).unwrap();
        hold.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn golden_78_who_reads_slowly_slows_the_upstream_down() {
    const MIB: usize = 1 << 20;
    const STREAMS: usize = 8;
    const EACH: usize = 64 * MIB;
    let word = "x".repeat(MIB);
    let line = json!({ "message": { "role": "assistant", "content": word }, "done": false });
    let line = Bytes::from(format!("{line}\n"));
    let play = move |seen: &crate::support::Seen| match seen.json()["model"] == "fast" {
        true => Script::chat(&["hi"]),
        false => {
            let steps = vec![Step::Data(line.clone()); EACH / MIB];
            Script { steps, ..Script::new("application/x-ndjson", "") }
        }
    };
    let upstream = Upstream::start(&["slow", "fast"], play).await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let mut slow = Vec::new();
    for at in 0..STREAMS {
        let path = ["/api/chat", "/v1/chat/completions"][at % 2];
        let body = ask("slow", true).to_string();
        slow.push(client.open(Method::POST, path, body).await);
    }
    let other = client.with("cache-control", "no-store");
    // Nobody reads those. Others are served all the while; when nothing moves any more, this is what is held.
    let (mut before, mut still) = (0, 0);
    while still < 50 {
        let answer = other.post("/api/chat", &ask("fast", true)).await;
        assert_eq!(answer.lines().last().unwrap()["done"], true);
        let now = upstream.sent() / MIB;
        (before, still) = (now, if now == before { still + 1 } else { 0 });
    }
    let held = upstream.sent() / STREAMS;
    assert!(held < EACH / 2, "{} MiB of each stream are on their way", held / MIB);
    drop(slow);
    upstream.cut_off(STREAMS).await;
}
