//! What was asked before is answered from the cache, in whatever form it is asked for.

mod control;
mod kept;
mod key;
mod redis;

use crate::support::{Answer, Client, Gateway, Script, Seen, Upstream, config};
use serde_json::{Value, json};

/// Where to chat, and in whose dialect.
const CHATS: [&str; 2] = ["/api/chat", "/v1/chat/completions"];

/// A question whose answer has no chance in it.
fn ask(path: &str, stream: bool) -> Value {
    let mut body = sampled(stream);
    match path {
        "/api/chat" => body["options"] = json!({ "temperature": 0 }),
        _ => body["temperature"] = 0.into(),
    }
    body
}

/// A question that may be answered otherwise each time.
fn sampled(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "x" }] })
}

/// An Ollama that says `text` in the form it is asked for.
fn says(text: &'static str) -> impl Fn(&Seen) -> Script + Send + Sync {
    move |seen| match seen.json()["stream"] == json!(false) {
        true => Script::said(text),
        false => Script::chat(&[text]),
    }
}

/// Asks, and leaves the write that follows the answer its turn: it is off the client's path.
async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    let answer = client.post(path, body).await;
    settle().await;
    answer
}

async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

fn status(answer: &Answer) -> &str {
    answer.header("x-unigate-cache")
}

/// The text of an answer in any form.
fn text(answer: &Answer) -> String {
    let content = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match answer.header("content-type") {
        "text/event-stream" => {
            let events = answer.events();
            events.iter().map(|e| content(&e["choices"][0]["delta"]["content"])).collect()
        }
        "application/x-ndjson" => {
            answer.lines().iter().map(|line| content(&line["message"]["content"])).collect()
        }
        _ => {
            let body = answer.json();
            let message =
                body.get("message").unwrap_or_else(|| &body["choices"][0]["message"]).clone();
            content(&message["content"])
        }
    }
}

#[tokio::test]
async fn a_second_asker_gets_the_same_answer_and_the_upstream_is_asked_once() {
    for path in CHATS {
        let upstream = Upstream::start(&["m"], says("hi")).await;
        let gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        let miss = post(&client, path, &sampled(false)).await;
        assert_eq!((status(&miss), miss.header("age")), ("MISS", ""), "{path}");
        assert_eq!(miss.header("cache-status"), "unigate; fwd=miss; stored");
        let hit = post(&client, path, &sampled(false)).await;
        assert_eq!((status(&hit), hit.header("age")), ("HIT", "0"), "{path}");
        let said = hit.header("cache-status");
        let ttl: u64 = said.strip_prefix("unigate; hit; ttl=").unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&ttl), "{said}");
        assert_eq!((&hit.body, hit.status), (&miss.body, miss.status));
        for header in ["x-unigate-model", "x-unigate-upstream", "x-unigate-route"] {
            assert_eq!(hit.header(header), miss.header(header), "{header}");
        }
        assert_ne!(hit.header("x-request-id"), miss.header("x-request-id"));
        assert_eq!(upstream.seen().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn one_entry_serves_streamed_and_unstreamed_askers() {
    for path in CHATS {
        for first in [true, false] {
            let upstream = Upstream::start(&["m"], says("hello")).await;
            let gateway = Gateway::before(&upstream).await;
            let client = gateway.client();
            let miss = post(&client, path, &ask(path, first)).await;
            assert_eq!((status(&miss), text(&miss).as_str()), ("MISS", "hello"), "{path} {first}");
            for stream in [!first, first] {
                let hit = post(&client, path, &ask(path, stream)).await;
                assert_eq!((status(&hit), text(&hit).as_str()), ("HIT", "hello"), "{path}");
                match (path, stream) {
                    ("/api/chat", true) => {
                        let last = hit.lines().pop().unwrap();
                        assert_eq!(
                            (&last["done"], &last["eval_count"]),
                            (&json!(true), &json!(if first { 1 } else { 2 }))
                        );
                    }
                    ("/api/chat", false) => assert_eq!(hit.json()["done"], true),
                    (_, true) => assert!(hit.text().ends_with("data: [DONE]\n\n")),
                    (_, false) => {
                        let body = hit.json();
                        assert_eq!(body["object"], "chat.completion");
                        assert_eq!(body["choices"][0]["finish_reason"], "stop");
                        assert_eq!(body["usage"]["prompt_tokens"], 3, "counted by the upstream");
                    }
                }
            }
            assert_eq!(upstream.seen().len(), 1, "{path} {first}");
        }
    }
}

#[tokio::test]
async fn usage_is_replayed_to_whoever_asks_for_it_and_to_nobody_else() {
    let path = "/v1/chat/completions";
    for first in [true, false] {
        for provider in ["ollama", "openai"] {
            let upstream = Upstream::start(&["m"], move |_| match provider {
                "ollama" => Script::chat(&["hi"]),
                _ => Script::chunks(&["hi"]),
            })
            .await;
            let gateway = Gateway::start(config(&[("it", provider, &upstream)])).await;
            for (usage, expected) in [(first, "MISS"), (!first, "HIT"), (first, "HIT")] {
                let mut body = ask(path, true);
                if usage {
                    body["stream_options"] = json!({ "include_usage": true });
                }
                let answer = post(&gateway.client(), path, &body).await;
                let counted =
                    answer.events().iter().filter(|e| e["usage"]["prompt_tokens"].is_u64()).count();
                assert_eq!(
                    (status(&answer), counted),
                    (expected, usize::from(usage)),
                    "{provider}, first asker {first}: {}",
                    answer.text()
                );
                assert_eq!(text(&answer), "hi");
            }
        }
    }
}

#[tokio::test]
async fn a_streamed_answer_with_chance_in_it_is_new_each_time_unless_somebody_says_otherwise() {
    for path in CHATS {
        let upstream = Upstream::start(&["m"], says("hi")).await;
        let gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        for _ in 0..2 {
            assert_eq!(status(&post(&client, path, &sampled(true)).await), "BYPASS", "{path}");
        }
        assert_eq!(upstream.seen().len(), 2);
        let wanting = client.with("cache-control", "max-age=60");
        for expected in ["MISS", "HIT"] {
            assert_eq!(status(&post(&wanting, path, &sampled(true)).await), expected, "{path}");
        }
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.cache.sampled_streams = true;
        let keeping = Gateway::start(config).await;
        for expected in ["MISS", "HIT"] {
            let answer = post(&keeping.client(), path, &sampled(true)).await;
            assert_eq!(status(&answer), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn embeddings_are_kept_in_every_form_they_are_asked_for() {
    let upstream = Upstream::start(&["m"], |seen| match seen.path.as_str() {
        "/api/embeddings" => Script::json(&json!({ "embedding": [0.5, -1.0] })),
        _ => Script::json(
            &json!({ "model": "m", "embeddings": [[0.5, -1.0]], "prompt_eval_count": 2 }),
        ),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    for (path, body) in [
        ("/api/embed", json!({ "model": "m", "input": "x" })),
        ("/api/embeddings", json!({ "model": "m", "prompt": "x" })),
        ("/v1/embeddings", json!({ "model": "m", "input": "x" })),
        ("/v1/embeddings", json!({ "model": "m", "input": ["x"], "encoding_format": "base64" })),
    ] {
        let before = upstream.seen().len();
        let miss = post(&gateway.client(), path, &body).await;
        let hit = post(&gateway.client(), path, &body).await;
        assert_eq!((status(&miss), status(&hit)), ("MISS", "HIT"), "{path}");
        assert_eq!((hit.status.as_u16(), &hit.body), (200, &miss.body));
        assert_eq!(upstream.seen().len(), before + 1, "{path}");
    }
}

#[tokio::test]
async fn loading_and_unloading_a_model_is_an_act_and_is_done_each_time() {
    let loaded = json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": true,
        "done_reason": "load", "message": { "role": "assistant", "content": "" } });
    let upstream = Upstream::always(&["m"], Script::json(&loaded)).await;
    let gateway = Gateway::before(&upstream).await;
    for (path, body) in [
        ("/api/chat", json!({ "model": "m", "stream": false, "messages": [] })),
        ("/api/chat", json!({ "model": "m", "stream": false, "options": { "temperature": 0 } })),
        ("/api/generate", json!({ "model": "m", "stream": false, "keep_alive": 0 })),
    ] {
        let before = upstream.seen().len();
        for _ in 0..2 {
            let answer = post(&gateway.client(), path, &body).await;
            assert_eq!((status(&answer), answer.status.as_u16()), ("BYPASS", 200), "{body}");
        }
        assert_eq!(upstream.seen().len(), before + 2, "{body}");
    }
}

#[tokio::test]
async fn a_cache_that_is_off_says_so_and_keeps_nothing() {
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.cache.store = "off".into();
    let gateway = Gateway::start(config).await;
    for _ in 0..2 {
        let answer = post(&gateway.client(), "/api/chat", &sampled(false)).await;
        assert_eq!(status(&answer), "OFF");
    }
    assert_eq!(upstream.seen().len(), 2);
}
