//! What `/metrics` counts and `/readyz` tells, over real requests.

use crate::{
    streaming::next,
    support::{Gateway, Script, Step, Upstream, config, secret},
};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

fn ask(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "x" }], "stream": false })
}

/// The sum of all samples of a name, whatever their labels.
fn sum(text: &str, name: &str) -> f64 {
    let samples = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

#[tokio::test]
async fn the_counters_are_the_rows_added_up() {
    let upstream = Upstream::always(&["m"], Script::said("hello")).await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    for path in ["/v1/chat/completions", "/api/chat", "/v1/chat/completions"] {
        assert_eq!(client.post(path, &ask("m")).await.status, 200);
    }
    assert_eq!(client.post("/v1/chat/completions", &json!({ "model": 1 })).await.status, 400);
    assert_eq!(client.get("/health").await.status, 200);
    let answer = client.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let text = answer.text();
    // The look at the models when the gateway started has a row too, which the rows below leave out.
    let rows = gateway.stop().await;
    let before: Vec<&Value> = rows.iter().filter(|row| row["path"] != "/metrics").collect();
    assert_eq!(sum(&text, "unigate_requests_total"), before.len() as f64 + 1.0, "{text}");
    let number = |row: &Value, column: &str| row[column].as_u64().unwrap_or(0) as f64;
    for (name, column) in [
        ("unigate_body_bytes_total{direction=\"out\"}", "bytes_out"),
        ("unigate_attempts_total", "attempts"),
    ] {
        let counted: f64 = before.iter().map(|row| number(row, column)).sum();
        if column == "attempts" {
            assert_eq!(sum(&text, name), counted, "{text}");
        } else {
            let at = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert!(at.trim().parse::<f64>().unwrap() >= counted, "{text}");
        }
    }
    let tokens: f64 = before
        .iter()
        .map(|row| number(row, "prompt_tokens") + number(row, "completion_tokens"))
        .sum();
    assert!(tokens > 0.0, "{before:?}");
    assert_eq!(sum(&text, "unigate_tokens_total"), tokens, "{text}");
    let failed = before.iter().filter(|row| row["ending"] == "failed").count();
    assert_eq!(sum(&text, "unigate_errors_total"), failed as f64, "{text}");
    assert!(text.contains("unigate_log_rows_written_total"), "{text}");
    assert!(text.contains("unigate_config_generation 1.0"), "{text}");
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
    let page = include_str!("../../docs/operation.md");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/operation.md");
    }
}

#[tokio::test]
async fn a_request_is_in_flight_until_its_answer_has_ended() {
    let go = Arc::new(Notify::new());
    let mut script = Script::chat(&["one", "two"]);
    script.steps.insert(1, Step::Wait(go.clone()));
    let upstream = Upstream::always(&["m"], script).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    // There is a count without a log, too.
    config.log.enabled = false;
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    let mut body = ask("m");
    body["stream"] = true.into();
    let mut answer = client.open(Method::POST, "/api/chat", body.to_string()).await;
    next(&mut answer).await.unwrap();
    let text = client.get("/metrics").await.text();
    // The request that asks is one itself.
    assert_eq!(sum(&text, "unigate_in_flight_requests"), 2.0, "{text}");
    assert_eq!(sum(&text, "unigate_upstream_in_flight"), 1.0, "{text}");
    go.notify_one();
    while next(&mut answer).await.is_some() {}
    let text = client.get("/metrics").await.text();
    assert_eq!(sum(&text, "unigate_in_flight_requests"), 1.0, "{text}");
    assert_eq!(sum(&text, "unigate_upstream_in_flight"), 0.0, "{text}");
    assert!(text.contains("operation=\"chat\",upstream=\"ollama\",ending=\"complete\""), "{text}");
    let ready = client.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["log"]["state"]), (200, &json!("off")));
}

#[tokio::test]
async fn who_may_come_in_may_read_the_counters_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(&["m"], Script::said("hello")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.keys = vec![secret(&folder, "key", "sesame")];
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    assert_eq!(client.get("/metrics").await.status, 403);
    assert_eq!(client.with("x-api-key", "sesame").get("/metrics").await.status, 200);
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn readiness_says_which_part_does_not_work_and_requests_flow_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::always(&["m"], Script::said("hello")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    // A folder is no file.
    config.log.path = Some(folder.path().to_owned());
    let gateway = Gateway::start(config).await;
    let client = gateway.client();
    let ready = client.get("/readyz").await;
    let said = ready.json();
    assert_eq!((ready.status.as_u16(), &said["status"]), (200, &json!("ready")), "{said}");
    assert_eq!(said["log"]["state"], "failing", "{said}");
    assert!(said["log"]["why"].as_str().is_some_and(|why| !why.contains('/')), "no paths: {said}");
    assert_eq!((&said["cache"]["state"], &said["config"]["state"]), (&json!("ok"), &json!("ok")));
    assert!(client.get("/metrics").await.text().contains("unigate_log_failing 1.0"));
    assert_eq!(client.post("/v1/chat/completions", &ask("m")).await.status, 200);
}
