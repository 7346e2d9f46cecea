//! What makes two requests the same question, and what does not.

use super::{ask, post, sampled, says, settle, status};
use crate::support::{Gateway, Script, Upstream, config, secret};
use http::Method;
use serde_json::{Value, json};
use unigate::config::Rule;

#[tokio::test]
async fn the_order_of_fields_and_the_space_between_them_do_not_matter() {
    for (path, first, second) in [
        (
            "/v1/chat/completions",
            r#"{"model":"m","messages":[{"role":"user","content":"é"}],"temperature":1,"seed":7}"#,
            "{ \"seed\" : 7,\n \"messages\": [ {\"content\":\"\\u00e9\", \"role\":\"user\"} ], \"temperature\":1, \"model\":\"m\"}",
        ),
        (
            "/api/chat",
            r#"{"model":"m","stream":false,"messages":[{"role":"user","content":"a"}],"options":{"seed":1,"top_k":2}}"#,
            r#"{"options":{"top_k":2,"seed":1},"messages":[{"content":"a","role":"user"}],"stream":false,"model":"m"}"#,
        ),
    ] {
        let upstream = Upstream::start(&["m"], says("hi")).await;
        let gateway = Gateway::before(&upstream).await;
        for (body, expected) in [(first, "MISS"), (second, "HIT")] {
            let answer = gateway.client().send(Method::POST, path, body).await;
            settle().await;
            assert_eq!(status(&answer), expected, "{body}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn fields_that_only_carry_the_answer_or_name_the_asker_do_not_matter() {
    let openai = [
        json!({ "user": "alice" }),
        json!({ "metadata": { "trace": "1" } }),
        json!({ "stream": true }),
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
        json!({ "model": "M" }),
        json!({ "model": "m:latest" }),
    ];
    let ollama =
        [json!({ "stream": true }), json!({ "keep_alive": "5m" }), json!({ "model": "m:latest" })];
    for (path, same) in [("/v1/chat/completions", &openai[..]), ("/api/chat", &ollama)] {
        let upstream = Upstream::start(&["m"], says("hi")).await;
        let gateway = Gateway::before(&upstream).await;
        post(&gateway.client(), path, &ask(path, false)).await;
        for fields in same {
            let answer = post(&gateway.client(), path, &with(&ask(path, false), fields)).await;
            assert_eq!(status(&answer), "HIT", "{path} {fields}");
        }
        assert_eq!(upstream.seen().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn every_field_that_may_change_an_openai_answer_changes_the_key() {
    let differences = [
        json!({ "messages": [{ "role": "user", "content": "y" }] }),
        json!({ "messages": [{ "role": "system", "content": "x" }] }),
        json!({ "messages": [{ "role": "user", "content": "x" }, { "role": "user", "content": "x" }] }),
        json!({ "messages": [{ "role": "user", "content": "x", "name": "bob" }] }),
        json!({ "model": "n" }),
        json!({ "temperature": 0.5 }),
        json!({ "top_p": 0.5 }),
        json!({ "seed": 1 }),
        json!({ "seed": 2 }),
        json!({ "max_tokens": 5 }),
        json!({ "max_completion_tokens": 5 }),
        json!({ "stop": "a" }),
        json!({ "stop": ["a"] }),
        json!({ "n": 2 }),
        json!({ "presence_penalty": 0.5 }),
        json!({ "frequency_penalty": 0.5 }),
        json!({ "logit_bias": { "1": 2 } }),
        json!({ "logprobs": true }),
        json!({ "response_format": { "type": "json_object" } }),
        json!({ "reasoning_effort": "low" }),
        json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }),
        json!({ "tools": [{ "type": "function", "function": { "name": "g" } }] }),
        json!({ "tool_choice": "none" }),
        json!({ "a_field_of_tomorrow": 1 }),
    ];
    let upstream = Upstream::always(&["m", "n"], Script::completion("hi")).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    all_differ(&gateway, "/v1/chat/completions", &differences).await;
    assert_eq!(upstream.seen().len(), differences.len() + 1);
}

#[tokio::test]
async fn every_field_that_may_change_an_ollama_answer_changes_the_key() {
    let differences = [
        json!({ "messages": [{ "role": "user", "content": "y" }] }),
        json!({ "messages": [{ "role": "user", "content": "x", "images": ["aGk="] }] }),
        json!({ "model": "n" }),
        json!({ "options": { "temperature": 0.5 } }),
        json!({ "options": { "seed": 1 } }),
        json!({ "options": { "num_ctx": 4096 } }),
        json!({ "options": { "num_predict": 4 } }),
        json!({ "options": { "stop": ["a"] } }),
        json!({ "format": "json" }),
        json!({ "think": true }),
        json!({ "template": "x" }),
        json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }),
        json!({ "a_field_of_tomorrow": 1 }),
    ];
    let upstream = Upstream::always(&["m", "n"], Script::said("hi")).await;
    let gateway = Gateway::start(without_loads(&upstream)).await;
    all_differ(&gateway, "/api/chat", &differences).await;
    assert_eq!(upstream.seen().len(), differences.len() + 1);
}

#[tokio::test]
async fn the_two_dialects_do_not_share_answers() {
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    for path in super::CHATS {
        assert_eq!(status(&post(&gateway.client(), path, &sampled(false)).await), "MISS", "{path}");
    }
    let generate = json!({ "model": "m", "prompt": "x", "stream": false });
    for path in ["/api/generate", "/v1/completions"] {
        assert_eq!(status(&post(&gateway.client(), path, &generate).await), "MISS", "{path}");
    }
}

#[tokio::test]
async fn two_keys_do_not_share_answers() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.keys = vec![secret(&folder, "a", "key-of-a"), secret(&folder, "b", "key-of-b")];
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    for (header, value, expected) in [
        ("authorization", "Bearer key-of-a", "MISS"),
        ("authorization", "Bearer key-of-b", "MISS"),
        ("authorization", "Bearer key-of-a", "HIT"),
        ("x-api-key", "key-of-a", "HIT"),
    ] {
        let answer = post(&client.with(header, value), "/api/chat", &sampled(false)).await;
        assert_eq!(status(&answer), expected, "{header}: {value}");
    }
}

#[tokio::test]
async fn a_header_that_routes_is_part_of_the_question() {
    let upstream = Upstream::start(&["m", "n"], says("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.route = vec![
        Rule {
            name: "blue".into(),
            model: "n".into(),
            header: [("x-team".to_owned(), "blue".to_owned())].into(),
            ..Rule::default()
        },
        Rule { name: "rest".into(), model: "m".into(), ..Rule::default() },
    ];
    let gateway = Gateway::start(config).await;
    let body = with(&sampled(false), &json!({ "model": "auto" }));
    let client = gateway.client();
    for (team, model, expected) in
        [("blue", "n", "MISS"), ("red", "m", "MISS"), ("blue", "n", "HIT")]
    {
        let answer = post(&client.with("x-team", team), "/v1/chat/completions", &body).await;
        let seen = (answer.header("x-unigate-model"), status(&answer));
        assert_eq!(seen, (model, expected), "{team}");
    }
}

fn with(body: &Value, fields: &Value) -> Value {
    let mut body = body.clone();
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Each of these, beside the same question, is a question of its own.
async fn all_differ(gateway: &Gateway, path: &str, differences: &[Value]) {
    let client = gateway.client();
    assert_eq!(status(&post(&client, path, &ask(path, false)).await), "MISS");
    for fields in differences {
        let answer = post(&client, path, &with(&ask(path, false), fields)).await;
        assert_eq!((answer.status.as_u16(), status(&answer)), (200, "MISS"), "{path} {fields}");
    }
    assert_eq!(status(&post(&client, path, &ask(path, false)).await), "HIT");
}

/// Another context is another load; here it is the request alone that counts.
fn without_loads(upstream: &Upstream) -> unigate::config::Config {
    let mut config = config(&[("ollama", "ollama", upstream)]);
    config.upstream.get_mut("ollama").unwrap().warm_up = Some(false);
    config
}

#[tokio::test]
async fn what_is_said_in_headers_to_the_model_matters() {
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let gateway = Gateway::start(without_loads(&upstream)).await;
    let path = "/v1/chat/completions";
    for (context, expected) in [("2048", "MISS"), ("2048", "HIT"), ("4096", "MISS")] {
        let client = gateway.client().with("x-unigate-num-ctx", context);
        let client = client.with("x-unigate-keep-alive", "10m");
        let answer = post(&client, path, &ask(path, false)).await;
        settle().await;
        assert_eq!(status(&answer), expected, "{context}");
    }
    let sent = upstream.seen()[1].json();
    assert_eq!((&sent["options"]["num_ctx"], &sent["keep_alive"]), (&json!(4096), &json!("10m")));
}

#[tokio::test]
async fn where_the_clients_own_credential_travels_its_answers_are_its_own() {
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.upstream.get_mut("ollama").unwrap().forward_client_key = true;
    let gateway = Gateway::start(config).await;
    let path = "/v1/chat/completions";
    for (name, key, expected) in [
        ("authorization", "Bearer a", "MISS"),
        ("authorization", "Bearer b", "MISS"),
        ("x-api-key", "a", "MISS"),
        ("authorization", "Bearer a", "HIT"),
    ] {
        let client = gateway.client().with(name, key);
        let answer = post(&client, path, &ask(path, false)).await;
        settle().await;
        assert_eq!(status(&answer), expected, "{name}: {key}");
    }
}
