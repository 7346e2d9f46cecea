//! Bodies of a size that nobody expects: they pass where they can, and are refused where they must be read.

use super::{ask, refusal};
use crate::support::{Gateway, Script, Upstream, config};
use http::Method;
use serde_json::Value;

const MIB: usize = 1 << 20;

/// A question as large as this.
fn large(bytes: usize) -> Value {
    let mut body = ask(false);
    body["messages"][0]["content"] = "x".repeat(bytes).into();
    body
}

#[tokio::test]
async fn fifty_megabytes_are_no_trouble() {
    for path in super::CHATS {
        let upstream = Upstream::always(&["m"], Script::said("hi")).await;
        let gateway = Gateway::before(&upstream).await;
        let body = large(50 * MIB).to_string();
        let answer = gateway.client().send(Method::POST, path, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.whole), (200, true), "{path}");
        let seen = &upstream.seen()[0];
        assert!(seen.body.len() > 50 * MIB, "{path}");
        if path == "/api/chat" {
            assert!(seen.body == body, "the same bytes");
        }
        assert_eq!(gateway.stop().await[0]["ending"], "complete");
    }
}

#[tokio::test]
async fn above_the_limit_what_needs_no_translation_passes_and_the_rest_is_413() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.max_body_bytes = MIB;
    let gateway = Gateway::start(config).await;
    let body = large(2 * MIB).to_string();
    let answer = gateway.client().send(Method::POST, "/api/chat", body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-unigate-cache")), (200, "BYPASS"));
    assert!(upstream.seen()[0].body == body, "the same bytes");

    for _ in 0..10 {
        let path = "/v1/chat/completions";
        let answer = gateway.client().send(Method::POST, path, body.clone()).await;
        let (status, message, code) = refusal(path, &answer);
        assert_eq!((status, code.as_str()), (413, "request_too_large"));
        assert!(message.contains("1048576") && message.contains("max_body_bytes"), "{message}");
    }
    assert_eq!(upstream.seen().len(), 1);
    let rows = gateway.stop().await;
    assert_eq!(rows[0]["ending"], "complete");
    assert!(rows[1..].iter().all(|row| row["ending"] == "failed"), "{rows:?}");
}
