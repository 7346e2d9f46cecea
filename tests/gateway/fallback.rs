//! Another try, and another target: up to the first meaningful event, and never after it.

use crate::support::{Gateway, Script, Seen, Step, Upstream, config};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "x" }] })
}

/// A local upstream that fails, and a cloud that does not.
async fn pair(failing: Upstream) -> (Gateway, Upstream, Upstream) {
    let cloud = Upstream::start(&["g"], |seen: &Seen| match seen.json()["stream"] == json!(true) {
        true => Script::chunks(&["saved"]),
        false => Script::completion("saved"),
    })
    .await;
    let mut config = config(&[("ollama", "ollama", &failing), ("cloud", "openai", &cloud)]);
    config.models.fallback = vec!["cloud/g".into()];
    (Gateway::start(config).await, failing, cloud)
}

#[tokio::test]
async fn a_dead_upstream_is_tried_twice_and_then_the_next_one_answers() {
    let (gateway, _local, cloud) = pair(Upstream::nobody().await).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(false)).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "saved");
    assert_eq!(answer.header("x-unigate-attempts"), "3");
    assert_eq!(
        answer.header("x-unigate-fallback"),
        "ollama/m upstream_unavailable, ollama/m upstream_unavailable, cloud/g 200"
    );
    assert_eq!(cloud.seen()[0].json()["model"], "g");
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["ending"], "complete");
    assert_eq!((&rows[0]["fallback_used"], &rows[0]["attempts"]), (&json!(1), &json!(3)));
    assert_eq!((&rows[0]["provider"], &rows[0]["model_used"]), (&json!("cloud"), &json!("g")));
}

#[tokio::test]
async fn a_full_queue_goes_to_the_next_one_at_once() {
    let busy = Script::error(503, &json!({ "error": "server busy, please try again." }));
    let (gateway, local, _cloud) = pair(Upstream::always(&["m"], busy).await).await;
    let answer = gateway.client().post("/api/chat", &ask(true)).await;
    assert_eq!(answer.lines().last().unwrap()["done"], true);
    assert_eq!((local.seen().len(), answer.header("x-unigate-attempts")), (1, "2"));
}

#[tokio::test]
async fn our_own_limit_goes_to_the_next_one_and_its_place_is_free_again_after_the_stream() {
    let local = Upstream::always(&["m"], Script::chat(&["one"]).then(1, Step::Hang)).await;
    let cloud = Upstream::always(&["g"], Script::chunks(&["saved"])).await;
    let mut config = config(&[("ollama", "ollama", &local), ("cloud", "openai", &cloud)]);
    config.models.fallback = vec!["cloud/g".into()];
    let ollama = config.upstream.get_mut("ollama").unwrap();
    (ollama.max_in_flight, ollama.max_queued) = (1, Some(0));
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    let mut first =
        client.open(http::Method::POST, "/v1/chat/completions", ask(true).to_string()).await;
    crate::streaming::next(&mut first).await.unwrap();
    let second = client.post("/v1/chat/completions", &ask(true)).await;
    assert_eq!(second.header("x-unigate-upstream"), "cloud");
    drop(first);
    local.cut_off(1).await;
    let mut third =
        client.open(http::Method::POST, "/v1/chat/completions", ask(true).to_string()).await;
    assert_eq!(third.headers()["x-unigate-upstream"], "ollama");
    crate::streaming::next(&mut third).await.unwrap();
}

#[tokio::test]
async fn golden_80_failures_before_the_first_token_are_tried_again_in_every_form() {
    let forms: [(&str, Script); 5] = [
        ("500", Script::error(500, &json!({ "error": "oops" }))),
        ("an error in the first line", Script::lines(&[json!({ "error": "boom" })])),
        ("an empty answer", Script::lines(&[])),
        (
            "an empty start and an early end",
            Script::lines(&[
                json!({ "message": { "role": "assistant", "content": "" }, "done": false }),
            ]),
        ),
        ("a broken connection", Script::chat(&["a"]).then(0, Step::Break)),
    ];
    for (name, failure) in forms {
        let count = AtomicUsize::new(0);
        let upstream =
            Upstream::start(&["m"], move |_| match count.fetch_add(1, Ordering::SeqCst) {
                0 => failure.clone(),
                _ => Script::chat(&["fine"]),
            })
            .await;
        let gateway = Gateway::before(&upstream).await;
        let answer = gateway.client().post("/v1/chat/completions", &ask(true)).await;
        assert!(answer.text().contains("fine"), "{name}: {}", answer.text());
        assert_eq!(answer.header("x-unigate-attempts"), "2", "{name}");
    }
}

#[tokio::test]
async fn golden_80_nothing_is_tried_again_after_the_first_token() {
    let (gateway, local, cloud) =
        pair(Upstream::always(&["m"], Script::chat(&["one"]).cut(1)).await).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(true)).await;
    assert!(answer.text().contains("one") && answer.text().contains("error"));
    assert_eq!((local.seen().len(), cloud.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_said_and_not_replaced() {
    let missing = Script::error(404, &json!({ "error": "model 'm' not found" }));
    let (gateway, _local, cloud) = pair(Upstream::always(&[], missing).await).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(false)).await;
    assert_eq!(answer.status, 404);
    assert!(cloud.seen().is_empty());
}

#[tokio::test]
async fn embeddings_never_come_from_another_model() {
    let (gateway, _local, cloud) = pair(Upstream::nobody().await).await;
    let answer =
        gateway.client().post("/v1/embeddings", &json!({ "model": "m", "input": "x" })).await;
    assert_eq!(answer.status, 503);
    assert!(cloud.seen().is_empty());
}

#[tokio::test]
async fn when_all_fail_the_answer_names_every_attempt_and_asks_for_no_more() {
    let failing = Upstream::nobody().await;
    let cloud = Upstream::nobody().await;
    let mut config = config(&[("ollama", "ollama", &failing), ("cloud", "openai", &cloud)]);
    config.models.fallback = vec!["cloud/g".into()];
    let gateway = Gateway::start(config).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(false)).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-should-retry")), (503, "false"));
    let error = answer.json();
    assert_eq!(error["error"]["code"], "all_attempts_failed");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("all 4 attempts failed: ollama/m: upstream_unavailable"), "{message}");
    assert!(message.contains("cloud/g: upstream_unavailable"), "{message}");
    let rows = gateway.stop().await;
    assert_eq!(
        (&rows[0]["ending"], &rows[0]["error_code"]),
        (&json!("failed"), &json!("all_attempts_failed"))
    );
}

#[tokio::test]
async fn a_page_of_html_is_no_answer() {
    let (gateway, _local, _cloud) =
        pair(Upstream::always(&["m"], Script::new("text/html", "<html>login</html>")).await).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(false)).await;
    assert_eq!(answer.header("x-unigate-upstream"), "cloud", "{}", answer.text());
}
