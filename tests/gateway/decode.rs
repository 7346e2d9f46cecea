//! Compressed bodies are read where something must read them, and travel as they came where nothing had to change.

use crate::support::{Gateway, Script, Seen, Upstream, config};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::Method;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use std::io::Write;

const CODINGS: [&str; 3] = ["zstd", "gzip", "deflate"];

/// Where to chat, and in whose dialect.
const CHATS: [&str; 2] = ["/api/chat", "/v1/chat/completions"];

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "temperature": 0,
        "messages": [{ "role": "user", "content": "hello, hello, hello" }] })
}

fn packed(coding: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    match coding {
        "zstd" => compress_to_vec(body, CompressionLevel::Fastest),
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// What the upstream saw is what was sent, in its coding.
#[track_caller]
fn as_it_came(seen: &Seen, coding: &str, sent: &[u8]) {
    assert_eq!(seen.body, sent);
    assert_eq!(seen.headers["content-encoding"], coding);
    assert_eq!(seen.headers["content-length"], sent.len().to_string());
}

#[track_caller]
fn decoded(seen: &Seen) -> Value {
    assert!(!seen.headers.contains_key("content-encoding"), "{:?}", seen.headers);
    assert_eq!(seen.headers["content-length"], seen.body.len().to_string());
    seen.json()
}

#[tokio::test]
async fn golden_5_a_compressed_responses_request_goes_where_its_model_is_and_stays_compressed() {
    let local = Upstream::always(&["m"], Script::said("hi")).await;
    let response = json!({ "id": "resp_1", "object": "response", "status": "completed", "model": "g",
        "output": [{ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": "hi", "annotations": [] }] }] });
    let cloud = Upstream::always(&["g"], Script::json(&response)).await;
    let gateway =
        Gateway::start(config(&[("ollama", "ollama", &local), ("cloud", "openai", &cloud)])).await;
    for coding in CODINGS {
        let sent = packed(coding, json!({ "model": "g", "input": "hello" }).to_string());
        let client = gateway.client().with("content-type", "application/json");
        let client = client.with("content-encoding", coding).with("cache-control", "no-store");
        let answer = client.send(Method::POST, "/v1/responses", sent.clone()).await;
        assert_eq!(answer.json(), response, "{coding}");
        as_it_came(&cloud.seen().pop().unwrap(), coding, &sent);
    }
    assert!(local.seen().is_empty());
}

#[tokio::test]
async fn golden_5_a_body_that_would_be_too_large_is_refused_whatever_it_measures_on_the_wire() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.max_body_bytes = 100_000;
    let gateway = Gateway::start(config).await;
    let mut body = ask("m", false);
    body["messages"][0]["content"] = "x".repeat(1 << 20).into();
    for path in ["/v1/responses", "/v1/chat/completions", "/api/chat"] {
        for coding in CODINGS {
            let sent = packed(coding, body.to_string());
            assert!(sent.len() < 10_000);
            let client = gateway.client().with("content-type", "application/json");
            let answer =
                client.with("content-encoding", coding).send(Method::POST, path, sent).await;
            assert_eq!(answer.status, 413, "{path} {coding}");
            let error = &answer.json()["error"];
            let text = error["message"].as_str().or(error.as_str()).unwrap();
            assert!(text.contains("100000 bytes once it is decompressed"), "{text}");
            assert!(text.contains("server.max_body_bytes"), "{text}");
        }
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_compressed_chat_is_translated_like_any_other() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    for coding in CODINGS {
        let sent = packed(coding, ask("m", false).to_string());
        let client = gateway.client().with("content-encoding", coding);
        let client = client.with("cache-control", "no-store");
        let answer = client.send(Method::POST, "/v1/chat/completions", sent).await;
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "hi", "{coding}");
        let seen = upstream.seen().pop().unwrap();
        assert_eq!(seen.path, "/api/chat");
        assert_eq!(decoded(&seen)["messages"], ask("m", false)["messages"]);
    }
}

#[tokio::test]
async fn in_the_same_dialect_the_upstream_gets_the_clients_own_bytes() {
    let ollama = Upstream::always(&["m"], Script::said("hi")).await;
    let openai = Upstream::always(&["g"], Script::completion("hi")).await;
    let gateway =
        Gateway::start(config(&[("ollama", "ollama", &ollama), ("cloud", "openai", &openai)]))
            .await;
    for (path, upstream, model) in [(CHATS[0], &ollama, "m"), (CHATS[1], &openai, "g")] {
        for coding in CODINGS {
            let sent = packed(coding, ask(model, false).to_string());
            let client = gateway.client().with("content-encoding", coding);
            let client = client.with("cache-control", "no-store");
            let answer = client.send(Method::POST, path, sent.clone()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            as_it_came(&upstream.seen().pop().unwrap(), coding, &sent);
        }
    }
}

#[tokio::test]
async fn what_had_to_change_goes_on_uncompressed() {
    let openai = Upstream::start(&["g"], |seen| match seen.body.starts_with(b"{") {
        true if seen.json()["stream"] == true => Script::chunks(&["hi"]),
        _ => Script::completion("hi"),
    })
    .await;
    let mut config = config(&[("cloud", "openai", &openai)]);
    config.aliases.insert("nick".into(), "g".into());
    let gateway = Gateway::start(config).await;
    let client = gateway.client().with("content-encoding", "gzip");
    let chat = |body: Value| {
        let client = client.clone();
        async move { client.send(Method::POST, CHATS[1], packed("gzip", body.to_string())).await }
    };
    // Another model.
    assert_eq!(chat(ask("nick", false)).await.status, 200);
    assert_eq!(decoded(&openai.seen()[0]), ask("g", false));
    // Usage that the client did not ask for.
    let answer = chat(ask("g", true)).await;
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
    assert_eq!(decoded(&openai.seen()[1])["stream_options"]["include_usage"], true);
}

#[tokio::test]
async fn each_attempt_sends_what_its_own_upstream_takes() {
    let cloud = Upstream::always(&["g"], Script::error(500, &json!({ "error": "no" }))).await;
    let local = Upstream::always(&["m"], Script::said("hi")).await;
    let mut config = config(&[("cloud", "openai", &cloud), ("ollama", "ollama", &local)]);
    config.models.fallback = vec!["ollama/m".into()];
    let gateway = Gateway::start(config).await;
    let sent = packed("zstd", ask("g", false).to_string());
    let client = gateway.client().with("content-encoding", "zstd");
    let answer = client.send(Method::POST, CHATS[1], sent.clone()).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hi", "{}", answer.text());
    assert_eq!(cloud.seen().len(), 2);
    for seen in cloud.seen() {
        as_it_came(&seen, "zstd", &sent);
    }
    assert_eq!(decoded(&local.seen()[0])["model"], "m");
}

#[tokio::test]
async fn what_is_not_in_the_coding_it_names_is_refused() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    for path in CHATS {
        for coding in CODINGS {
            let whole = packed(coding, ask("m", false).to_string());
            let half = whole[..whole.len() / 2].to_vec();
            for wrong in [ask("m", false).to_string().into_bytes(), half] {
                let client = gateway.client().with("content-encoding", coding);
                let answer = client.send(Method::POST, path, wrong).await;
                assert_eq!(answer.status, 400, "{path} {coding}");
                assert!(answer.text().contains(&format!("not the {coding} that its")));
            }
            // It is the coding, but what is in it is not JSON.
            let client = gateway.client().with("content-encoding", coding);
            let answer = client.send(Method::POST, path, packed(coding, "{")).await;
            assert_eq!(answer.status, 400, "{path} {coding}");
            assert!(answer.text().contains("line 1"), "{}", answer.text());
        }
    }
    assert!(upstream.seen().is_empty());
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 18);
    assert!(rows.iter().all(|row| row["error_code"] == "invalid_request"), "{rows:?}");
}

#[tokio::test]
async fn a_coding_that_is_not_read_is_named_with_those_that_are() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    for path in ["/v1/responses", "/v1/chat/completions", "/api/chat", "/api/show"] {
        for (coding, why) in [("br", "is not read"), ("gzip, zstd", "more than once")] {
            let client = gateway.client().with("content-type", "application/json");
            let client = client.with("content-encoding", coding);
            let answer = client.send(Method::POST, path, "whatever").await;
            assert_eq!(answer.status, 415, "{path} {coding}");
            let error = &answer.json()["error"];
            let text = error["message"].as_str().or(error.as_str()).unwrap();
            assert!(text.contains(why) && text.contains("send zstd, gzip, deflate"), "{text}");
            assert_eq!(answer.header("accept-encoding"), "zstd, gzip, deflate");
        }
    }
    assert!(upstream.seen().is_empty());
    let rows = gateway.stop().await;
    assert!(rows.iter().all(|row| row["error_code"] == "unsupported_encoding"), "{rows:?}");
}

#[tokio::test]
async fn what_nobody_reads_passes_in_whatever_coding() {
    let upstream = Upstream::always(&["m"], Script::new("text/plain", "as it came")).await;
    let gateway = Gateway::before(&upstream).await;
    let blob = format!("/api/blobs/sha256:{}", "a".repeat(64));
    for (path, kind) in [
        (blob.as_str(), "application/json"),
        ("/v1/audio/transcriptions", "multipart/form-data; boundary=x"),
        ("/something/else", "application/json"),
    ] {
        for coding in ["br", "gzip, zstd", "zstd"] {
            let client = gateway.client().with("content-type", kind);
            let client = client.with("content-encoding", coding);
            let answer = client.send(Method::POST, path, "any bytes").await;
            assert_eq!(answer.text(), "as it came", "{path} {coding}");
            as_it_came(&upstream.seen().pop().unwrap(), coding, b"any bytes");
        }
    }
}

#[tokio::test]
async fn a_body_above_the_limit_on_the_wire_passes_where_it_can() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.server.max_body_bytes = 40;
    let gateway = Gateway::start(config).await;
    let sent = packed("gzip", ask("m", false).to_string());
    assert!(sent.len() > 40);
    let client = gateway.client().with("content-encoding", "gzip");
    let answer = client.send(Method::POST, CHATS[0], sent.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    as_it_came(&upstream.seen()[0], "gzip", &sent);
    assert_eq!(client.send(Method::POST, CHATS[1], sent).await.status, 413);
}

#[tokio::test]
async fn one_cache_entry_serves_the_question_in_every_coding() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    for path in CHATS {
        let body = ask("m", false);
        let asked = upstream.seen().len();
        assert_eq!(gateway.client().post(path, &body).await.header("x-unigate-cache"), "MISS");
        // The write follows the answer, off the client's path.
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        for coding in CODINGS {
            let client = gateway.client().with("content-encoding", coding);
            let answer = client.send(Method::POST, path, packed(coding, body.to_string())).await;
            assert_eq!(answer.header("x-unigate-cache"), "HIT", "{path} {coding}");
        }
        assert_eq!(upstream.seen().len(), asked + 1);
    }
}

#[tokio::test]
async fn the_log_counts_what_came_over_the_wire_and_keeps_what_it_says() {
    let upstream = Upstream::always(&["m"], Script::said("hi")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.log.prompts = true;
    let gateway = Gateway::start(config).await;
    let mut body = ask("m", false);
    body["messages"][0]["content"] = "hello, ".repeat(500).into();
    let sent = packed("zstd", body.to_string());
    let client = gateway.client().with("content-encoding", "zstd");
    assert_eq!(client.send(Method::POST, CHATS[1], sent.clone()).await.status, 200);
    let rows = gateway.stop().await;
    assert_eq!(rows[0]["bytes_in"], sent.len());
    assert_eq!(rows[0]["model_requested"], "m");
    assert_eq!(rows[0]["prompt"], body.to_string());
}
