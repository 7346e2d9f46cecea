//! A4, A5, A6: what a client or a configuration holds goes where it belongs, and nowhere else.

use super::{KEY, send};
use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat};
use serde_json::json;

#[tokio::test]
async fn a4_no_secret_is_in_a_log_an_error_or_an_answer() {
    let (up, cloud) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    let (own, brought, wrong) = (
        "canary-credential-cloud-77",
        "canary-brought-by-client-12",
        "canary-wrong-key-of-a-guest",
    );
    let setup = Setup::ollama(&up)
        .upstream("cloud", "openai", &cloud)
        .key(KEY)
        .credential("cloud", own)
        .canary(brought)
        .canary(wrong)
        .toml("[models]\nfallback = [\"cloud/g\"]\n[cache]\nstore = \"memory\"\n");
    let mut row = Row::start("A4", setup).await.attempts(6);
    let mut sent = 0;
    // What upstreams may do with what they were told: say it again, in a refusal or in a stream.
    let echo = |call: &crate::rig::Call| {
        call.asks.map(|nth| match nth % 4 {
            0 => Script::from(Reply::error(401, &json!({ "error": { "message": "bad key" } }))),
            1 => Script::just(Act::Reset),
            2 => Script::raw(&b"no HTTP at all\r\n\r\n"[..]),
            _ => Script::from(Reply::error(500, &json!({ "error": "it broke" }))),
        })
    };
    cloud.rule(echo);
    up.rule(echo);
    let good = format!("authorization: Bearer {KEY}\r\n");
    for path in ["/api/chat", "/v1/chat/completions", "/v1/messages", "/api/generate", "/nowhere"] {
        for lines in [
            good.clone(),
            format!("authorization: Bearer {wrong}\r\n"),
            format!("x-api-key: {wrong}\r\n"),
            format!(
                "x-gateway-key: {KEY}\r\nauthorization: Basic {brought}\r\ncookie: s={brought}\r\n"
            ),
            format!("{good}x-goog-api-key: {brought}\r\napi-key: {brought}\r\n"),
            format!("{good}proxy-authorization: Basic {brought}\r\n"),
        ] {
            send(&row, "POST", path, &lines).await;
            sent += 1;
        }
    }
    up.sane();
    cloud.sane();
    for model in ["m", "g", "auto", "cloud/g", "nobody"] {
        for stream in [false, true] {
            row.ask("/v1/chat/completions", &chat(model, sent, stream)).await;
            sent += 1;
        }
    }
    // Some clients put it into the address.
    let query = format!("/v1/models?key={KEY}&api_key={wrong}");
    send(&row, "GET", &query, &good).await;
    row.figure(format!("{sent} requests, no canary anywhere"));
    row.check().await;
}

#[tokio::test]
async fn a5_what_a_client_holds_for_us_never_goes_further() {
    const HELD: &str = "canary-held-by-client-b41c";
    let (up, cloud) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    let setup = Setup::ollama(&up).upstream("cloud", "openai", &cloud).key(KEY).canary(HELD);
    let mut row = Row::start("A5", setup).await;
    let names = [
        "authorization: Bearer",
        "cookie:",
        "proxy-authorization: Basic",
        "x-api-key:",
        "api-key:",
        "x-goog-api-key:",
        "forwarded: for=",
        "x-forwarded-for:",
        "x-forwarded-host:",
        "x-forwarded-proto:",
        "x-forwarded-user:",
        "x-real-ip:",
        "x-original-url:",
        "cf-connecting-ip:",
        "true-client-ip:",
        "x-client-ip:",
        "referer: http://",
        "sec-ch-ua:",
        "te:",
        "trailer:",
        "keep-alive:",
        "proxy-connection:",
    ];
    let mut lines = format!("x-gateway-key: {KEY}\r\n");
    for name in names {
        lines.push_str(&format!("{name} {HELD}\r\n"));
    }
    // To be taken out by whoever believes it: our own key, and what we add.
    lines.push_str(
        "connection: x-gateway-key, x-hop, authorization, accept-encoding, via, host\r\n",
    );
    lines.push_str(&format!("x-hop: {HELD}\r\n"));
    for model in ["m", "g"] {
        for path in ["/api/chat", "/v1/chat/completions"] {
            let body = chat(model, 0, false).to_string();
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\n{lines}content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = row.raw(request.as_bytes()).await.finish().await;
            assert_eq!((answer.status, answer.end), (200, End::Complete), "{}", answer.text());
        }
    }
    for call in up.calls().iter().chain(&cloud.calls()) {
        assert_eq!(call.header("accept-encoding"), "identity");
        assert!(call.header("via").contains("unigate"), "{}", call.head);
        assert!(call.header("host").starts_with("127.0.0.1:"), "{}", call.head);
    }
    row.figure(format!("{} headers, none of them forwarded", names.len() + 1));
    row.check().await;
}

#[tokio::test]
async fn a6_in_a_fallback_each_upstream_sees_its_own_credential_alone() {
    let (one, two, local) =
        (Chaosd::openai(&["g"]).await, Chaosd::openai(&["h"]).await, Chaosd::ollama(&["m"]).await);
    let (first, second, client) =
        ("canary-credential-one", "canary-credential-two", "canary-client-own-key");
    let setup = Setup::ollama(&local)
        .upstream("one", "openai", &one)
        .upstream("two", "openai", &two)
        .credential("one", first)
        .credential("two", second)
        .canary(client)
        .toml("[models]\ndefault = \"one/g\"\nsmall = \"one/g\"\nfallback = [\"two/h\", \"ollama/m\"]\n");
    let mut row = Row::start("A6", setup).await.attempts(6);
    one.always(Script::from(Reply::error(503, &json!({ "error": { "message": "away" } }))));
    two.always(Script::just(Act::Reset));
    for path in ["/v1/chat/completions", "/api/chat", "/v1/messages"] {
        let headers = [("authorization", "Bearer canary-client-own-key")];
        let body = chat("auto", 0, false);
        let answer = row.ledger.ask(row.program.addr, path, &headers, &body).await;
        assert_eq!((answer.end, answer.header("x-unigate-upstream")), (End::Complete, "ollama"));
    }
    for (upstream, credential) in [(&one, first), (&two, second)] {
        assert!(!upstream.calls().is_empty());
        for call in upstream.calls() {
            assert_eq!(call.header("authorization"), format!("Bearer {credential}"));
        }
    }
    for call in local.calls() {
        assert_eq!(call.header("authorization"), "");
    }
    let calls = one.calls().len() + two.calls().len() + local.calls().len();
    row.figure(format!("{calls} calls over three upstreams, each with its own"));
    row.check().await;
}

#[tokio::test]
async fn a6_a_clients_own_credential_goes_only_where_that_is_wanted() {
    let (one, two) = (Chaosd::openai(&["g"]).await, Chaosd::openai(&["h"]).await);
    let setup = Setup::new()
        .upstream("one", "openai", &one)
        .upstream("two", "openai", &two)
        .credential("two", "canary-credential-two")
        .toml("[upstream.one]\nforward_client_key = true\n")
        .toml("[models]\ndefault = \"one/g\"\nsmall = \"one/g\"\nfallback = [\"two/h\"]\n");
    let row = Row::start("A6", setup).await.attempts(4);
    one.always(Script::from(Reply::error(503, &json!({ "error": { "message": "away" } }))));
    let headers = [("authorization", "Bearer the-clients-own")];
    let body = chat("auto", 0, false);
    let path = "/v1/chat/completions";
    let answer = row.ledger.ask(row.program.addr, path, &headers, &body).await;
    assert_eq!((answer.end, answer.header("x-unigate-upstream")), (End::Complete, "two"));
    assert!(one.calls().iter().all(|call| call.header("authorization") == headers[0].1));
    let seen: Vec<_> =
        two.calls().iter().map(|call| call.header("authorization").to_owned()).collect();
    assert_eq!(seen, ["Bearer canary-credential-two"]);
    row.check().await;
}
