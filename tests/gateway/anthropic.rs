//! Anthropic's clients before any upstream, and Anthropic behind any client, over real sockets.

use crate::support::{Gateway, Script, Seen, Upstream, config, secret};
use http::Method;
use serde_json::{Value, json};

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "max_tokens": 50, "stream": stream,
        "messages": [{ "role": "user", "content": "x" }] })
}

fn text(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

async fn cloud(play: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> (Upstream, Gateway) {
    let upstream = Upstream::start(&["claude-x"], play).await;
    let gateway = Gateway::start(config(&[("claude", "anthropic", &upstream)])).await;
    (upstream, gateway)
}

fn either(seen: &Seen) -> Script {
    match seen.json()["stream"] == json!(true) {
        true => Script::blocks(&["Hel", "lo"]),
        false => Script::message("Hello"),
    }
}

#[tokio::test]
async fn an_anthropic_client_is_answered_by_an_ollama() {
    let upstream = Upstream::start(&["m"], |seen| match seen.json()["stream"] == json!(true) {
        true => Script::chat(&["Hel", "lo"]),
        false => Script::said("Hello"),
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let whole = gateway.client().post("/v1/messages?beta=true", &ask("m", false)).await;
    assert_eq!(whole.header("request-id"), whole.header("x-request-id"));
    let body = whole.json();
    assert_eq!(body["content"], json!([{ "type": "text", "text": "Hello" }]));
    assert_eq!((&body["stop_reason"], &body["model"]), (&json!("end_turn"), &json!("m")));
    assert_eq!(body["usage"], json!({ "input_tokens": 3, "output_tokens": 2 }));
    let sent = &upstream.seen()[0];
    assert_eq!(
        (sent.path.as_str(), &sent.json()["options"]["num_predict"]),
        ("/api/chat", &json!(50))
    );
    let streamed = gateway.client().post("/v1/messages", &ask("m", true)).await;
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    let events = streamed.events();
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(text(&events), "Hello");
    assert_eq!(events.last().unwrap(), &json!({ "type": "message_stop" }));
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["dialect"], &rows[0]["upstream_dialect"]),
        (&json!("anthropic"), &json!("ollama"))
    );
    assert_eq!((&rows[1]["prompt_tokens"], &rows[1]["status_code"]), (&json!(3), &json!(200)));
}

#[tokio::test]
async fn an_anthropic_client_is_answered_by_an_openai() {
    let upstream = Upstream::start(&["g"], |seen| match seen.json()["stream"] == json!(true) {
        true => Script::chunks(&["Hel", "lo"]),
        false => Script::completion("Hello"),
    })
    .await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    let client =
        gateway.client().with("anthropic-version", "2023-06-01").with("anthropic-beta", "b");
    let body = client.post("/v1/messages", &ask("g", false)).await.json();
    assert_eq!(body["content"][0]["text"], "Hello");
    let events = client.post("/v1/messages", &ask("g", true)).await.events();
    assert_eq!(text(&events), "Hello");
    assert_eq!(events[events.len() - 2]["usage"], json!({ "input_tokens": 5, "output_tokens": 2 }));
    let sent = &upstream.seen()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    // What is Anthropic's own goes to nobody else.
    assert!(
        !sent.headers.contains_key("anthropic-version")
            && !sent.headers.contains_key("anthropic-beta")
    );
}

#[tokio::test]
async fn an_anthropic_client_before_anthropic_sends_and_gets_the_very_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&["claude-x"], either).await;
    let mut config = config(&[("claude", "anthropic", &upstream)]);
    config.upstream.get_mut("claude").unwrap().key = Some(secret(&folder, "k", "sk-ant"));
    let gateway = Gateway::start(config).await;
    let body = "{\"model\": \"claude-x\",\"max_tokens\":5, \"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9\"}],\"unknown\":1}";
    let client =
        gateway.client().with("anthropic-version", "2026-10-21").with("anthropic-beta", "b1");
    let client = client.with("x-api-key", "the clients own");
    let streamed = client.send(Method::POST, "/v1/messages?beta=true", body).await;
    let expected: Vec<u8> =
        Script::blocks(&["Hel", "lo"]).steps.into_iter().flat_map(bytes).collect();
    assert_eq!(streamed.body, expected);
    let seen = upstream.seen()[0].clone();
    assert_eq!((seen.path.as_str(), &seen.body[..]), ("/v1/messages?beta=true", body.as_bytes()));
    assert_eq!(seen.headers["x-api-key"], "sk-ant");
    assert!(!seen.headers.contains_key("authorization"));
    assert_eq!(
        (&seen.headers["anthropic-version"], &seen.headers["anthropic-beta"]),
        (&"2026-10-21".parse().unwrap(), &"b1".parse().unwrap())
    );
    let rows = gateway.stop().await;
    assert_eq!((&rows[0]["prompt_tokens"], &rows[0]["completion_tokens"]), (&json!(7), &json!(2)));
    assert_eq!(
        (&rows[0]["ending"], &rows[0]["upstream_dialect"]),
        (&json!("complete"), &json!("anthropic"))
    );
}

fn bytes(step: crate::support::Step) -> Vec<u8> {
    match step {
        crate::support::Step::Data(data) => data.to_vec(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn an_openai_client_is_answered_by_anthropic() {
    let (upstream, gateway) = cloud(either).await;
    let mut body = ask("claude-x", false);
    body["messages"] =
        json!([{ "role": "system", "content": "s" }, { "role": "user", "content": "x" }]);
    let answer = gateway.client().post("/v1/chat/completions", &body).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
    assert_eq!(
        (
            &answer["usage"]["prompt_tokens"],
            &answer["usage"]["prompt_tokens_details"]["cached_tokens"]
        ),
        (&json!(7), &json!(3))
    );
    let seen = upstream.seen()[0].clone();
    assert_eq!((seen.path.as_str(), &seen.json()["system"]), ("/v1/messages", &json!("s")));
    assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
    let events =
        gateway.client().post("/v1/chat/completions", &ask("claude-x", true)).await.events();
    let said: String =
        events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((said.as_str(), events.last().unwrap()), ("Hello", &json!("[DONE]")));
    let vectors = json!({ "model": "claude-x", "input": "x" });
    assert_eq!(gateway.client().post("/v1/embeddings", &vectors).await.status, 400);
}

#[tokio::test]
async fn an_ollama_client_is_answered_by_anthropic() {
    let (upstream, gateway) = cloud(either).await;
    let answer = gateway.client().post("/api/chat", &ask("claude-x", false)).await.json();
    assert_eq!((&answer["message"]["content"], &answer["done"]), (&json!("Hello"), &json!(true)));
    let lines = gateway.client().post("/api/chat", &ask("claude-x", true)).await.lines();
    assert_eq!(
        (&lines.last().unwrap()["prompt_eval_count"], &lines[0]["message"]["content"]),
        (&json!(7), &json!("Hel"))
    );
    let generate = json!({ "model": "claude-x", "prompt": "x", "system": "s", "stream": false });
    assert_eq!(gateway.client().post("/api/generate", &generate).await.json()["response"], "Hello");
    assert_eq!(upstream.seen()[2].json()["system"], "s");
    let tags = gateway.client().get("/api/tags").await.json();
    assert_eq!(tags["models"][0]["name"], "claude-x");
}

#[tokio::test]
async fn a_clients_own_credential_travels_in_the_form_that_the_upstream_reads() {
    let claude = Upstream::start(&["claude-x"], either).await;
    let gpt = Upstream::always(&["g"], Script::completion("x")).await;
    let mut config = config(&[("claude", "anthropic", &claude), ("cloud", "openai", &gpt)]);
    for upstream in config.upstream.values_mut() {
        upstream.forward_client_key = true;
    }
    let gateway = Gateway::start(config).await;
    let bearer = gateway.client().with("authorization", "Bearer mine");
    bearer.post("/v1/chat/completions", &ask("claude-x", false)).await;
    let key = gateway.client().with("x-api-key", "mine");
    key.post("/v1/messages", &ask("claude-x", false)).await;
    key.post("/v1/messages", &ask("g", false)).await;
    // A token of a session is none of the keys.
    let mut other = ask("claude-x", false);
    other["max_tokens"] = 51.into();
    bearer.post("/v1/messages", &other).await;
    let seen = claude.seen();
    assert_eq!(seen[0].headers["x-api-key"], "mine");
    assert!(!seen[0].headers.contains_key("authorization"));
    assert_eq!(seen[1].headers["x-api-key"], "mine");
    assert_eq!(seen[2].headers["authorization"], "Bearer mine");
    assert!(!seen[2].headers.contains_key("x-api-key"));
    assert_eq!(gpt.seen()[0].headers["authorization"], "Bearer mine");
}

#[tokio::test]
async fn golden_14_a_missing_key_is_told_in_anthropics_shape() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(&["m"], Script::said("x")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.keys = vec![secret(&folder, "key", "sesame")];
    let gateway = Gateway::start(config).await;
    let refused = gateway.client().post("/v1/messages", &ask("m", false)).await;
    assert_eq!(refused.status, 401);
    let body = refused.json();
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!("authentication_error"))
    );
    assert_eq!(body["request_id"], refused.header("request-id"));
    for (name, value) in [("x-api-key", "sesame"), ("authorization", "Bearer sesame")] {
        let client = gateway.client().with(name, value);
        assert_eq!(client.post("/v1/messages", &ask("m", false)).await.status, 200, "{name}");
    }
    assert_eq!(upstream.seen()[0].headers.get("x-api-key"), None);
}

#[tokio::test]
async fn golden_76_lists_and_details_are_anthropics_where_its_version_is_named() {
    let claude = Upstream::start(&["claude-x"], either).await;
    let ollama = Upstream::always(&["m"], Script::said("x")).await;
    let gateway =
        Gateway::start(config(&[("claude", "anthropic", &claude), ("ollama", "ollama", &ollama)]))
            .await;
    let client = gateway.client().with("anthropic-version", "2023-06-01");
    let page = client.get("/v1/models?limit=1000").await.json();
    let ids: Vec<_> = page["data"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
    assert_eq!(ids[..3], ["m", "claude-x", "auto"]);
    assert_eq!((&page["has_more"], &page["first_id"]), (&json!(false), &json!("m")));
    assert!(page["data"].as_array().unwrap().iter().all(|model| model["type"] == "model"));
    let one = client.get("/v1/models/claude-x").await.json();
    assert_eq!((&one["type"], &one["display_name"]), (&json!("model"), &json!("claude-x")));
    let missing = client.get("/v1/models/nobody").await;
    assert_eq!(
        (missing.status.as_u16(), &missing.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    let list = gateway.client().get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
}

#[tokio::test]
async fn tokens_are_counted_where_the_upstream_can_and_estimated_elsewhere() {
    let count = Script::json(&json!({ "input_tokens": 17 }));
    let claude = Upstream::always(&["claude-x"], count).await;
    let ollama = Upstream::always(&["m"], Script::said("never")).await;
    let gateway =
        Gateway::start(config(&[("claude", "anthropic", &claude), ("ollama", "ollama", &ollama)]))
            .await;
    let body = |model: &str| json!({ "model": model, "system": "12345678", "messages": [{ "role": "user", "content": "1234" }] });
    let path = "/v1/messages/count_tokens?beta=true";
    let counted = gateway.client().post(path, &body("claude-x")).await;
    assert_eq!(
        (counted.json(), counted.header("x-unigate-warning")),
        (json!({ "input_tokens": 17 }), "")
    );
    assert_eq!(claude.seen()[0].path, path);
    let guessed = gateway.client().post(path, &body("m")).await;
    assert_eq!(guessed.json(), json!({ "input_tokens": 3 }));
    assert_eq!(guessed.header("x-unigate-warning"), "input_tokens is an estimate");
    assert!(ollama.seen().is_empty());
    let nothing = gateway.client().post(path, &json!({ "model": "m" })).await;
    assert_eq!(
        (nothing.status.as_u16(), &nothing.json()["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    assert_eq!(gateway.client().post(path, &json!({})).await.status, 400);
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[1]["warnings"], "input_tokens is an estimate");
    assert_eq!(
        (&rows[1]["operation"], &rows[1]["provider"]),
        (&rows[0]["operation"], &json!("ollama"))
    );
}

#[tokio::test]
async fn errors_are_told_in_each_clients_words() {
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let answer = overloaded.clone();
    let (_upstream, gateway) = cloud(move |_| Script::error(529, &answer)).await;
    let own = gateway.client().post("/v1/messages", &ask("claude-x", false)).await;
    assert_eq!((own.status.as_u16(), own.json()), (529, overloaded));
    assert_eq!(own.header("retry-after"), "1");
    let other = gateway.client().post("/v1/chat/completions", &ask("claude-x", true)).await;
    assert_eq!((other.status.as_u16(), other.header("retry-after")), (503, "1"));
    assert_eq!(other.json()["error"]["message"], "Overloaded");
    // What the client got wrong never leaves the gateway.
    let wrong = gateway.client().send(Method::POST, "/v1/messages", "{").await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["type"]), (400, &json!("error")));
}

#[tokio::test]
async fn a_message_that_breaks_off_ends_in_an_error_event() {
    for (provider, model, script) in [
        ("anthropic", "claude-x", Script::blocks(&["Hel", "lo"]).cut(5)),
        ("openai", "g", Script::chunks(&["Hel", "lo"]).cut(3)),
    ] {
        let models: &[&str] = if provider == "openai" { &["g"] } else { &["claude-x"] };
        let upstream = Upstream::always(models, script).await;
        let gateway = Gateway::start(config(&[("up", provider, &upstream)])).await;
        let answer = gateway.client().post("/v1/messages", &ask(model, true)).await;
        let events = answer.events();
        assert_eq!(events.last().unwrap()["type"], "error", "{}", answer.text());
        assert!(!answer.text().contains("message_stop"));
        let rows = gateway.stop().await;
        assert_eq!(rows[0]["ending"], "failed");
    }
}

#[tokio::test]
async fn a_kept_answer_serves_both_forms() {
    let (upstream, gateway) = cloud(either).await;
    let mut body = ask("claude-x", true);
    body["temperature"] = 0.into();
    let first = gateway.client().post("/v1/messages", &body).await;
    assert_eq!(first.header("x-unigate-cache"), "MISS");
    body["stream"] = false.into();
    let second = gateway.client().post("/v1/messages", &body).await;
    assert_eq!(second.header("x-unigate-cache"), "HIT");
    assert_eq!(second.json()["content"], json!([{ "type": "text", "text": "Hello" }]));
    assert_eq!(second.json()["usage"]["output_tokens"], 2);
    // Another beta may be another answer.
    let client = gateway.client().with("anthropic-beta", "b");
    assert_eq!(client.post("/v1/messages", &body).await.header("x-unigate-cache"), "MISS");
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn an_ollama_may_be_spoken_to_in_anthropics_words() {
    let upstream = Upstream::start(&["m"], either).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.upstream.get_mut("ollama").unwrap().chat = Some("anthropic".into());
    let gateway = Gateway::start(config).await;
    let answer = gateway.client().post("/v1/messages", &ask("m", false)).await;
    assert_eq!(answer.json()["id"], "msg_up");
    assert_eq!(upstream.seen()[0].path, "/v1/messages");
}
