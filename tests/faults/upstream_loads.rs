//! Rows U4, U28 to U30: models that must be loaded before they answer.

use crate::rig::{
    Act, Call, Chaosd, End, Entry, Open, Reply, Row, Script, Setup, chat, full, ms, quantile,
    times, until,
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Waits for all of them, each at its own time.
async fn all(open: Vec<Open>) -> Vec<Entry> {
    let mut waiting = tokio::task::JoinSet::new();
    for client in open {
        waiting.spawn(client.finish());
    }
    waiting.join_all().await
}

#[tokio::test]
async fn u4_a_cold_load_is_waited_for_longer_than_any_first_byte() {
    let up = Chaosd::ollama(&["m", "e"]).await;
    let takes = Duration::from_secs(times(2, 25) as u64);
    up.loads(takes, 2);
    let setup = Setup::ollama(&up).toml("[upstream.ollama]\nfirst_byte_s = 0.5\n");
    let mut row = Row::start("U4", setup).await;
    for (nth, (path, body, loads)) in [
        ("/v1/chat/completions", chat("m", 0, true), 1),
        ("/api/chat", chat("m", 1, true), 1),
        ("/api/embed", json!({ "model": "e", "input": ["a"] }), 2),
    ]
    .iter()
    .enumerate()
    {
        let answer = row.ask(path, body).await;
        assert_eq!((answer.end, answer.status), (End::Complete, 200), "{}", answer.text());
        let seen = up.load_count();
        assert_eq!((seen.begun, seen.done, seen.aborted), (*loads, *loads, 0), "{path}");
        if nth == 1 {
            assert!(answer.took < takes, "it is loaded already");
        } else {
            assert!(answer.took >= takes);
            row.figure(format!("{path}: {}", ms(answer.took)));
        }
    }
    assert_eq!(up.calls().len(), 5, "two loads and three answers");
    row.check().await;
}

#[tokio::test]
async fn u4_what_cannot_be_loaded_is_told_by_the_upstream_itself() {
    let up = Chaosd::ollama(&["m"]).await;
    up.loads(Duration::from_millis(50), 1);
    up.always(Reply::error(500, &json!({ "error": "model requires more memory" })));
    let row = Row::start("U4", Setup::ollama(&up)).await.attempts(4);
    let answer = row.ask("/api/chat", &chat("m", 0, true)).await;
    assert_eq!((answer.status, answer.end), (500, End::Refused));
    assert!(answer.text().contains("requires more memory"), "{}", answer.text());
    let calls = up.calls().len();
    let again = row.ask("/api/chat", &chat("m", 1, true)).await;
    assert_eq!(again.status, 500);
    let loads = |call: &Call| call.path == "/api/generate";
    assert_eq!(up.calls().iter().filter(|call| loads(call)).count(), 1, "after {calls} calls");
    row.check().await;
}

#[tokio::test]
async fn u28_a_herd_on_a_cold_model_makes_one_load_and_keeps_to_the_limit() {
    const LIMIT: usize = 8;
    const WORK: Duration = Duration::from_millis(20);
    let up = Chaosd::ollama(&["m"]).await;
    up.loads(Duration::from_secs(times(1, 20) as u64), 1);
    up.rule(|call| {
        let answer = Script::from(Reply::chat(&["one", "two"])).after(Act::Wait(WORK));
        (call.path == "/api/chat").then(|| answer.after(Act::Load("m".into())))
    });
    let limits = format!("[upstream.ollama]\nmax_in_flight = {LIMIT}\nmax_queued = 1000\n");
    let mut row = Row::start("U28", Setup::ollama(&up).toml(&limits)).await;
    let herd = 500;
    let mut open = Vec::with_capacity(herd);
    let begun = Instant::now();
    for nth in 0..herd {
        open.push(row.open("/api/chat", &chat("m", nth, true)).await);
    }
    for answer in all(open).await {
        assert_eq!((answer.end, answer.status), (End::Complete, 200), "{}", answer.text());
    }
    let loads = up.load_count();
    assert_eq!((loads.begun, loads.aborted), (1, 0));
    assert_eq!(up.most(), LIMIT, "at a time");
    let took = ms(begun.elapsed());
    row.figure(format!("{herd} answered in {took}, {LIMIT} at a time, 1 load"));
    row.check().await;
}

#[tokio::test]
async fn u28_what_the_queue_cannot_hold_is_refused_at_once_and_told_when_to_come_again() {
    let up = Chaosd::ollama(&["m"]).await;
    up.loads(Duration::from_secs(2), 1);
    let limits = "[upstream.ollama]\nmax_in_flight = 4\nmax_queued = 16\n";
    let mut row = Row::start("U28", Setup::ollama(&up).toml(limits)).await;
    let mut open = Vec::new();
    for nth in 0..100 {
        open.push(row.open("/v1/chat/completions", &chat("m", nth, true)).await);
    }
    let (mut answered, mut refused) = (0, Vec::new());
    for answer in all(open).await {
        match answer.status {
            200 => answered += 1,
            503 => {
                let after: u64 = answer.header("retry-after").parse().unwrap();
                assert!(after >= 1 && answer.text().contains("the limit"), "{}", answer.text());
                refused.push(answer.took);
            }
            status => panic!("{status}: {}", answer.text()),
        }
    }
    assert_eq!((answered, refused.len()), (20, 80));
    assert_eq!(up.load_count().begun, 1);
    row.figure(format!("refused within {} (p99)", ms(quantile(&mut refused, 0.99))));
    row.check().await;
}

#[tokio::test]
async fn u29_a_client_that_leaves_takes_no_load_with_it() {
    let up = Chaosd::ollama(&["m"]).await;
    up.loads(Duration::from_millis(1500), 1);
    let row = Row::start("U29", Setup::ollama(&up)).await;
    let first = row.open("/api/chat", &chat("m", 0, true)).await;
    up.asked(1).await;
    let second = row.open("/v1/chat/completions", &chat("m", 1, true)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(first);
    let third = row.open("/api/chat", &chat("m", 2, false)).await;
    for client in [second, third] {
        let answer = client.finish().await;
        assert_eq!((answer.end, answer.status), (End::Complete, 200), "{}", answer.text());
    }
    let loads = up.load_count();
    assert_eq!((loads.begun, loads.done, loads.aborted), (1, 1, 0));
    assert_eq!(up.calls().len(), 3, "a load, and two that stayed");
    row.check().await;
}

#[tokio::test]
async fn u29_a_load_that_nobody_waits_for_any_more_is_there_for_the_next() {
    let up = Chaosd::ollama(&["m"]).await;
    up.loads(Duration::from_secs(1), 1);
    let limits = "[upstream.ollama]\nmax_in_flight = 1\n";
    let mut row = Row::start("U29", Setup::ollama(&up).toml(limits)).await;
    let alone = row.open("/api/chat", &chat("m", 0, true)).await;
    up.asked(1).await;
    drop(alone);
    until("the load", || up.load_count().done == 1).await;
    let answer = row.ask("/api/chat", &chat("m", 1, true)).await;
    assert_eq!((answer.end, up.load_count().begun), (End::Complete, 1));
    row.figure(format!("the next was answered in {}", ms(answer.took)));
    row.check().await;
}

#[tokio::test]
async fn u30_models_that_do_not_fit_together_are_not_swapped_for_every_request() {
    let up = Chaosd::ollama(&["a", "b"]).await;
    let (swap, turn) = if full() { (2.0, 5.0) } else { (0.2, 1.0) };
    up.loads(Duration::from_secs_f64(swap), 1);
    let limits = format!("[upstream.ollama]\nswap_wait_s = {turn}\n");
    let mut row = Row::start("U30", Setup::ollama(&up).toml(&limits)).await.attempts(3);
    let client = |which: usize, turns: f64| {
        let (row, begun) = (&row, Instant::now());
        let lasts = Duration::from_secs_f64(turn * turns);
        async move {
            let model = ["a", "b"][which % 2];
            let (mut longest, mut count) = (Duration::ZERO, 0);
            while begun.elapsed() < lasts {
                let answer = row.ask("/api/chat", &chat(model, which * 10_000 + count, true)).await;
                assert_eq!((answer.end, answer.status), (End::Complete, 200), "{}", answer.text());
                longest = longest.max(answer.took);
                count += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (longest, count)
        }
    };
    // It has to see them go before it knows that they do not fit.
    tokio::join!(client(4, 3.0), client(5, 3.0), client(6, 3.0), client(7, 3.0));
    let (before, begun) = (up.load_count().begun, Instant::now());
    let (a, b, c, d) = tokio::join!(client(0, 4.5), client(1, 4.5), client(2, 4.5), client(3, 4.5));
    let longest = [a.0, b.0, c.0, d.0].into_iter().max().unwrap();
    let count = a.1 + b.1 + c.1 + d.1;
    assert_eq!(up.load_count().aborted, 0);
    let swaps = up.load_count().begun - before;
    // One for each turn.
    let most = (begun.elapsed().as_secs_f64() / turn) as usize + 2;
    assert!(swaps <= most, "{swaps} swaps for {count} answers, bound {most}");
    assert!(count > 10 * swaps, "{count} answers with {swaps} swaps");
    let bound = Duration::from_secs_f64(2.0 * turn + 3.0 * swap + 2.0);
    assert!(longest < bound, "one waited {longest:?}");
    row.figure(format!("{swaps} swaps for {count} answers, the longest in {}", ms(longest)));
    row.check().await;
}

#[tokio::test]
async fn u30_models_that_fit_wait_for_nobody() {
    let up = Chaosd::ollama(&["a", "b"]).await;
    up.loads(Duration::from_millis(100), 2);
    let row = Row::start("U30", Setup::ollama(&up)).await;
    for nth in 0..2 {
        let (one, other) = (chat("a", nth, true), chat("b", nth, true));
        let (a, b) = tokio::join!(row.ask("/api/chat", &one), row.ask("/api/chat", &other));
        assert_eq!((a.end, b.end), (End::Complete, End::Complete));
        assert_eq!((a.header("x-unigate-queue"), b.header("x-unigate-queue")), ("", ""));
    }
    assert_eq!((up.load_count().begun, up.load_count().evicted), (2, 0));
    row.check().await;
}
