//! Any client before any upstream: each pair of dialects, streamed and not, over real sockets.
//!
//! The tables themselves are tested as pure functions where they are; here it is the way through the stack.

use crate::support::{Gateway, Script, Seen, Upstream, config};
use serde_json::{Value, json};

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "x" }] })
}

#[tokio::test]
async fn an_openai_client_is_answered_by_an_ollama() {
    let play = |seen: &Seen| match seen.json()["stream"] == json!(true) {
        true => Script::chat(&["Hel", "lo"]),
        false => Script::said("Hello"),
    };
    let upstream = Upstream::start(&["m"], play).await;
    let gateway = Gateway::before(&upstream).await;
    let mut body = ask("m", false);
    body["max_completion_tokens"] = 5.into();
    body["stop"] = "END".into();
    let whole = gateway.client().post("/v1/chat/completions", &body).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        whole["usage"],
        json!({ "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 })
    );
    let sent = &upstream.seen()[0];
    assert_eq!((sent.path.as_str(), sent.json()["stream"].clone()), ("/api/chat", json!(false)));
    assert_eq!(sent.json()["options"]["num_predict"], 5);
    assert_eq!(sent.json()["options"]["stop"], json!(["END"]));
    let mut body = ask("m", true);
    body["stream_options"] = json!({ "include_usage": true });
    let events = gateway.client().post("/v1/chat/completions", &body).await.events();
    let text: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Hello");
    assert_eq!(events[events.len() - 2]["usage"]["total_tokens"], 5);
    assert_eq!(events.last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn an_ollama_client_is_answered_by_an_openai() {
    let play = |seen: &Seen| match seen.json()["stream"] == json!(true) {
        true => Script::chunks(&["He", "llo"]),
        false => Script::completion("Hello"),
    };
    let upstream = Upstream::start(&["g"], play).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    let whole = gateway.client().post("/api/chat", &ask("g", false)).await.json();
    assert_eq!((&whole["message"]["content"], &whole["done"]), (&json!("Hello"), &json!(true)));
    assert_eq!((&whole["prompt_eval_count"], &whole["eval_count"]), (&json!(5), &json!(2)));
    assert_eq!(upstream.seen()[0].path, "/v1/chat/completions");
    let streamed = gateway
        .client()
        .post(
            "/api/chat",
            &json!({ "model": "g", "messages": [{ "role": "user", "content": "x" }] }),
        )
        .await;
    assert_eq!(streamed.header("content-type"), "application/x-ndjson");
    let lines = streamed.lines();
    assert_eq!(lines.iter().filter(|line| line["done"] == json!(true)).count(), 1);
    assert_eq!(lines.last().unwrap()["eval_count"], 2);
    let text: String =
        lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert_eq!(text, "Hello");
    let generated = gateway
        .client()
        .post("/api/generate", &json!({ "model": "g", "prompt": "x", "stream": false }))
        .await;
    assert_eq!(generated.json()["response"], "Hello");
}

#[tokio::test]
async fn golden_60_a_load_of_a_cloud_model_is_answered_without_asking_anyone() {
    let upstream = Upstream::always(&["g"], Script::completion("never")).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    let loaded = gateway.client().post("/api/generate", &json!({ "model": "g" })).await.json();
    assert_eq!((&loaded["done"], &loaded["done_reason"]), (&json!(true), &json!("load")));
    let body = json!({ "model": "g", "messages": [], "keep_alive": 0 });
    assert_eq!(gateway.client().post("/api/chat", &body).await.json()["done_reason"], "unload");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn completions_and_generate_are_each_others_translation() {
    let ollama = Upstream::always(
        &["m"],
        Script::json(
            &json!({ "model": "m", "response": "ab", "done": true, "done_reason": "stop" }),
        ),
    )
    .await;
    let gateway = Gateway::before(&ollama).await;
    let body = json!({ "model": "m", "prompt": "p", "max_tokens": 3 });
    let answer = gateway.client().post("/v1/completions", &body).await.json();
    assert_eq!(
        (&answer["object"], &answer["choices"][0]["text"]),
        (&json!("text_completion"), &json!("ab"))
    );
    let sent = ollama.seen()[0].clone();
    assert_eq!(
        (sent.path.as_str(), &sent.json()["options"]["num_predict"]),
        ("/api/generate", &json!(3))
    );
}

#[tokio::test]
async fn golden_65_and_67_embeddings_in_every_form() {
    let vectors = json!({ "model": "m", "embeddings": [[0.1, -0.2, 0.3]], "prompt_eval_count": 4 });
    let ollama = Upstream::always(&["m"], Script::json(&vectors)).await;
    let gateway = Gateway::before(&ollama).await;
    let mut body = json!({ "model": "m", "input": "x", "encoding_format": "base64" });
    let answer = gateway.client().post("/v1/embeddings", &body).await.json();
    assert_eq!(answer["data"][0]["embedding"], "zczMPc3MTL6amZk+");
    assert_eq!(answer["usage"]["prompt_tokens"], 4);
    body["encoding_format"] = "float".into();
    let answer = gateway.client().post("/v1/embeddings", &body).await.json();
    assert_eq!(answer["data"][0]["embedding"], json!([0.1, -0.2, 0.3]));
    body["encoding_format"] = "int8".into();
    assert_eq!(gateway.client().post("/v1/embeddings", &body).await.status, 400);

    let data = json!({ "data": [
        { "index": 1, "embedding": [2.0] }, { "index": 0, "embedding": [1.0] }
    ], "usage": { "prompt_tokens": 2 } });
    let cloud = Upstream::always(&["g"], Script::json(&data)).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &cloud)])).await;
    let body = json!({ "model": "g", "input": ["a", "b"] });
    let answer = gateway.client().post("/api/embed", &body).await.json();
    assert_eq!(answer["embeddings"], json!([[1.0], [2.0]]));
    let body = json!({ "model": "g", "prompt": "a" });
    assert!(gateway.client().post("/api/embeddings", &body).await.json()["embedding"].is_array());
}

#[tokio::test]
async fn golden_40_and_62_an_upstreams_refusal_is_told_in_the_clients_dialect() {
    let missing = json!({ "error": "model 'm' not found" });
    let ollama = Upstream::always(&["m"], Script::error(404, &missing)).await;
    let gateway = Gateway::before(&ollama).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask("m", true)).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["code"], "model_not_found");
    assert_eq!(answer.json()["error"]["message"], "model 'm' not found");
    let same = gateway.client().post("/api/chat", &ask("m", true)).await;
    assert_eq!((same.status.as_u16(), same.json()), (404, missing));

    let mut limited = Script::error(429, &json!({ "error": { "message": "slow down" } }));
    limited.headers.push(("retry-after", "7".into()));
    let cloud = Upstream::always(&["g"], limited).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &cloud)])).await;
    let answer = gateway.client().post("/api/chat", &ask("g", true)).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "7"));
    assert_eq!(answer.json()["error"], "slow down");
}

#[tokio::test]
async fn an_upstream_that_refuses_our_key_is_not_the_clients_to_sign_in_to() {
    let refused = json!({ "error": { "message": "bad key" } });
    let cloud = Upstream::always(&["g"], Script::error(401, &refused)).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &cloud)])).await;
    let answer = gateway.client().post("/api/chat", &ask("g", true)).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
}

#[tokio::test]
async fn golden_58_a_limit_is_told_in_the_word_that_the_upstream_heeds() {
    let upstream = Upstream::always(&["g"], Script::completion("hi")).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    let mut body = ask("g", false);
    body["options"] = json!({ "num_predict": 50, "stop": "x" });
    gateway.client().post("/api/chat", &body).await;
    let sent = upstream.seen()[0].json();
    assert_eq!((&sent["max_tokens"], &sent["max_completion_tokens"]), (&json!(50), &Value::Null));
    assert_eq!(sent["stop"], json!(["x"]));
}

#[tokio::test]
async fn models_of_an_upstream_that_is_no_ollama_can_be_shown_and_pulled_by_ollamas_rules() {
    let upstream = Upstream::always(&["tiny:latest"], Script::json(&json!({}))).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    let client = gateway.client();
    for name in ["tiny", "tiny:latest", "TINY"] {
        let shown = client.post("/api/show", &json!({ "model": name })).await.json();
        let architecture = shown["model_info"]["general.architecture"].as_str().unwrap();
        assert!(shown["model_info"][format!("{architecture}.context_length")].is_u64(), "{shown}");
        assert_eq!(client.get(&format!("/v1/models/{name}")).await.status, 200, "{name}");
        let pulled = client.post("/api/pull", &json!({ "model": name })).await.lines();
        assert_eq!(pulled.last().unwrap()["status"], "success");
    }
    let shown = client.post("/api/show", &json!({ "model": "auto" })).await;
    assert_eq!(shown.status, 404, "nothing stands behind auto here: {}", shown.text());
    let missing = client.post("/api/show", &json!({ "model": "huge" })).await;
    assert_eq!(missing.status, 404, "{}", missing.text());
    let pulled = client.post("/api/pull", &json!({ "model": "huge" })).await.lines();
    assert_eq!(pulled[1]["error"], "pull model manifest: file does not exist");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn auto_can_be_shown_when_its_default_is_elsewhere() {
    let ollama = Upstream::always(&["m"], Script::json(&json!({}))).await;
    let cloud = Upstream::always(&["g"], Script::json(&json!({}))).await;
    let mut config = config(&[("ollama", "ollama", &ollama), ("cloud", "openai", &cloud)]);
    config.models.default = Some("cloud/g".into());
    let gateway = Gateway::start(config).await;
    let shown = gateway.client().post("/api/show", &json!({ "model": "auto" })).await;
    assert_eq!(shown.json()["model_info"]["general.basename"], "g", "{}", shown.text());
}

#[tokio::test]
async fn golden_64_a_whole_answer_to_a_streamed_request_becomes_a_stream() {
    let cloud = Upstream::always(&["g"], Script::completion("Hello")).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &cloud)])).await;
    let answer = gateway.client().post("/api/chat", &ask("g", true)).await;
    let lines = answer.lines();
    assert_eq!(lines.last().unwrap()["done"], true);
    let text: String =
        lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert_eq!(text, "Hello");
}

#[tokio::test]
async fn lists_and_details_have_every_model_in_both_dialects() {
    let ollama = Upstream::always(
        &["small:1b", "large:8b"],
        Script::json(
            &json!({ "details": {}, "model_info": { "x": 1 }, "capabilities": ["completion"] }),
        ),
    )
    .await;
    let cloud = Upstream::always(&["g"], Script::json(&json!({}))).await;
    let gateway =
        Gateway::start(config(&[("ollama", "ollama", &ollama), ("cloud", "openai", &cloud)])).await;
    let client = gateway.client();
    let list = client.get("/v1/models").await;
    assert!(list.header("x-unigate-route").starts_with("local;"));
    let list = list.json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(&ids[..4], ["small:1b", "large:8b", "g", "auto"]);
    let tags = client.get("/api/tags").await.json();
    for model in tags["models"].as_array().unwrap() {
        for field in ["name", "model", "modified_at", "size", "digest", "details"] {
            assert!(!model[field].is_null(), "{field} of {model}");
        }
    }
    assert!(tags["models"].as_array().unwrap().iter().any(|m| m["name"] == "auto:latest"));
    assert_eq!(client.get("/v1/models/auto").await.json()["id"], "auto");
    assert_eq!(client.get("/v1/models/g").await.json()["id"], "g");
    assert_eq!(client.get("/v1/models/nothing").await.status, 404);
    let shown = client.post("/api/show", &json!({ "model": "auto" })).await;
    assert_eq!(shown.json()["model_info"]["x"], 1, "auto shows what its default model shows");
    assert_eq!(ollama.seen()[0].json()["model"], "large:8b");
    assert!(
        client.post("/api/show", &json!({ "name": "g" })).await.json()["model_info"].is_object()
    );
    assert_eq!(client.get("/api/version").await.json()["version"], "0.24.0");
    assert!(client.get("/api/ps").await.json()["models"].is_array());
    let pulled = client.post("/api/pull", &json!({ "model": "auto" })).await;
    assert_eq!(pulled.lines().last().unwrap()["status"], "success");
}

#[tokio::test]
async fn an_ollama_that_is_to_be_spoken_to_in_openais_dialect_gets_the_bytes() {
    let upstream = Upstream::always(&["m"], Script::completion("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.upstream.get_mut("ollama").unwrap().chat = Some("openai".into());
    let gateway = Gateway::start(config).await;
    let body = ask("m", false).to_string();
    let client = gateway.client();
    assert_eq!(
        client.send(http::Method::POST, "/v1/chat/completions", body.clone()).await.status,
        200
    );
    assert_eq!(
        (upstream.seen()[0].path.as_str(), &upstream.seen()[0].body[..]),
        ("/v1/chat/completions", body.as_bytes())
    );
}

#[tokio::test]
async fn what_only_an_ollama_can_do_is_refused_by_name_elsewhere() {
    let cloud = Upstream::always(&["g"], Script::json(&json!({}))).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &cloud)])).await;
    let answer =
        gateway.client().post("/api/copy", &json!({ "source": "a", "destination": "b" })).await;
    assert_eq!(answer.status, 501);
    assert!(answer.json()["error"].as_str().unwrap().starts_with("not supported by this gateway"));
}
