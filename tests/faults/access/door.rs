//! A3, A9, A11, A12: pages of other sites, words that are code, addresses inside, and a door that is open to all.

use super::{KEY, reached, send};
use crate::rig::{Chaosd, End, Row, Setup, chat};
use serde_json::{Value, json};
use std::{
    fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, process::Command};

#[tokio::test]
async fn a3_a_page_of_another_site_can_make_no_model_speak() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("A3", Setup::ollama(&up)).await;
    let cases = [
        "host: evil.example\r\n",
        "host: evil.example:11435\r\n",
        "origin: https://evil.example\r\n",
        "origin: null\r\n",
        "origin: http://localhost.evil.example\r\n",
        "origin: https://evil.example\r\ncontent-type: text/plain\r\n",
        "origin: null\r\ncontent-type: application/x-www-form-urlencoded\r\n",
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n",
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n",
    ];
    for path in ["/api/chat", "/v1/chat/completions", "/v1/messages", "/api/pull", "/metrics"] {
        for lines in cases {
            let answer = send(&row, "POST", path, lines).await;
            assert_eq!((answer.status, answer.end), (403, End::Refused), "{path} {lines}");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path} {lines}");
        }
    }
    // Nor is it allowed to ask first.
    let ask = "origin: https://evil.example\r\naccess-control-request-method: POST\r\n";
    let answer = send(&row, "OPTIONS", "/api/chat", ask).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""));
    assert_eq!(reached(&up), [""; 0]);
    for lines in ["origin: http://localhost:3000\r\n", "origin: app://obsidian.md\r\n", ""] {
        assert_eq!(send(&row, "POST", "/api/chat", lines).await.status, 200, "{lines}");
    }
    row.figure(format!("{} ways in, all shut", cases.len()));
    row.check().await;
}

#[tokio::test]
async fn a9_what_a_client_or_a_model_wrote_is_never_a_page() {
    const SCRIPT: &str = "<script>alert(1)</script>";
    let up = Chaosd::ollama(&["m", "<script>alert(1)</script>"]).await;
    up.rule(|call| {
        let error = json!({ "error": format!("no {SCRIPT}") });
        call.asks.map(|_| crate::rig::Reply::error(404, &error).into())
    });
    let mut row = Row::start("A9", Setup::ollama(&up)).await;
    let mut answers = Vec::new();
    for path in ["/api/chat", "/v1/chat/completions", "/v1/messages", "/api/show", "/api/pull"] {
        answers.push(row.ask(path, &chat(SCRIPT, 0, false)).await);
        answers.push(row.ask(path, &json!({ "model": SCRIPT, "messages": SCRIPT })).await);
        answers.push(row.ask(path, &Value::String(SCRIPT.to_owned())).await);
    }
    for path in [
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/v1/models/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/api/tags",
        "/v1/models",
        "/health",
        "/readyz",
        "/metrics",
        "/unigate/%3Cscript%3E",
        "/API/%3Cscript%3E/../tags",
    ] {
        answers.push(row.get(path).await);
    }
    answers.push(send(&row, "POST", "/api/chat", &format!("host: {SCRIPT}\r\n")).await);
    for answer in &answers {
        let (kind, path) = (answer.header("content-type"), &answer.path);
        assert_ne!(answer.status, 0, "{path}");
        assert!(!kind.contains("html"), "{path} is {kind}: {}", answer.text());
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}: {}", answer.head);
    }
    row.figure(format!("{} answers, each of a kind that no browser runs", answers.len()));
    row.waive("I8", "a model that is not there is asked about too").check().await;
}

#[tokio::test]
async fn a11_the_address_of_an_image_is_never_followed_inside() {
    let up = Chaosd::ollama(&["m"]).await;
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = inside.local_addr().unwrap().port();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    tokio::spawn(async move {
        while inside.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let addresses: Vec<String> = [
        "http://127.0.0.1",
        "https://127.0.0.1",
        "http://localhost",
        "http://[::1]",
        "http://0.0.0.0",
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://[::ffff:127.0.0.1]",
        "http://127.0.0.1.nip.io",
        "gopher://127.0.0.1",
        "ftp://127.0.0.1",
        "dict://127.0.0.1",
    ]
    .iter()
    .map(|start| format!("{start}:{port}/x.png"))
    .chain([
        "file:///etc/passwd".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://images.example.com@127.0.0.1:{port}/x.png"),
        format!("//127.0.0.1:{port}/x.png"),
        "".to_owned(),
    ])
    .collect();
    let mut tried = 0;
    for hosts in [
        "",
        "[translate]\nimage_hosts = [\"127.0.0.1\", \"http://localhost\", \"http://127.0.0.1\"]\n",
    ] {
        let mut row = Row::start("A11", Setup::ollama(&up).toml(hosts)).await;
        for address in &addresses {
            let parts = json!([{ "type": "text", "text": "what is this" },
                { "type": "image_url", "image_url": { "url": address } }]);
            let body = json!({ "model": "m", "messages": [{ "role": "user", "content": parts }] });
            let answer = row.ask("/v1/chat/completions", &body).await;
            assert_eq!(
                (answer.status, answer.end),
                (400, End::Refused),
                "{address}: {}",
                answer.text()
            );
            let source = json!({ "type": "url", "url": address });
            let parts = json!([{ "type": "image", "source": source }]);
            let body = json!({ "model": "m", "max_tokens": 5,
                "messages": [{ "role": "user", "content": parts }] });
            let answer = row.ask("/v1/messages", &body).await;
            assert_eq!(
                (answer.status, answer.end),
                (400, End::Refused),
                "{address}: {}",
                answer.text()
            );
            tried += 2;
        }
        row.figure(format!("{tried} requests, no visit inside"));
        row.check().await;
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    assert_eq!(reached(&up), [""; 0]);
}

#[tokio::test]
async fn a12_a_door_that_others_can_reach_does_not_open_without_keys() {
    let mut slowest = Duration::ZERO;
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"] {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("[server]\nlisten = \"{listen}\"\n");
        fs::write(folder.path().join("config.toml"), config).unwrap();
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_unigate"));
        command.args(["serve", "--config", "config.toml"]).current_dir(folder.path());
        command.env_clear().env("HOME", folder.path()).kill_on_drop(true).stdin(Stdio::null());
        let ended = tokio::time::timeout(crate::rig::LIMIT, command.output()).await;
        let output = ended.expect("it refuses to start").unwrap();
        slowest = slowest.max(begun.elapsed());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{listen}: {said}");
        assert!(said.contains("server.keys") && said.contains(listen), "{listen}: {said}");
    }
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).key(KEY).toml("[server]\nlisten = \"0.0.0.0:0\"\n");
    let mut row = Row::start("A12", setup).await;
    row.program.addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    assert_eq!(send(&row, "POST", "/api/chat", "").await.status, 403, "nor with them for nothing");
    row.figure(format!("refused to start within {}", crate::rig::ms(slowest)));
    row.check().await;
}
