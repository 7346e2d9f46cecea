use super::*;
use serde_json::{Value, json};

#[test]
fn every_route_has_its_operation() {
    for (method, path, operation) in [
        (Method::POST, "/v1/chat/completions", Some(Operation::Chat)),
        (Method::POST, "/v1/completions", Some(Operation::Generate)),
        (Method::POST, "/v1/embeddings", Some(Operation::Embed)),
        (Method::GET, "/v1/models", Some(Operation::Models)),
        (Method::HEAD, "/v1/models/hf.co/a/b:Q4", Some(Operation::Model)),
        (Method::POST, "/v1/responses", Some(Operation::Other)),
        (Method::DELETE, "/v1/models/x", Some(Operation::Other)),
        (Method::GET, "/v1/", None),
        (Method::POST, "/api/chat", None),
    ] {
        assert_eq!(OPENAI.operation(&method, path), operation, "{method} {path}");
    }
}

#[test]
fn nothing_is_streamed_unless_asked_for() {
    let ask = |body: &str| OPENAI.ask(Operation::Chat, body.as_bytes());
    assert!(!ask(r#"{"model":"m"}"#).unwrap().stream);
    assert!(ask(r#"{"stream":true,"model":"m"}"#).unwrap().stream);
    assert_eq!(ask("{}").unwrap_err().to_string(), "model is required");
    assert_eq!(ask("").unwrap_err().to_string(), "missing request body");
    assert_eq!(OPENAI.ask(Operation::Other, b"").unwrap(), Ask::default());
}

#[test]
fn errors_have_the_four_keys_and_the_request() {
    for (error, kind, code) in [
        (Error::BadRequest("x".into()), "invalid_request_error", "invalid_request"),
        (Error::Unauthorized("x".into()), "invalid_request_error", "invalid_api_key"),
        (Error::Forbidden("x".into()), "permission_error", "forbidden"),
        (Error::ModelNotFound("x".into()), "invalid_request_error", "model_not_found"),
        (Error::Internal("x".into()), "server_error", "internal_error"),
    ] {
        let body: Value = serde_json::from_slice(&OPENAI.error(&error, "r1")).unwrap();
        let inner = &body["error"];
        assert_eq!((&inner["type"], &inner["code"]), (&json!(kind), &json!(code)));
        assert_eq!((&inner["param"], &inner["request_id"]), (&Value::Null, &json!("r1")));
    }
    let event =
        OPENAI.error_event(&Error::Reported { upstream: "u".into(), message: "a\n\nb".into() });
    assert!(event.starts_with(b"data: {") && event.ends_with(b"}\n\n"));
    assert_eq!(std::str::from_utf8(&event).unwrap().matches('\n').count(), 2);
}

#[test]
fn the_router_sees_the_newest_words_of_the_user() {
    let prompt = OPENAI.prompt(
        Operation::Chat,
        br#"{"messages":[{"role":"user","content":[{"type":"text","text":"see"},
        {"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"this"}]},
        {"role":"assistant","content":null}],"functions":[{}],"reasoning_effort":"low"}"#,
    );
    assert_eq!((prompt.text.as_str(), prompt.messages, prompt.bytes), ("see\nthis", 2, 10));
    assert!(prompt.images && prompt.tools && prompt.thinking && !prompt.verbatim);
    let prompt = OPENAI.prompt(Operation::Chat, br#"{"messages":[],"reasoning_effort":"none"}"#);
    assert!(!prompt.thinking && !prompt.tools);
    assert!(OPENAI.prompt(Operation::Generate, br#"{"prompt":"a","suffix":"b"}"#).verbatim);
    assert_eq!(OPENAI.prompt(Operation::Embed, br#"{"input":["a","b"]}"#).text, "a\nb");
}

#[test]
fn a_fixed_seed_or_no_temperature_gives_the_same_answer_again() {
    let same = |body: &str| OPENAI.deterministic(Operation::Chat, body.as_bytes());
    assert!(same(r#"{"temperature":0}"#) && same(r#"{"seed":5}"#));
    assert!(!same("{}") && !same(r#"{"temperature":0.1,"seed":null}"#));
}

#[test]
fn golden_68_an_empty_list_is_a_list() {
    assert_eq!(OPENAI.write_models(&[]), r#"{"object":"list","data":[]}"#);
    assert_eq!(OPENAI.read_models(br#"{"object":"list","data":null}"#).unwrap(), []);
    let models = OPENAI
        .read_models(
            br#"{"data":[{"id":"a","created":5,"owned_by":"o","max_model_len":9},{"id":""}]}"#,
        )
        .unwrap();
    assert_eq!((models.len(), models[0].modified_s, models[0].context), (1, 5, 9));
    assert_eq!(
        OPENAI.write_model(&models[0]),
        r#"{"id":"a","object":"model","created":5,"owned_by":"o"}"#
    );
    assert!(OPENAI.read_models(br#"{"error":"x"}"#).is_err());
}

#[test]
fn wishes_are_read_from_the_request() {
    let wishes = |operation, body: &str| OPENAI.wishes(operation, body.as_bytes());
    assert!(wishes(Operation::Chat, r#"{"stream_options":{"include_usage":true}}"#).usage);
    assert!(!wishes(Operation::Chat, r#"{"stream_options":null}"#).usage);
    assert!(wishes(Operation::Embed, r#"{"encoding_format":"BASE64"}"#).base64);
    assert!(!wishes(Operation::Embed, "{}").base64);
}
