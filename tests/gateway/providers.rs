//! What providers do differently, over real sockets.

use crate::support::{Gateway, Script, Seen, Upstream, config, secret};
use serde_json::{Value, json};

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "x" }] })
}

#[tokio::test]
async fn azure_reads_its_key_from_a_header_of_its_own() {
    let upstream = Upstream::always(&["m"], Script::completion("Yes")).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&[("azure", "azure", &upstream)]);
    let azure = config.upstream.get_mut("azure").unwrap();
    azure.url = Some(format!("http://{}/openai/v1", upstream.addr));
    azure.key = Some(secret(&folder, "key", "ours"));
    let gateway = Gateway::start(config).await;
    let client = gateway.client().with("authorization", "Bearer theirs").with("api-key", "theirs");
    let whole = client.post("/v1/chat/completions", &ask(false)).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "Yes");
    let seen = upstream.seen();
    assert_eq!(seen.last().unwrap().path, "/openai/v1/chat/completions");
    // The looks at what it has came before.
    for seen in seen {
        assert_eq!(seen.headers["api-key"], "ours", "{}", seen.path);
        assert!(!seen.headers.contains_key("authorization"), "{}", seen.path);
    }
}

#[tokio::test]
async fn mistral_is_sent_ids_that_it_takes_and_no_field_that_it_refuses() {
    let upstream = Upstream::always(&["m"], Script::chunks(&["Yes"])).await;
    let gateway = Gateway::start(config(&[("mistral", "mistral", &upstream)])).await;
    let mut body = ask(true);
    body["options"] = json!({ "seed": 7, "min_p": 0.1 });
    body["messages"] = json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": "", "tool_calls":
            [{ "id": "call_0123456789abcdef", "function": { "name": "f", "arguments": {} } }] },
        { "role": "tool", "tool_call_id": "call_0123456789abcdef", "content": "F" },
    ]);
    let answer = gateway.client().post("/api/chat", &body).await;
    assert_eq!(answer.header("x-unigate-warning"), "mistral does not take: min_p");
    assert_eq!(answer.lines().last().unwrap()["done"], true);
    let sent = upstream.seen()[0].json();
    let id = sent["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(sent["messages"][2]["tool_call_id"], id);
    assert_eq!(sent["random_seed"], 7);
    assert!(sent.get("stream_options").is_none());
}

#[tokio::test]
async fn a_stream_of_mistrals_passes_as_it_was_asked_for() {
    let upstream = Upstream::always(&["m"], Script::chunks(&["Yes"])).await;
    let gateway = Gateway::start(config(&[("mistral", "mistral", &upstream)])).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(true)).await;
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
    assert!(upstream.seen()[0].json().get("stream_options").is_none());
}

#[tokio::test]
async fn an_upstream_that_refuses_to_be_asked_for_usage_is_asked_once() {
    let play = |seen: &Seen| match seen.json().get("stream_options") {
        None => Script::chunks(&["Yes"]),
        Some(_) => {
            Script::error(400, &json!({ "error": { "message": "unknown field stream_options" } }))
        }
    };
    let upstream = Upstream::start(&["m"], play).await;
    let gateway = Gateway::start(config(&[("own", "openai-compatible", &upstream)])).await;
    for path in ["/api/chat", "/v1/chat/completions"] {
        let answer = gateway.client().post(path, &ask(true)).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let asked: Vec<_> =
        upstream.seen().iter().map(|seen| seen.json().get("stream_options").is_some()).collect();
    assert_eq!(asked, [true, false, false]);
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 2, "one row for each request");
    assert!(rows.iter().all(|row| row["status_code"] == 200));
}
