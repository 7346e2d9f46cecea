//! A function call that the client insists on, from a model that cannot be made to call one: streamed and not, through the stack.

use crate::support::{Gateway, Script, Seen, Upstream};
use serde_json::{Value, json};

fn ask(stream: bool) -> Value {
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name } });
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "x" }],
        "tools": [tool("f"), tool("g")], "tool_choice": "required" })
}

const CALL: &str = r#"{"name": "f", "arguments": {"b": 1, "a": 2}}"#;

#[tokio::test]
async fn a_call_comes_whole_and_streamed() {
    let play = |seen: &Seen| match seen.json()["stream"] == json!(true) {
        true => Script::chat(&[&CALL[..9], &CALL[9..]]),
        false => Script::said(CALL),
    };
    let upstream = Upstream::start(&["m"], play).await;
    let gateway = Gateway::before(&upstream).await;
    let whole = gateway.client().post("/v1/chat/completions", &ask(false)).await;
    assert_eq!(whole.header("x-unigate-warning"), "");
    let choice = &whole.json()["choices"][0];
    let function = json!({ "name": "f", "arguments": "{\"b\":1,\"a\":2}" });
    assert_eq!(choice["message"]["tool_calls"][0]["function"], function);
    assert_eq!(choice["finish_reason"], "tool_calls");
    let events = gateway.client().post("/v1/chat/completions", &ask(true)).await.events();
    assert_eq!(events[0]["choices"][0]["delta"]["tool_calls"][0]["function"], function);
    assert_eq!(events[1]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(events.last().unwrap(), "[DONE]");
    let sent = upstream.seen()[0].json();
    assert!(sent["format"]["anyOf"].is_array() && sent.get("tools").is_none(), "{sent}");
}

#[tokio::test]
async fn an_answer_that_is_no_call_is_tried_again_and_then_said_to_be_none() {
    let play = |seen: &Seen| match seen.json()["stream"] == json!(true) {
        true => Script::chat(&["No", "."]),
        false => Script::said("No."),
    };
    let upstream = Upstream::start(&["m"], play).await;
    let gateway = Gateway::before(&upstream).await;
    for stream in [false, true] {
        let answer = gateway.client().post("/v1/chat/completions", &ask(stream)).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("call a function"));
    }
    assert_eq!(upstream.seen().len(), 4);
}
