//! Bodies that no client should send.

use super::post;
use crate::rig::{Chaosd, Reply, Row, Setup, ms};
use serde_json::json;
use std::time::Duration;

/// What is wrong, and the body.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let ask = |model: &str, more: &str| {
        format!(
            "{{\"model\":{model},\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}]{more}}}"
        )
        .into_bytes()
    };
    let nested = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        ask("\"m\"", &format!(",\"x\":{open}1{close}"))
    };
    let content = |bytes: &[u8]| {
        let text = String::from_utf8(ask("\"m\"", "")).unwrap();
        let (before, after) = text.split_once("\"x\"").unwrap();
        [before.as_bytes(), b"\"", bytes, b"\"", after.as_bytes()].concat()
    };
    vec![
        ("arrays in arrays", nested("[", "]")),
        ("objects in objects", nested("{\"a\":", "}")),
        ("arrays that never end", "[".repeat(1_000_000).into_bytes()),
        ("objects that never end", "{\"a\":".repeat(200_000).into_bytes()),
        ("a model of arrays", ask(&"[".repeat(100_000), "")),
        ("a key of 10 MB", ask("\"m\"", &format!(",\"{}\":1", "k".repeat(10 << 20)))),
        ("a model of 10 MB", ask(&format!("\"{}\"", "m".repeat(10 << 20)), "")),
        ("many keys", ask("\"m\"", &",\"k\":1".repeat(200_000))),
        ("two models", b"{\"model\":\"a\",\"model\":\"b\",\"messages\":[]}".to_vec()),
        (
            "two models, one in capitals",
            b"{\"model\":\"a\",\"MODEL\":\"b\",\"messages\":[]}".to_vec(),
        ),
        ("1e400", ask("\"m\"", ",\"temperature\":1e400")),
        ("-1e400", ask("\"m\"", ",\"options\":{\"temperature\":-1e400}")),
        ("2^70", ask("\"m\"", ",\"max_tokens\":1180591620717411303424")),
        (
            "a number of a million digits",
            ask("\"m\"", &format!(",\"seed\":{}", "9".repeat(1_000_000))),
        ),
        ("NaN", ask("\"m\"", ",\"temperature\":NaN")),
        ("a lone surrogate", content(b"\\ud800")),
        ("a surrogate the wrong way round", content(b"\\udc00\\ud800")),
        ("a lone surrogate as model", ask("\"\\ud800\"", "")),
        ("bytes that are no UTF-8", content(b"\xff\xfe")),
        ("a surrogate in UTF-8", content(b"\xed\xa0\x80")),
        ("a NUL", content(b"\0")),
        ("a mark of byte order", [b"\xef\xbb\xbf".to_vec(), ask("\"m\"", "")].concat()),
        ("UTF-16", "{\"model\":\"m\"}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("something behind it", [ask("\"m\"", ""), b" {}".to_vec()].concat()),
        ("a comma too much", b"{\"model\":\"m\",\"messages\":[],}".to_vec()),
        ("a comment", b"{\"model\":\"m\"/* */,\"messages\":[]}".to_vec()),
        ("single quotes", b"{'model':'m'}".to_vec()),
        ("no object", b"\"m\"".to_vec()),
        ("null", b"null".to_vec()),
        ("nothing", Vec::new()),
        ("spaces", " ".repeat(1_000_000).into_bytes()),
    ]
}

// The upstream reads these bodies, too, and must go on answering meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_json_that_makes_no_sense_is_refused_or_passed_faithfully_and_never_costs_much() {
    let up = Chaosd::ollama(&["m"]).await;
    // As Ollama does with what it cannot read.
    up.rule(|call| {
        let readable = serde_json::from_slice::<serde_json::Value>(&call.body).is_ok();
        let refusal = json!({ "error": "json: cannot unmarshal" });
        (call.asks.is_some() && !readable).then(|| Reply::error(400, &refusal).into())
    });
    let mut row = Row::start("C13", Setup::ollama(&up).toml("[log]\nlevel = \"info\"\n")).await;
    let mut worst = (Duration::ZERO, "");
    for (name, body) in corpus() {
        for path in
            ["/api/chat", "/api/generate", "/v1/chat/completions", "/v1/messages", "/v1/responses"]
        {
            let mut bytes = post(path, "", "");
            let at = bytes.windows(17).position(|part| part == b"content-length: 0").unwrap();
            bytes.splice(at + 16..at + 17, body.len().to_string().into_bytes());
            bytes.extend_from_slice(&body);
            let calls = up.calls().len();
            let before = cpu(&row);
            let entry = row.raw(&bytes).await.finish().await;
            let took = cpu(&row) - before;
            assert!(
                (200..500).contains(&entry.status),
                "{name} {path}: {} {}",
                entry.status,
                entry.text()
            );
            assert!(
                entry.head.len() + entry.body.len() < 64 * 1024,
                "{name} {path}: it is said again"
            );
            if let Some(call) = up.calls().get(calls)
                && path == "/api/chat"
            {
                assert!(call.body == body, "{name}: what passes, passes as it came");
            }
            if took > worst.0 {
                worst = (took, name);
            }
        }
    }
    // This is the program as the tests build it; what it is in release is a fraction.
    assert!(worst.0 < Duration::from_secs(4), "{worst:?}");
    row.figure(format!("at most {} of one core ({}), unoptimised", ms(worst.0), worst.1));
    row.check().await;
}

/// What the gateway has computed so far.
pub(super) fn cpu(row: &Row) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", row.program.pid())).unwrap();
    let of =
        |text: String| text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
    let nanos: u64 = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .map(of)
        .sum();
    Duration::from_nanos(nanos)
}
