//! Upstreams that are not there, do not speak, speak something else, or are ourselves.

use super::{CHATS, all_failed, ask, refusal};
use crate::support::{Gateway, Script, Step, Upstream, config};
use serde_json::json;
use tokio::net::TcpListener;

/// Asks in both dialects and both forms; what was said, and the status each row must have.
async fn asked(gateway: &Gateway) -> Vec<(&'static str, u16, String, String, String)> {
    let mut all = Vec::new();
    for path in CHATS {
        for stream in [true, false] {
            let answer = gateway.client().post(path, &ask(stream)).await;
            let (status, message, code) = refusal(path, &answer);
            let after = answer.header("retry-after").to_owned();
            all.push((path, status, message, code, after));
        }
    }
    all
}

#[tokio::test]
async fn an_upstream_that_is_down_is_503_with_its_address_and_when_to_come_again() {
    let upstream = Upstream::nobody().await;
    let gateway = Gateway::before(&upstream).await;
    for (path, status, message, _, after) in asked(&gateway).await {
        assert_eq!(status, 503, "{path}: {message}");
        assert!(message.contains("cannot reach ollama"), "{path}: {message}");
        assert!(message.contains(&upstream.addr.to_string()), "{path}: {message}");
        assert!(after.parse::<u64>().is_ok(), "{path}: retry-after {after:?}");
    }
    for path in ["/api/tags", "/v1/models", "/api/ps"] {
        let (status, message, _) = refusal(path, &gateway.client().get(path).await);
        assert_eq!(status, 503, "{path}");
        assert!(message.contains(&upstream.addr.to_string()), "{path}: {message}");
    }
    all_failed(gateway, &[503; 6]).await;
}

#[tokio::test]
async fn an_upstream_that_answers_html_is_502() {
    let page = "<!DOCTYPE html><html><body>Welcome to the router</body></html>";
    for provider in ["ollama", "openai"] {
        let upstream =
            Upstream::always(&["m"], Script::new("text/html; charset=utf-8", page)).await;
        let gateway = Gateway::start(config(&[("it", provider, &upstream)])).await;
        for (path, status, message, _, _) in asked(&gateway).await {
            assert_eq!(status, 502, "{path} at {provider}: {message}");
            assert!(message.contains("HTML") && !message.contains("<html"), "{message}");
        }
        all_failed(gateway, &[502; 4]).await;
    }
}

#[tokio::test]
async fn an_upstream_whose_errors_are_html_keeps_its_status_and_loses_its_page() {
    let mut page = Script::new("text/html", "<html>502 Bad Gateway nginx</html>");
    page.status = http::StatusCode::BAD_GATEWAY;
    let upstream = Upstream::always(&["m"], page).await;
    let gateway = Gateway::before(&upstream).await;
    let path = "/v1/chat/completions";
    let (status, message, _) = refusal(path, &gateway.client().post(path, &ask(true)).await);
    assert_eq!(status, 502);
    assert!(!message.contains("<html"), "{message}");
    all_failed(gateway, &[502]).await;
}

#[tokio::test]
async fn an_upstream_that_ends_before_it_said_anything_is_502() {
    let begun = json!({ "message": { "role": "assistant", "content": "" }, "done": false });
    for script in [
        Script::lines(&[]),
        Script::lines(&[begun]),
        Script::chat(&["a"]).then(0, Step::Break),
        Script::new("application/x-ndjson", "{\"message\":{\"content\":\"\"}"),
    ] {
        let upstream = Upstream::always(&["m"], script.clone()).await;
        let gateway = Gateway::before(&upstream).await;
        for (path, status, message, _, _) in asked(&gateway).await {
            assert_eq!(status, 502, "{path} {script:?}: {message}");
            assert!(message.contains("ollama"), "{path}: {message}");
        }
        all_failed(gateway, &[502; 4]).await;
    }
}

#[tokio::test]
async fn an_upstream_that_says_nothing_in_time_is_504() {
    for path in CHATS {
        let upstream = Upstream::always(&["m"], Script::chat(&[]).then(0, Step::Hang)).await;
        let mut config = config(&[("ollama", "ollama", &upstream)]);
        config.upstream.get_mut("ollama").unwrap().first_byte_s = Some(0.05);
        let gateway = Gateway::start(config).await;
        let answer = gateway.client().post(path, &ask(true)).await;
        let (status, message, _) = refusal(path, &answer);
        assert_eq!(status, 504, "{path}");
        assert!(message.contains("0.05 s") && message.contains("first_byte_s"), "{message}");
        upstream.cut_off(1).await;
        let rows = all_failed(gateway, &[504]).await;
        assert_eq!(rows[0]["error_code"], "first_byte_timeout");
    }
}

#[tokio::test]
async fn an_upstream_that_is_ourselves_is_noticed() {
    let unused = Upstream::nobody().await;
    for provider in ["ollama", "openai"] {
        let mut config = config(&[("ollama", provider, &unused)]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let version = if provider == "ollama" { "" } else { "/v1" };
        config.upstream.get_mut("ollama").unwrap().url = Some(format!("http://{addr}{version}"));
        let gateway = Gateway::on(listener, config).await;
        for (path, status, message, code, _) in asked(&gateway).await {
            assert_eq!(status, 508, "{path} at {provider}: {message}");
            assert!(message.contains("upstream.ollama.url"), "it says what to do: {message}");
            assert!(code.is_empty() || code == "loop_detected", "{code}");
        }
        for path in ["/api/tags", "/v1/models", "/v1/files", "/something"] {
            let answer = gateway.client().get(path).await;
            assert!(answer.status.is_server_error(), "{path}: {}", answer.text());
            assert!(answer.text().contains("this gateway"), "{path}: {}", answer.text());
        }
        let rows = gateway.stop().await;
        assert!(rows.iter().all(|row| row["ending"] == "failed"), "{rows:?}");
        assert!(rows.len() < 100, "a question to oneself is not asked on and on: {}", rows.len());
    }
}
