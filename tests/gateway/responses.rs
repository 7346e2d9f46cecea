//! Clients of the Responses API before who speaks it and who does not, over real sockets.

use crate::support::{Gateway, Script, Seen, Step, Upstream, config};
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/v1/responses";

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "input": "x", "max_output_tokens": 50 })
}

fn fixture(name: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/responses/");
    std::fs::read_to_string(format!("{root}{name}")).unwrap()
}

fn text(events: &[Value]) -> String {
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    deltas.filter_map(|event| event["delta"].as_str()).collect()
}

/// An answer of an upstream that speaks the same.
fn response(text: &str) -> Value {
    json!({ "id": "resp_up", "object": "response", "status": "completed", "model": "g",
        "output": [{ "id": "msg_up", "type": "message", "status": "completed", "role": "assistant",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }] }],
        "usage": { "input_tokens": 5, "input_tokens_details": { "cached_tokens": 1 },
            "output_tokens": 2, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": 7 } })
}

fn either(seen: &Seen) -> Script {
    let stream = !seen.body.is_empty() && seen.json()["stream"] == json!(true);
    match (seen.path.as_str(), stream) {
        ("/api/chat", true) => Script::chat(&["Hel", "lo"]),
        ("/api/chat", false) => Script::said("Hello"),
        ("/v1/chat/completions", true) => Script::chunks(&["Hel", "lo"]),
        ("/v1/chat/completions", false) => Script::completion("Hello"),
        ("/v1/messages", true) => Script::blocks(&["Hel", "lo"]),
        ("/v1/messages", false) => Script::message("Hello"),
        (_, true) => Script::new("text/event-stream", fixture("chat.sse")),
        (_, false) => Script::json(&response("Hello")),
    }
}

#[tokio::test]
async fn whoever_does_not_speak_it_is_asked_in_their_own_words() {
    for (provider, dialect, path, prompt) in [
        ("ollama", "ollama", "/api/chat", 3),
        ("groq", "openai", "/v1/chat/completions", 5),
        ("anthropic", "anthropic", "/v1/messages", 7),
    ] {
        let upstream = Upstream::start(&["m"], either).await;
        let gateway = Gateway::start(config(&[("up", provider, &upstream)])).await;
        let whole = gateway.client().post(PATH, &ask("m", false)).await.json();
        assert_eq!(whole["output"][0]["content"][0]["text"], "Hello", "{provider}");
        assert_eq!((&whole["status"], &whole["model"]), (&json!("completed"), &json!("m")));
        assert_eq!((&whole["max_output_tokens"], &whole["store"]), (&json!(50), &json!(false)));
        assert_eq!(whole["usage"]["input_tokens"], prompt);
        assert_eq!(upstream.seen()[0].path, path);
        let streamed = gateway.client().post(PATH, &ask("m", true)).await;
        assert_eq!(streamed.header("content-type"), "text/event-stream");
        let events = streamed.events();
        assert_eq!(text(&events), "Hello", "{provider}");
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number);
        }
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.completed");
        assert_eq!(last["response"]["usage"]["input_tokens"], prompt);
        let rows = gateway.stop().await;
        assert_eq!(rows.len(), 2);
        for row in &rows {
            assert_eq!(
                (&row["dialect"], &row["upstream_dialect"], &row["operation"]),
                (&json!("responses"), &json!(dialect), &json!("chat"))
            );
            assert_eq!(
                (&row["prompt_tokens"], &row["completion_tokens"]),
                (&json!(prompt), &json!(2))
            );
        }
    }
}

#[tokio::test]
async fn who_speaks_it_gets_and_gives_every_byte() {
    let upstream = Upstream::start(&["g"], either).await;
    let gateway = Gateway::start(config(&[("openai", "openai", &upstream)])).await;
    let body = r#"{ "model":"g", "previous_response_id": "resp_0", "input" : [{"type":"item_reference","id":"i"}],
        "tools":[{"type":"mcp"}], "unknown": 1.50 }"#;
    let client = gateway.client().with("content-type", "application/json");
    let whole = client.send(Method::POST, PATH, body).await;
    assert_eq!(whole.json(), response("Hello"));
    let streamed =
        client.send(Method::POST, PATH, body.replacen('{', r#"{"stream":true,"#, 1)).await;
    assert_eq!(streamed.text(), fixture("chat.sse"));
    let seen = upstream.seen();
    assert_eq!((seen[0].path.as_str(), &seen[0].body[..]), (PATH, body.as_bytes()));
    assert_eq!(seen[1].path, PATH);
    // What looks after kept answers passes too.
    client.send(Method::DELETE, "/v1/responses/resp_1", "").await;
    assert_eq!(upstream.seen()[2].path, "/v1/responses/resp_1");
    let rows = gateway.stop().await;
    let dialects = |row: &Value| (row["dialect"].clone(), row["upstream_dialect"].clone());
    assert_eq!(dialects(&rows[0]), (json!("responses"), json!("responses")));
    assert_eq!((&rows[0]["prompt_tokens"], &rows[0]["completion_tokens"]), (&json!(5), &json!(2)));
    assert_eq!((&rows[1]["prompt_tokens"], &rows[1]["completion_tokens"]), (&json!(9), &json!(3)));
    assert_eq!(rows[2]["dialect"], "openai");
}

#[tokio::test]
async fn the_configuration_says_who_speaks_it() {
    let upstream = Upstream::start(&["m"], either).await;
    for (provider, chat, path) in [
        ("ollama", "openai", "/v1/chat/completions"),
        ("ollama", "responses", PATH),
        ("openai", "openai", "/v1/chat/completions"),
        ("vllm", "responses", PATH),
    ] {
        let mut config = config(&[("up", provider, &upstream)]);
        config.upstream.get_mut("up").unwrap().chat = Some(chat.into());
        let gateway = Gateway::start(config).await;
        let answer = gateway.client().post(PATH, &ask("m", false)).await.json();
        assert_eq!(answer["output"][0]["content"][0]["text"], "Hello");
        assert_eq!(upstream.seen().last().unwrap().path, path, "{provider} {chat}");
        let others = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
        let answer = gateway.client().post("/v1/chat/completions", &others).await.json();
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello", "{provider} {chat}");
    }
}

#[tokio::test]
async fn who_keeps_no_answers_is_not_asked_for_one() {
    let upstream = Upstream::start(&["m"], either).await;
    let gateway = Gateway::before(&upstream).await;
    for field in ["previous_response_id", "conversation"] {
        let mut body = ask("m", true);
        body[field] = "resp_0".into();
        let answer = gateway.client().post(PATH, &body).await;
        assert_eq!(answer.status, 400);
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error");
        let words = error["message"].as_str().unwrap();
        assert!(words.contains(field) && words.contains("keeps no answers"), "{words}");
    }
    assert!(upstream.seen().is_empty());
    let rows = gateway.stop().await;
    assert_eq!((&rows[0]["status_code"], &rows[0]["dialect"]), (&json!(400), &json!("responses")));
}

#[tokio::test]
async fn a_search_of_the_web_is_left_out_with_a_warning() {
    let upstream = Upstream::start(&["m"], either).await;
    let gateway = Gateway::before(&upstream).await;
    let mut body = ask("m", false);
    body["tools"] = json!([{ "type": "web_search", "external_web_access": false }]);
    let answer = gateway.client().post(PATH, &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-unigate-warning").contains("web_search"));
    assert_eq!(answer.json()["tools"], body["tools"]);
    body["tools"] = json!([{ "type": "file_search" }]);
    let answer = gateway.client().post(PATH, &body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("file_search"), "{}", answer.text());
}

#[tokio::test]
async fn an_error_inside_the_stream_is_told_as_the_api_tells_it() {
    let broken =
        Script::chat(&["Hel", "lo"]).then(1, Step::Data("{\"error\":\"gpu gone\"}\n".into()));
    let upstream = Upstream::always(&["m"], broken).await;
    let gateway = Gateway::before(&upstream).await;
    let events = gateway.client().post(PATH, &ask("m", true)).await.events();
    assert_eq!(text(&events), "Hel");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["sequence_number"]),
        (&json!("error"), &json!(events.len() - 1))
    );
    assert!(last["message"].as_str().unwrap().contains("gpu gone"));
    assert_eq!(last["error"]["message"], last["message"]);
    let rows = gateway.stop().await;
    assert!(rows[0]["error_message"].as_str().unwrap().contains("gpu gone"));
}

#[tokio::test]
async fn a_stream_that_is_cut_on_its_way_ends_in_an_error_with_its_number() {
    let stream = fixture("chat.sse");
    let at = stream.find("event: response.completed").unwrap();
    let cut = Script::new("text/event-stream", stream[..at].to_owned());
    let upstream = Upstream::always(&["g"], cut).await;
    let gateway = Gateway::start(config(&[("openai", "openai", &upstream)])).await;
    let answer = gateway.client().post(PATH, &ask("g", true)).await;
    assert!(answer.text().starts_with(&stream[..at]));
    let events = answer.events();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["sequence_number"]),
        (&json!("error"), &json!(events.len() - 1))
    );
}

#[tokio::test]
async fn a_kept_answer_serves_both_forms_and_an_act_is_never_kept() {
    let upstream = Upstream::start(&["m", "g"], either).await;
    for (provider, model) in [("ollama", "m"), ("openai", "g")] {
        let gateway = Gateway::start(config(&[("up", provider, &upstream)])).await;
        let mut body = ask(model, false);
        body["temperature"] = 0.into();
        let first = gateway.client().post(PATH, &body).await;
        assert_eq!(first.header("x-unigate-cache"), "MISS");
        let again = gateway.client().post(PATH, &body).await;
        assert_eq!((again.header("x-unigate-cache"), &again.body), ("HIT", &first.body));
        body["stream"] = true.into();
        let streamed = gateway.client().post(PATH, &body).await;
        assert_eq!(streamed.header("x-unigate-cache"), "HIT");
        let events = streamed.events();
        assert_eq!(text(&events), "Hello");
        assert_eq!(events.last().unwrap()["response"], first.json());
        // An answer repeats its request: another one is not the same.
        body["metadata"] = json!({ "k": "v" });
        let other = gateway.client().post(PATH, &body).await;
        assert_eq!(other.header("x-unigate-cache"), "MISS");
        body["stream"] = false.into();
        let whole = gateway.client().post(PATH, &body).await;
        assert_eq!(whole.header("x-unigate-cache"), "HIT");
        let last = other.events().last().unwrap()["response"].clone();
        assert_eq!(whole.json(), last);
        body["conversation"] = "c".into();
        let act = gateway.client().post(PATH, &body).await;
        assert_eq!(act.header("x-unigate-cache"), "BYPASS");
    }
}

#[tokio::test]
async fn it_is_routed_by_what_it_asks() {
    let local = Upstream::start(&["m"], either).await;
    let cloud = Upstream::start(&["g"], either).await;
    let gateway =
        Gateway::start(config(&[("ollama", "ollama", &local), ("cloud", "openai", &cloud)])).await;
    for (model, upstream) in [("g", "cloud"), ("m", "ollama"), ("auto", "ollama")] {
        let answer = gateway.client().post(PATH, &ask(model, false)).await;
        assert_eq!(answer.header("x-unigate-upstream"), upstream, "{model}");
        assert_eq!(answer.json()["output"][0]["content"][0]["text"], "Hello");
    }
    let refused = gateway.client().post(PATH, &json!({ "input": "x" })).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["message"]),
        (400, &json!("model is required"))
    );
}

#[tokio::test]
async fn an_upstreams_refusal_is_told_in_openais_shape() {
    let missing = json!({ "error": "model 'm' not found" });
    let upstream = Upstream::always(&["m"], Script::error(404, &missing)).await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().post(PATH, &ask("m", true)).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["code"], "model_not_found");
}
