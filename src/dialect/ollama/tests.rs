use super::*;
use serde_json::{Value, json};

fn ask(operation: Operation, body: &str) -> Result<Ask, Error> {
    OLLAMA.ask(operation, body.as_bytes())
}

fn model(operation: Operation, body: &str) -> String {
    ask(operation, body).unwrap().model.unwrap().to_string()
}

fn reply() -> Reply {
    Reply::new("x".into(), 1_785_000_000_123, "asked".into())
}

#[test]
fn every_route_has_its_operation() {
    for (method, path, operation) in [
        (Method::HEAD, "/", Some(Operation::Root)),
        (Method::GET, "/api/tags", Some(Operation::Models)),
        (Method::HEAD, "/api/version", Some(Operation::Version)),
        (Method::GET, "/api/ps", Some(Operation::Loaded)),
        (Method::POST, "/api/show", Some(Operation::Model)),
        (Method::POST, "/api/chat", Some(Operation::Chat)),
        (Method::POST, "/api/generate", Some(Operation::Generate)),
        (Method::POST, "/api/embed", Some(Operation::Embed)),
        (Method::POST, "/api/embeddings", Some(Operation::EmbedOne)),
        (Method::POST, "/api/pull", Some(Operation::Pull)),
        (Method::POST, "/api/copy", Some(Operation::Manage)),
        (Method::DELETE, "/api/delete", Some(Operation::Manage)),
        (Method::HEAD, "/api/blobs/sha256:00", Some(Operation::Blob)),
        (Method::GET, "/api/chat", None),
        (Method::POST, "/api/me", None),
        (Method::GET, "/v1/models", None),
    ] {
        assert_eq!(OLLAMA.operation(&method, path), operation, "{method} {path}");
    }
}

#[test]
fn streams_are_the_default_where_ollama_streams() {
    for operation in [Operation::Chat, Operation::Generate, Operation::Pull, Operation::Manage] {
        assert!(ask(operation, r#"{"model":"m"}"#).unwrap().stream);
        assert!(ask(operation, r#"{"model":"m","stream":null}"#).unwrap().stream);
        assert!(!ask(operation, r#"{"model":"m","stream":false}"#).unwrap().stream);
    }
    assert!(!ask(Operation::Embed, r#"{"model":"m","stream":true}"#).unwrap().stream);
}

#[test]
fn the_older_name_counts_where_ollama_takes_it() {
    for operation in [Operation::Model, Operation::Pull, Operation::Manage] {
        assert_eq!(model(operation, r#"{"name":"a"}"#), "a");
        assert_eq!(model(operation, r#"{"name":"a","model":"b"}"#), "b");
        assert_eq!(model(operation, r#"{"name":"a","model":""}"#), "a");
    }
    let error = ask(Operation::Chat, r#"{"name":"a"}"#).unwrap_err();
    assert_eq!(error.to_string(), "model is required");
    assert_eq!(ask(Operation::Manage, r#"{"source":"a"}"#).unwrap().model, None);
}

#[test]
fn an_empty_body_is_said_to_be_missing() {
    let error = ask(Operation::Chat, "").unwrap_err();
    assert_eq!(OLLAMA.error(&error, "r"), r#"{"error":"missing request body","request_id":"r"}"#);
    assert_eq!(OLLAMA.error_event(&error), "{\"error\":\"missing request body\"}\n");
}

#[test]
fn the_router_sees_the_newest_words_of_the_user() {
    let prompt = OLLAMA.prompt(
        Operation::Chat,
        br#"{"messages":[{"role":"system","content":"sys"},{"role":"user","content":"old"},
        {"role":"user","content":"new","images":["x"]},{"role":"assistant","content":"a"}],
        "tools":[{"a":1}],"think":"low"}"#,
    );
    assert_eq!(prompt.text, "new");
    assert_eq!((prompt.messages, prompt.bytes), (4, 3 + 3 + 3 + 1 + 7));
    assert!(prompt.tools && prompt.images && prompt.thinking && !prompt.verbatim);
    assert!(OLLAMA.prompt(Operation::Generate, br#"{"prompt":"a","suffix":"b"}"#).verbatim);
    assert!(OLLAMA.prompt(Operation::Generate, br#"{"prompt":"a","raw":true}"#).verbatim);
    let plain =
        OLLAMA.prompt(Operation::Generate, br#"{"prompt":"a","system":"bc","think":false}"#);
    assert_eq!((plain.text.as_str(), plain.bytes), ("a", 3));
    assert!(!plain.verbatim && !plain.thinking && !plain.images);
    assert_eq!(OLLAMA.prompt(Operation::Chat, b"{"), Prompt::default());
}

#[test]
fn only_so_much_text_is_looked_at_and_all_of_it_counted() {
    let body = format!(r#"{{"prompt":"{}"}}"#, "ä".repeat(Prompt::MAX_TEXT));
    let prompt = OLLAMA.prompt(Operation::Generate, body.as_bytes());
    assert_eq!((prompt.text.len(), prompt.bytes), (Prompt::MAX_TEXT, 2 * Prompt::MAX_TEXT));
}

#[test]
fn a_fixed_seed_or_no_temperature_gives_the_same_answer_again() {
    let same = |body: &str| OLLAMA.deterministic(Operation::Chat, body.as_bytes());
    assert!(same(r#"{"options":{"temperature":0.0}}"#));
    assert!(same(r#"{"options":{"seed":0}}"#));
    for chance in ["{}", r#"{"options":{"seed":-1}}"#, r#"{"temperature":0}"#, "x"] {
        assert!(!same(chance), "{chance}");
    }
    assert!(OLLAMA.deterministic(Operation::Embed, b""));
}

#[test]
fn golden_60_loads_are_answered_without_an_upstream() {
    let load = |operation, body: &str| {
        let answer = load_answer(operation, body.as_bytes(), &reply()).unwrap()?;
        Some(serde_json::from_slice::<Value>(&answer).unwrap())
    };
    assert_eq!(
        load(Operation::Generate, r#"{"model":"m"}"#).unwrap(),
        json!({"model":"asked","created_at":"2026-07-25T17:20:00.123Z","response":"",
            "done":true,"done_reason":"load"})
    );
    let chat = load(Operation::Chat, r#"{"model":"m","messages":[ ],"keep_alive":0}"#).unwrap();
    assert_eq!(chat["done_reason"], "unload");
    assert_eq!(chat["message"], json!({"role":"assistant","content":""}));
    for (keep_alive, reason) in [("\"0\"", "unload"), ("-1", "load"), ("\"5m\"", "load")] {
        let body = format!(r#"{{"model":"m","prompt":"","keep_alive":{keep_alive}}}"#);
        assert_eq!(load(Operation::Generate, &body).unwrap()["done_reason"], reason);
    }
    let wrong = br#"{"model":"m","keep_alive":"5"}"#;
    let error = load_answer(Operation::Generate, wrong, &reply()).unwrap_err();
    assert!(error.to_string().contains("keep_alive"));
    assert_eq!(load(Operation::Generate, r#"{"prompt":"x","keep_alive":"5"}"#), None);
    assert_eq!(load(Operation::Chat, r#"{"messages":[{}]}"#), None);
    assert_eq!(load(Operation::Embed, r#"{"input":""}"#).unwrap()["embeddings"], json!([]));
    assert_eq!(load(Operation::EmbedOne, r#"{"prompt":""}"#).unwrap(), json!({"embedding":[]}));
}

#[test]
fn golden_69_lists_are_what_strict_clients_take() {
    let models =
        [chat::Model { name: "gpt".into(), modified_s: 1_785_000_000, ..Default::default() }];
    let list: Value = serde_json::from_slice(&OLLAMA.write_models(&models)).unwrap();
    let model = &list["models"][0];
    assert_eq!((&model["name"], &model["model"]), (&json!("gpt"), &json!("gpt")));
    assert_eq!(model["digest"].as_str().unwrap().len(), 64);
    assert_eq!(model["modified_at"], "2026-07-25T17:20:00.000Z");
    assert_eq!(model["details"]["families"], json!([]));
    assert_eq!(OLLAMA.write_models(&[]), r#"{"models":[]}"#);
    let shown: Value = serde_json::from_slice(&OLLAMA.write_model(&models[0])).unwrap();
    assert!(shown["model_info"].is_object());
    assert_eq!(shown["capabilities"], json!(["completion"]));
}

#[test]
fn a_list_of_models_is_read() {
    let body = br#"{"models":[{"name":"ns/a:7b","model":"ns/a:7b","modified_at":"2026-07-25T19:20:00.5+02:00",
        "size":5,"details":{"family":"llama","parameter_size":"7B","context_length":4096},
        "capabilities":["completion","tools"]},{"name":"cloud","remote_host":"https://x"},{"size":1}]}"#;
    let models = OLLAMA.read_models(body).unwrap();
    assert_eq!(models.len(), 2);
    assert_eq!((models[0].modified_s, models[0].context), (1_785_000_000, 4096));
    assert_eq!((&*models[0].owner, &*models[0].family), ("ns", "llama"));
    assert_eq!(models[0].capabilities, ["completion", "tools"]);
    assert!(models[1].remote && models[1].owner == "library");
    assert!(OLLAMA.read_models(b"<html>").is_err());
    assert!(OLLAMA.read_models(b"{}").is_err());
}
