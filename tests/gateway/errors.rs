//! What is wrong is said in the client's dialect: what, why, and what to do. Nothing of it is logged as a success.

mod body;
mod door;
mod large;
mod secret;
mod upstream;

use crate::support::{Answer, Gateway};
use serde_json::{Value, json};

/// Where to chat, and in whose dialect.
const CHATS: [&str; 2] = ["/api/chat", "/v1/chat/completions"];

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "x" }] })
}

/// The message of a whole error in the dialect of the path; its code too, where the dialect has one.
#[track_caller]
fn refusal(path: &str, answer: &Answer) -> (u16, String, String) {
    assert!(answer.whole, "{path}: the error itself is whole");
    let kind = answer.header("content-type");
    assert!(kind.starts_with("application/json"), "{path}: {kind} {}", answer.text());
    assert_eq!(answer.header("x-request-id").len(), 36, "{path}: {:?}", answer.headers);
    let error = &answer.json()["error"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (message, code) = if path.starts_with("/v1/") {
        let error = error.as_object().unwrap_or_else(|| panic!("{path}: {}", answer.text()));
        for name in ["type", "param", "code"] {
            assert!(error.contains_key(name), "{path}: no {name} in {}", answer.text());
        }
        assert!(error["type"].is_string(), "{path}: {}", answer.text());
        (text(&error["message"]), text(&error["code"]))
    } else {
        assert!(error.is_string(), "{path}: {}", answer.text());
        (text(error), String::new())
    };
    assert!(!message.is_empty(), "{path}: {}", answer.text());
    (answer.status.as_u16(), message, code)
}

/// Stops, and makes sure of one failed row for each request, with the status that its client saw.
async fn all_failed(gateway: Gateway, statuses: &[u16]) -> Vec<Value> {
    let rows = gateway.stop().await;
    let logged: Vec<u64> =
        rows.iter().map(|row| row["status_code"].as_u64().unwrap_or_default()).collect();
    assert_eq!(logged, statuses.iter().map(|s| u64::from(*s)).collect::<Vec<_>>());
    for row in &rows {
        assert_eq!(row["ending"], "failed", "{row}");
        for column in ["error_code", "error_message"] {
            assert!(row[column].as_str().is_some_and(|text| !text.is_empty()), "{column}: {row}");
        }
    }
    rows
}
