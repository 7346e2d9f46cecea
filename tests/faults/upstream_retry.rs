//! Rows U and T that are about trying again: when, how often, and when not.

use crate::rig::{Chaosd, End, Reply, Row, Setup, chat, ms, times};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::task::JoinSet;

const CHATS: [&str; 3] = ["/api/chat", "/v1/chat/completions", "/v1/messages"];

fn busy(status: u16, after: &str) -> Reply {
    Reply::error(status, &json!({ "error": "busy" })).with("retry-after", after)
}

#[tokio::test]
async fn u22_a_short_retry_after_is_waited_for() {
    let local = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("U22", Setup::ollama(&local)).await;
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    for (nth, after) in ["1", &date].into_iter().enumerate() {
        local.next(busy(429, after));
        let answer = row.ask("/api/chat", &chat("m", nth, true)).await;
        assert_eq!((answer.end, answer.header("x-unigate-attempts")), (End::Complete, "2"));
        let calls = local.calls();
        let waited = calls[2 * nth + 1].at - calls[2 * nth].at;
        assert!(waited >= Duration::from_millis(900), "{after}: {waited:?}");
        row.figure(format!("{after}: waited {}", ms(waited)));
    }
    row.check().await;
}

#[tokio::test]
async fn u22_a_long_one_is_told_and_no_model_of_that_upstream_is_asked_before_it() {
    let local = Chaosd::ollama(&["m", "n"]).await;
    let setup = Setup::ollama(&local).toml("[models]\nfallback = [\"ollama/n\"]\n");
    let row = Row::start("U22", setup).await;
    for (status, after) in [(429, "60"), (503, "60"), (429, "Fri, 31 Dec 2100 23:59:59 GMT")] {
        for (nth, path) in CHATS.iter().enumerate() {
            let before = local.calls().len();
            local.next(busy(status, after));
            let answer = row.ask(path, &chat("m", nth, false)).await;
            assert_eq!((answer.status, answer.header("retry-after")), (status, after), "{path}");
            assert_eq!(answer.header("x-should-retry"), "", "it may come again, then");
            assert_eq!(local.calls().len(), before + 1, "{path} {status}");
        }
    }
    row.check().await;
}

#[tokio::test]
async fn u23_a_missing_model_is_told_in_the_clients_words_and_is_nobodys_outage() {
    let (local, other) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    let setup = Setup::ollama(&local).upstream("other", "openai", &other);
    let setup =
        setup.toml("[models]\nfallback = [\"other/g\"]\n[upstream.ollama]\nbreaker = \"cloud\"\n");
    let row = Row::start("U23", setup).await;
    let missing = Reply::error(404, &json!({ "error": "model 'm' not found" }));
    local.always(missing);
    for nth in 0..10 {
        for path in CHATS {
            let answer = row.ask(path, &chat("m", nth, nth % 2 == 0)).await;
            assert_eq!((answer.status, answer.end), (404, End::Refused), "{path}");
            let error = &answer.json()["error"];
            let said = error["message"].as_str().or(error.as_str()).unwrap_or_default();
            assert!(said.contains("not found"), "{path}: {}", answer.text());
        }
    }
    assert_eq!(local.calls().len(), 30, "no second try");
    assert_eq!(other.calls().len(), 0, "no other model in its place");
    local.sane();
    assert_eq!(row.ask(CHATS[0], &chat("m", 99, true)).await.end, End::Complete);
    assert!(!row.program.said().contains("left alone"));
    row.check().await;
}

/// Calls upstream for each request of a client.
async fn amplification(row: &Arc<Row>, up: &Chaosd, count: usize, status: u16) -> f64 {
    let before = up.calls().len();
    let next = Arc::new(AtomicUsize::new(0));
    let mut asking = JoinSet::new();
    for _ in 0..16 {
        let (row, next) = (row.clone(), next.clone());
        asking.spawn(async move {
            loop {
                let nth = next.fetch_add(1, Ordering::SeqCst);
                if nth >= count {
                    return;
                }
                let answer = row.ask("/v1/chat/completions", &chat("m", nth, nth % 2 == 0)).await;
                assert_eq!(answer.status, status, "{}", answer.text());
                let spent = if status == 500 { "false" } else { "" };
                assert_eq!(answer.header("x-should-retry"), spent, "{}", answer.head);
            }
        });
    }
    asking.join_all().await;
    (up.calls().len() - before) as f64 / count as f64
}

#[tokio::test]
async fn t16_what_fails_always_becomes_no_more_than_a_fifth_more_and_what_the_client_did_wrong_nothing()
 {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Arc::new(Row::start("T16", Setup::ollama(&up)).await);
    let count = times(2_000, 100_000);
    up.always(Reply::error(500, &json!({ "error": "oops" })));
    let failing = amplification(&row, &up, count, 500).await;
    up.always(Reply::error(400, &json!({ "error": "wrong" })));
    let wrong = amplification(&row, &up, count / 4, 400).await;
    let mut row = Arc::into_inner(row).unwrap();
    row.figure(format!(
        "{failing:.3} calls a request when all fail, {wrong:.3} for 4xx ({count} requests)"
    ));
    assert!(failing <= 1.2 + 1e-9 && failing > 1.1, "{failing}");
    assert!((wrong - 1.0).abs() < 1e-9, "{wrong}");
    row.check().await;
}
