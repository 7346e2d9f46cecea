//! What is wrong is refused at the door of its own dialect: with its status, its words, one row, and nothing sent on.
//!
//! What is wrong in which field is tested as pure functions, in `tests/conformance`; here it is the way through the stack.

use crate::support::{Gateway, Script, Upstream, config};
use http::Method;
use serde_json::{Value, json};

/// A front: its path, a provider of another dialect, where the words of its errors stand, and what is wrong.
struct Front {
    path: &'static str,
    provider: &'static str,
    words: &'static str,
    wrong: &'static [(&'static str, &'static str)],
}

const FRONTS: &[Front] = &[
    Front {
        path: "/v1/chat/completions",
        provider: "ollama",
        words: "/error/message",
        wrong: &[
            (r#"[{"role":"robot","content":"x"}]"#, "messages[0].role"),
            (
                r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%"}}]}]"#,
                "messages[0].content[0].image_url",
            ),
            (r#"[{"role":"tool","tool_call_id":"c","content":"x"}]"#, "messages[0].tool_call_id"),
            (
                r#"[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{"}}]}]"#,
                "messages[0].tool_calls[0].function.arguments",
            ),
        ],
    },
    Front {
        path: "/api/chat",
        provider: "openai",
        words: "/error",
        wrong: &[
            (r#"[{"content":"x"}]"#, "messages[0].role"),
            (r#"[{"role":"user","images":["%"]}]"#, "messages[0].images[0]"),
            (r#"[{"role":"tool","tool_name":"f","content":"x"}]"#, "matching tool call"),
            (
                r#"[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}]"#,
                "messages[0].tool_calls[0].function.arguments",
            ),
        ],
    },
    Front {
        path: "/v1/messages",
        provider: "ollama",
        words: "/error/message",
        wrong: &[
            (r#"[{"role":"robot","content":"x"}]"#, "messages[0].role"),
            (
                r#"[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%"}}]}]"#,
                "messages[0].content[0].source",
            ),
            (
                r#"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"x"}]}]"#,
                "messages[0].content[0].tool_use_id",
            ),
            (
                r#"[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":"{"}]}]"#,
                "messages[0].content[0].input",
            ),
        ],
    },
];

#[tokio::test]
async fn each_front_refuses_what_is_wrong_in_its_own_words_and_asks_nobody() {
    for front in FRONTS {
        let upstream = Upstream::always(&["m"], Script::json(&json!({}))).await;
        let gateway = Gateway::start(config(&[("it", front.provider, &upstream)])).await;
        for (messages, named) in front.wrong {
            for stream in [true, false] {
                let body = format!(
                    r#"{{"model":"m","max_tokens":9,"stream":{stream},"messages":{messages}}}"#
                );
                let answer = gateway.client().send(Method::POST, front.path, body).await;
                assert_eq!(answer.status, 400, "{}: {}", front.path, answer.text());
                assert_eq!(answer.header("content-type"), "application/json");
                let answer: Value = answer.json();
                let words = answer.pointer(front.words).and_then(Value::as_str).unwrap();
                assert!(words.contains(named), "{}: {words}", front.path);
            }
        }
        assert!(upstream.seen().is_empty(), "{}", front.path);
        let rows = gateway.stop().await;
        assert_eq!(rows.len(), front.wrong.len() * 2, "{}", front.path);
        for row in rows {
            assert_eq!((&row["status_code"], &row["ending"]), (&json!(400), &json!("failed")));
        }
    }
}

#[tokio::test]
async fn a_line_of_nearly_eight_million_bytes_reaches_a_client_of_another_dialect() {
    let text = "x".repeat(7_900_000);
    let upstream = Upstream::always(&["m"], Script::chat(&[&text, "|"])).await;
    let gateway = Gateway::before(&upstream).await;
    let body =
        json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "x" }] });
    let answer = gateway.client().post("/v1/chat/completions", &body).await;
    let events = answer.events();
    let said = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    let said: String = said.collect();
    assert!(said.len() == text.len() + 1 && said.ends_with("x|"), "{} bytes", said.len());
    assert_eq!(events.last().unwrap(), "[DONE]");
}
