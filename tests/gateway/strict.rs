//! What an upstream cannot be told: a warning that names it, or with `translate.strict` a 400 in the client's dialect.

use crate::support::{Gateway, Script, Upstream, config};
use serde_json::{Value, json};

fn tools() -> Value {
    json!([{ "type": "function", "function": { "name": "f" } }])
}

/// What an OpenAI client may ask of an Ollama that it cannot be told, by name.
fn untold() -> Vec<(&'static str, Value)> {
    vec![
        ("logit_bias", json!({ "logit_bias": { "1": 2 } })),
        ("web_search_options", json!({ "web_search_options": { "a": 1 } })),
        ("parallel_tool_calls", json!({ "tools": tools(), "parallel_tool_calls": false })),
        (
            "response_format",
            json!({ "tools": tools(), "tool_choice": "required",
                "response_format": { "type": "json_object" } }),
        ),
        ("logprobs", json!({ "tools": tools(), "tool_choice": "required", "logprobs": true })),
        // The scripted models do not think.
        ("think", json!({ "reasoning_effort": "high" })),
    ]
}

fn ask(model: &str, more: &Value) -> Value {
    let mut body = json!({ "model": model, "stream": false, "messages": [{ "role": "user", "content": "x" }] });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

const CALL: &str = r#"{"name":"f","arguments":{}}"#;

#[tokio::test]
async fn everything_that_is_left_out_is_named_to_the_client_and_in_the_log() {
    let upstream = Upstream::always(&["m"], Script::said(CALL)).await;
    let gateway = Gateway::before(&upstream).await;
    for (name, more) in untold() {
        let answer = gateway.client().post("/v1/chat/completions", &ask("m", &more)).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.header("x-unigate-warning"), format!("ollama does not take: {name}"));
    }
    let rows = gateway.stop().await;
    for (row, (name, _)) in rows.iter().zip(untold()) {
        assert_eq!(row["warnings"], format!("ollama does not take: {name}"));
    }
}

#[tokio::test]
async fn strict_refuses_what_would_be_left_out_and_asks_nobody() {
    let upstream = Upstream::always(&["m"], Script::said(CALL)).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.translate.strict = true;
    let gateway = Gateway::start(config).await;
    for (name, more) in untold() {
        let answer = gateway.client().post("/v1/chat/completions", &ask("m", &more)).await;
        let error = answer.json()["error"].clone();
        assert_eq!(answer.status, 400, "{name}: {error}");
        assert!(error["message"].as_str().unwrap().contains(name), "{error}");
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("invalid_request_error"), &json!("unsupported_by_target"))
        );
    }
    assert!(upstream.seen().is_empty());
    let plain = gateway.client().post("/v1/chat/completions", &ask("m", &json!({}))).await;
    assert_eq!(plain.status, 200, "what can be told is told");
}

#[tokio::test]
async fn strict_tells_an_ollama_client_in_its_own_words() {
    let upstream = Upstream::always(&["g"], Script::completion("hi")).await;
    let mut config = config(&[("cloud", "openai", &upstream)]);
    let more = [
        ("top_k", json!({ "options": { "top_k": 3 } })),
        ("min_p", json!({ "options": { "min_p": 0.1 } })),
        ("repeat_penalty", json!({ "options": { "repeat_penalty": 1.2 } })),
    ];
    let gateway = Gateway::start(config.clone()).await;
    for (name, more) in &more {
        let answer = gateway.client().post("/api/chat", &ask("g", more)).await;
        assert_eq!(answer.header("x-unigate-warning"), format!("cloud does not take: {name}"));
    }
    config.translate.strict = true;
    config.log.path = None;
    let gateway = Gateway::start(config).await;
    for (name, more) in &more {
        let answer = gateway.client().post("/api/chat", &ask("g", more)).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.json()["error"].as_str().unwrap().contains(name), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_prompt_that_will_be_cut_is_said_to_be() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let mut body = ask("m", &json!({ "num_ctx": 10, "logit_bias": { "1": 2 } }));
    body["messages"][0]["content"] = "x".repeat(44).into();
    let answer = gateway.client().post("/v1/chat/completions", &body).await;
    assert_eq!(
        answer.header("x-unigate-warning"),
        "ollama does not take: logit_bias; the prompt has about 11 tokens, the model looks at 10: \
         Ollama cuts the oldest messages"
    );
}
