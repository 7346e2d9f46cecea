//! Several answers to one request where the upstream gives one at a time: as many requests, told as one answer.

use crate::support::{Gateway, Script, Seen, Step, Upstream, config};
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

fn ask(n: usize, stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "n": n, "seed": 5, "temperature": 0.5,
        "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "x" }] })
}

fn seed(seen: &Seen) -> i64 {
    seen.json()["options"]["seed"].as_i64().unwrap()
}

/// Says its own seed, in two words.
fn told(seen: &Seen) -> Script {
    let word = format!("s{}", seed(seen));
    match seen.json()["stream"] == json!(true) {
        true => Script::chat(&[&word, "!"]),
        false => Script::said(&word),
    }
}

/// The text of each choice, in order.
fn texts(events: &[Value]) -> Vec<String> {
    let mut texts = Vec::new();
    for choice in events.iter().filter_map(|event| event["choices"].get(0)) {
        let index = choice["index"].as_u64().unwrap() as usize;
        texts.resize(texts.len().max(index + 1), String::new());
        texts[index].push_str(choice["delta"]["content"].as_str().unwrap_or(""));
    }
    texts
}

#[tokio::test]
async fn a_whole_answer_has_every_choice_and_the_tokens_of_them_all() {
    let upstream = Upstream::start(&["m"], told).await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(3, false)).await.json();
    let choices = answer["choices"].as_array().unwrap();
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], index);
        assert_eq!(choice["message"]["content"], format!("s{}", 5 + index));
        assert_eq!(choice["finish_reason"], "stop");
    }
    assert_eq!(choices.len(), 3);
    let usage = json!({ "prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9 });
    assert_eq!((&answer["usage"], &answer["object"]), (&usage, &json!("chat.completion")));
    let mut seeds: Vec<i64> = upstream.seen().iter().map(seed).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [5, 6, 7]);
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["completion_tokens"], &rows[0]["attempts"]), (&json!(6), &json!(1)));
}

#[tokio::test]
async fn a_stream_has_every_choice_beginning_with_the_first_and_one_end() {
    let upstream = Upstream::start(&["m"], told).await;
    let gateway = Gateway::before(&upstream).await;
    let events = gateway.client().post("/v1/chat/completions", &ask(3, true)).await.events();
    assert_eq!(events[0]["choices"][0]["index"], 0);
    assert_eq!(texts(&events), ["s5!", "s6!", "s7!"]);
    let count = |what: &dyn Fn(&Value) -> bool| events.iter().filter(|event| what(event)).count();
    assert_eq!(count(&|event| event["choices"][0]["delta"]["role"] == "assistant"), 3);
    assert_eq!(count(&|event| event["choices"][0]["finish_reason"] == "stop"), 3);
    assert_eq!(count(&|event| event["usage"].is_object()), 1);
    assert_eq!(count(&|event| *event == "[DONE]"), 1);
    let usage = &events[events.len() - 2]["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(3), &json!(6)));
    let ids: std::collections::BTreeSet<_> =
        events.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(ids.len(), 1, "one answer has one id");
    let rows = gateway.stop().await;
    assert_eq!((rows.len(), &rows[0]["completion_tokens"]), (1, &json!(6)));
}

#[tokio::test]
async fn an_upstream_with_one_place_gives_one_answer_after_the_other() {
    let go_on = Arc::new(Notify::new());
    let wait = go_on.clone();
    let upstream = Upstream::start(&["m"], move |seen| match seed(seen) {
        5 if seen.json()["stream"] == json!(true) => {
            let mut script = told(seen);
            script.steps.insert(1, Step::Wait(wait.clone()));
            script
        }
        _ => told(seen),
    })
    .await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.upstream.get_mut("ollama").unwrap().max_in_flight = 1;
    let gateway = Gateway::start(config).await;
    let body = ask(2, true).to_string();
    let mut answer = gateway.client().open(Method::POST, "/v1/chat/completions", body).await;
    answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(upstream.seen().len(), 1, "the second waits for the first");
    go_on.notify_one();
    let rest = answer.into_body().collect().await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("s6") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    let whole = gateway.client().post("/v1/chat/completions", &ask(4, false)).await.json();
    assert_eq!(whole["choices"].as_array().unwrap().len(), 4);
    let seeds: Vec<i64> = upstream.seen().iter().map(seed).collect();
    assert_eq!(seeds, [5, 6, 5, 6, 7, 8]);
}

#[tokio::test]
async fn one_refusal_is_the_answer_and_the_others_go() {
    let upstream = Upstream::start(&["m"], |seen| match seed(seen) {
        6 => Script::error(400, &json!({ "error": "too much" })),
        _ => Script::said("never").then(0, Step::Hang),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(3, false)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]["message"]),
        (400, &json!("too much"))
    );
    let rows = gateway.stop().await;
    assert_eq!((rows.len(), &rows[0]["status_code"]), (1, &json!(400)));
}

#[tokio::test]
async fn a_stream_whose_first_choice_is_refused_is_refused_after_one_request() {
    let refusal = Script::error(404, &json!({ "error": "model 'm' not found" }));
    let upstream = Upstream::always(&["m"], refusal).await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(3, true)).await;
    assert_eq!((answer.status.as_u16(), upstream.seen().len()), (404, 1));
}

#[tokio::test]
async fn a_choice_that_breaks_later_ends_the_stream_with_an_error_and_cuts_the_others() {
    let upstream = Upstream::start(&["m"], |seen| match seed(seen) {
        6 => Script::chat(&["b", "c"]).then(1, Step::Break),
        _ => Script::chat(&["a", "never"]).then(1, Step::Hang),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let events = gateway.client().post("/v1/chat/completions", &ask(3, true)).await.events();
    assert!(events.last().unwrap()["error"]["message"].is_string(), "{events:?}");
    assert!(!events.contains(&json!("[DONE]")));
    upstream.cut_off(2).await;
    let rows = gateway.stop().await;
    assert_eq!((rows.len(), &rows[0]["ending"]), (1, &json!("failed")));
}

#[tokio::test]
async fn every_request_goes_when_the_client_leaves() {
    let upstream =
        Upstream::start(&["m"], |_| Script::chat(&["a", "never"]).then(1, Step::Hang)).await;
    let gateway = Gateway::before(&upstream).await;
    let body = ask(3, true).to_string();
    let mut answer = gateway.client().open(Method::POST, "/v1/chat/completions", body).await;
    while upstream.seen().len() < 3 {
        tokio::select! {
            _ = answer.body_mut().frame() => {}
            () = tokio::task::yield_now() => {}
        }
    }
    drop(answer);
    upstream.cut_off(3).await;
}

#[tokio::test]
async fn the_cache_keeps_every_choice_or_nothing() {
    let upstream = Upstream::start(&["m"], told).await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let first = client.post("/v1/chat/completions", &ask(2, true)).await;
    let mut hit = client.post("/v1/chat/completions", &ask(2, true)).await;
    while !hit.header("cache-status").contains("hit") {
        hit = client.post("/v1/chat/completions", &ask(2, true)).await;
    }
    assert_eq!(texts(&first.events()), texts(&hit.events()));
    let whole = client.post("/v1/chat/completions", &ask(2, false)).await;
    assert!(whole.header("cache-status").contains("hit"), "{:?}", whole.headers);
    assert_eq!(whole.json()["choices"][1]["message"]["content"], "s6!");
}
