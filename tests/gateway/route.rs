//! Where a request goes, and that the answer says why.

use crate::support::{Gateway, Script, Upstream, config};
use serde_json::{Value, json};
use unigate::config::Rule;

const INSTALLED: &[&str] = &["qwen2.5-coder:7b", "small:1b", "large:8b"];

fn ask(model: &str, prompt: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": prompt }] })
}

async fn asked(gateway: &Gateway, model: &str, prompt: &str) -> (String, String) {
    let answer = gateway.client().post("/v1/chat/completions", &ask(model, prompt)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.header("x-unigate-model").into(), answer.header("x-unigate-route").into())
}

#[tokio::test]
async fn auto_reads_the_intent_and_says_so() {
    let upstream = Upstream::always(INSTALLED, Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    for (prompt, model, rule) in [
        ("Write a Python function that merges two sorted lists", "qwen2.5-coder:7b", "code"),
        ("hi", "small:1b", "short"),
        (
            "What import duties apply? Is there a dress code at the class action hearing, and what should I prepare in depth?",
            "large:8b",
            "default",
        ),
    ] {
        let (served, route) = asked(&gateway, "auto", prompt).await;
        assert_eq!(served, model, "{prompt}: {route}");
        assert!(route.starts_with(&format!("{rule}; why=\"")), "{route}");
    }
    let models: Vec<Value> =
        upstream.seen().iter().map(|seen| seen.json()["model"].clone()).collect();
    assert_eq!(models, ["qwen2.5-coder:7b", "small:1b", "large:8b"]);
}

#[tokio::test]
async fn auto_works_for_ollama_clients_too_and_answers_to_its_name() {
    let upstream = Upstream::always(INSTALLED, Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let body = json!({ "model": "auto:latest", "stream": false, "messages": [{ "role": "user", "content": "hi" }] });
    let answer = gateway.client().post("/api/chat", &body).await;
    assert_eq!(answer.header("x-unigate-model"), "small:1b");
    assert_eq!(upstream.seen()[0].json()["model"], "small:1b");
}

#[tokio::test]
async fn a_role_or_a_rule_can_be_asked_for_by_name() {
    let upstream = Upstream::always(INSTALLED, Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(asked(&gateway, "auto:coder", "hi").await.0, "qwen2.5-coder:7b");
    assert_eq!(asked(&gateway, "auto:default", "hi").await.0, "large:8b");
    let answer = gateway.client().post("/v1/chat/completions", &ask("auto:nonsense", "hi")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("coder, small, default"), "{}", answer.text());
}

#[tokio::test]
async fn the_first_rule_that_matches_wins_on_words_tokens_tools_and_headers() {
    let upstream = Upstream::always(INSTALLED, Script::said("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    let rule = |name: &str, model: &str| Rule {
        name: name.into(),
        model: model.into(),
        ..Rule::default()
    };
    config.route = vec![
        Rule { header: [("x-team".to_owned(), "blue".to_owned())].into(), ..rule("team", "small") },
        Rule { any: vec!["invoice".into()], ..rule("words", "large:8b") },
        Rule { regex: vec![r"(?i)\bINC-\d+".into()], ..rule("ticket", "coder") },
        Rule { min_tokens: Some(200), ..rule("long", "large:8b") },
        Rule { has: vec!["tools".into()], ..rule("tools", "coder") },
        rule("rest", "small"),
    ];
    let gateway = Gateway::start(config).await;
    let team = gateway.client().with("x-team", "blue");
    let answer = team.post("/v1/chat/completions", &ask("auto", "an invoice")).await;
    assert!(answer.header("x-unigate-route").starts_with("team;"));
    for (prompt, rule) in [
        ("the Invoice, please", "words;"),
        ("invoices", "rest;"),
        ("see inc-42", "ticket;"),
        (&"word ".repeat(400), "long;"),
        ("hello", "rest;"),
    ] {
        let (_, route) = asked(&gateway, "auto", prompt).await;
        assert!(route.starts_with(rule), "{prompt:.20}: {route}");
    }
}

#[tokio::test]
async fn any_other_name_is_looked_up() {
    let local = Upstream::always(&["llama3:latest", "both"], Script::said("hi")).await;
    let cloud = Upstream::always(&["g", "both", "org/model"], Script::completion("hi")).await;
    let gateway =
        Gateway::start(config(&[("ollama", "ollama", &local), ("cloud", "openai", &cloud)])).await;
    for (name, upstream, sent) in [
        ("llama3:latest", "ollama", "llama3:latest"),
        ("llama3", "ollama", "llama3"),
        ("LLAMA3", "ollama", "LLAMA3"),
        ("g", "cloud", "g"),
        ("both", "ollama", "both"),
        ("cloud/both", "cloud", "both"),
        ("org/model", "cloud", "org/model"),
        ("nobody-has-it", "ollama", "nobody-has-it"),
    ] {
        // Two names of one model share a cache entry; here each must be sent.
        let client = gateway.client().with("cache-control", "no-store");
        let answer = client.post("/v1/chat/completions", &ask(name, "x")).await;
        assert_eq!(answer.header("x-unigate-upstream"), upstream, "{name}");
        let seen = if upstream == "ollama" { local.seen() } else { cloud.seen() };
        assert_eq!(seen.last().unwrap().json()["model"], sent, "{name}");
    }
}

#[tokio::test]
async fn auto_without_any_model_says_what_to_do() {
    let upstream = Upstream::always(&[], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask("auto", "hi")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("ollama pull"), "{}", answer.text());
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_is_not_read_here_goes_to_the_default_and_not_to_the_smallest() {
    let upstream = Upstream::always(INSTALLED, Script::json(&json!({}))).await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client().with("content-type", "application/json");
    for path in ["/v1/responses/compact", "/v1/moderations"] {
        let answer = client.post(path, &json!({ "model": "auto", "input": "hi" })).await;
        assert_eq!(answer.header("x-unigate-model"), "large:8b", "{path}");
        assert_eq!(upstream.seen().last().unwrap().json()["model"], "large:8b");
    }
    client.post("/api/chat", &json!({ "model": "auto", "messages": [] })).await;
    assert_eq!(upstream.seen().last().unwrap().json()["model"], "large:8b", "a load");
}
