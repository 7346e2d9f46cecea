//! A2, A10: a path is one thing to everybody, and management is not for everybody.

use super::{KEY, reached, send};
use crate::rig::{Chaosd, Row, Setup};

const MANAGEMENT: [(&str, &str); 8] = [
    ("POST", "/api/pull"),
    ("POST", "/api/push"),
    ("POST", "/api/create"),
    ("POST", "/api/copy"),
    ("DELETE", "/api/delete"),
    ("POST", "/api/blobs/sha256:00"),
    ("POST", "/api/signout"),
    ("GET", "/debug/pprof/heap"),
];

const ROUTES: [(&str, &str); 5] = [
    ("POST", "/api/chat"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
];

/// Other ways to write a path, each of which some server takes for the same.
fn spellings(path: &str) -> Vec<String> {
    let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let join = |a: &str, b: &str| if b.is_empty() { format!("/{a}") } else { format!("/{a}/{b}") };
    let hex = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
    let twice = |text: &str| hex(text).replace('%', "%25");
    vec![
        format!("/{path}"),
        format!("//{path}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("/{first}//{rest}"),
        format!("/.{path}"),
        format!("/v1/..{path}"),
        format!("/v1/models/../..{path}"),
        format!("/v1/%2e%2e{path}"),
        format!("/v1/.%2E{path}"),
        format!("/v1/..;{path}"),
        format!("/v1/..%2f{}", &path[1..]),
        format!("/v1/..%5c{}", &path[1..]),
        format!("/v1\\..{path}"),
        format!("{path};x"),
        format!("{path};jsessionid=1"),
        format!("{path}."),
        format!("{path}%20"),
        format!("{path}%00"),
        format!("{path}%00.json"),
        format!("{path}%0d%0aX:1"),
        format!("{path}%23"),
        format!("{path}%3f"),
        path.to_uppercase(),
        join(&first.to_uppercase(), rest),
        join(&hex(first), rest),
        join(first, &hex(rest)),
        join(first, &twice(rest)),
        format!("/{first}%2f{rest}"),
        format!("/{first}%252f{rest}"),
        format!("/{first}%c0%af{rest}"),
        format!("/{first}\\{rest}"),
        format!("/{first};/{rest}"),
        format!("/{first}/./{rest}"),
        format!("/{first}/x/../{rest}"),
    ]
}

#[tokio::test]
async fn a2_without_a_key_no_spelling_of_any_path_opens_anything() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("A2", Setup::ollama(&up).key(KEY)).await;
    let mut tried = 0;
    for (method, path) in MANAGEMENT.iter().chain(&ROUTES) {
        for spelling in spellings(path) {
            for target in [spelling.clone(), format!("http://localhost{spelling}")] {
                let answer = send(&row, method, &target, "").await;
                assert!(
                    (400..500).contains(&answer.status),
                    "{method} {target}: {}",
                    answer.status
                );
                tried += 1;
            }
        }
    }
    assert_eq!(reached(&up), [""; 0]);
    row.figure(format!("{tried} requests, none let in"));
    row.check().await;
}

#[tokio::test]
async fn a2_with_a_key_no_spelling_of_management_gets_further_than_its_own() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).key(KEY).toml("[server]\nallow_manage = false\n");
    let mut row = Row::start("A2", setup).await;
    let lines = format!("authorization: Bearer {KEY}\r\n");
    let mut tried = 0;
    for (method, path) in MANAGEMENT {
        assert_eq!(send(&row, method, path, &lines).await.status, 403, "{method} {path}");
        for spelling in spellings(path) {
            let answer = send(&row, method, &spelling, &lines).await;
            assert!((400..500).contains(&answer.status), "{method} {spelling}: {}", answer.status);
            tried += 1;
        }
    }
    assert_eq!(reached(&up), [""; 0]);
    row.figure(format!("{tried} spellings of management, none passed on"));
    row.check().await;
}

#[tokio::test]
async fn a2_a_slash_too_many_means_what_it_must_mean() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("A2", Setup::ollama(&up)).await;
    for target in ["//api/chat", "/api//chat", "/api/chat/"] {
        assert_eq!(send(&row, "POST", target, "").await.status, 200, "{target}");
    }
    assert_eq!(reached(&up), ["POST /api/chat"; 3], "and the upstream hears it as it is meant");
    row.check().await;
}

#[tokio::test]
async fn a2_an_absolute_address_is_never_where_a_request_goes() {
    let (up, other) = (Chaosd::ollama(&["m"]).await, Chaosd::ollama(&["m"]).await);
    let row = Row::start("A2", Setup::ollama(&up)).await;
    let target = format!("http://{}/api/chat", other.addr);
    let host = format!("host: {}\r\n", other.addr);
    assert_eq!(send(&row, "POST", &target, &host).await.status, 200);
    assert_eq!((reached(&up).len(), other.all().len()), (1, 0));
    for (target, lines) in [
        ("http://evil.example/api/chat", ""),
        ("http://evil.example/api/chat", "host: localhost\r\n"),
        ("http://localhost/api/chat", "host: evil.example\r\n"),
        ("/api/chat", "host: localhost\r\nhost: evil.example\r\n"),
        ("/api/chat", "host: evil.example\r\n"),
        ("/api/chat", "host: localhost.evil.example\r\n"),
        ("/api/chat", "host: 127.0.0.1.evil.example:11434\r\n"),
        ("/api/chat", "host: localhost@evil.example\r\n"),
    ] {
        let answer = send(&row, "POST", target, lines).await;
        assert!([400, 403].contains(&answer.status), "{target} {lines}: {}", answer.status);
    }
    assert_eq!(reached(&up).len(), 1);
    row.check().await;
}

#[tokio::test]
async fn a10_management_passes_on_this_machine_alone_and_what_is_debugged_never() {
    let up = Chaosd::ollama(&["m"]).await;
    up.rule(|call| {
        let answer = crate::rig::Reply::json(&serde_json::json!({ "status": "success" }));
        MANAGEMENT.iter().any(|(_, path)| call.path == *path).then(|| answer.into())
    });
    // Only this machine can reach it: as good as the Ollama it stands before.
    let row = Row::start("A10", Setup::ollama(&up)).await;
    for (method, path) in MANAGEMENT {
        let expected = if path.starts_with("/debug") { 403 } else { 200 };
        assert_eq!(send(&row, method, path, "").await.status, expected, "{path}");
    }
    let passed = MANAGEMENT.len() - 1;
    assert_eq!(reached(&up).len(), passed);
    row.waive("I8", "they ask no model").check().await;
    // Others can reach it, with a key.
    let setup = Setup::ollama(&up).key(KEY).toml("[server]\nlisten = \"0.0.0.0:0\"\n");
    let mut row = Row::start("A10", setup).await;
    row.program.addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    let lines = format!("authorization: Bearer {KEY}\r\n");
    for (method, path) in MANAGEMENT {
        assert_eq!(send(&row, method, path, &lines).await.status, 403, "{path}");
    }
    assert_eq!(send(&row, "POST", "/api/chat", &lines).await.status, 200);
    assert_eq!(reached(&up).len(), passed + 1);
    row.check().await;
}
