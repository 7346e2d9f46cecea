//! Rows O5 and O6: a machine that starves, and one that sleeps.

use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, full, ms};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::sleep};

const CHAT: &str = "/v1/chat/completions";

/// Threads that do nothing as fast as they can, until dropped.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn new(threads: usize) -> Self {
        let go = Arc::new(AtomicBool::new(true));
        for _ in 0..threads {
            let go = go.clone();
            std::thread::spawn(move || {
                while go.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(go)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn o5_a_machine_without_time_fails_nothing_and_blames_nobody() {
    let local = Chaosd::ollama(&["m"]).await;
    local.loads(Duration::from_secs(if full() { 30 } else { 3 }), 1);
    let row = Arc::new(Row::start("O5", Setup::ollama(&local)).await);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let busy = Busy::new(cores * if full() { 4 } else { 1 });
    let begun = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for nth in 0..20 {
        let row = row.clone();
        asking.spawn(async move { row.ask(CHAT, &chat("m", nth, nth % 2 == 0)).await });
    }
    for answer in asking.join_all().await {
        assert_eq!((answer.end, answer.header("x-unigate-attempts")), (End::Complete, "1"));
    }
    drop(busy);
    let said = row.program.said();
    assert!(!said.contains("left alone"), "{said}");
    let mut row = Arc::into_inner(row).unwrap();
    row.figure(format!("20 requests over a load in {}", ms(begun.elapsed())));
    row.check().await;
}

#[tokio::test]
async fn o6_a_machine_that_slept_goes_on_where_it_was() {
    let local = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("O6", Setup::ollama(&local)).await;
    // Connections that will be stale, a stream in its middle, and a model that loads.
    for nth in 0..4 {
        row.ask(CHAT, &chat("m", nth, false)).await;
    }
    let go = Arc::new(Notify::new());
    local.next(Script::from(Reply::chat(&["one", "two"])).at(2, Act::Until(go.clone())));
    let mut streaming = row.open(CHAT, &chat("m", 10, true)).await;
    assert!(streaming.until("one").await);
    let loaded = Arc::new(Notify::new());
    local.next(Script::from(Reply::chat(&["loaded"])).after(Act::Until(loaded.clone())));
    let loading = row.open(CHAT, &chat("m", 11, true)).await;
    local.asked(6).await;
    // Long enough for somebody to have asked whether it is alive.
    sleep(Duration::from_millis(2_200)).await;

    row.program.signal("STOP").await;
    sleep(Duration::from_secs(if full() { 600 } else { 3 })).await;
    row.program.signal("CONT").await;
    let begun = Instant::now();
    let calls = local.calls().len();
    for nth in 20..30 {
        let answer = row.ask(CHAT, &chat("m", nth, nth % 2 == 0)).await;
        assert_eq!(answer.end, End::Complete, "{}", answer.text());
    }
    go.notify_one();
    loaded.notify_one();
    let (streaming, loading) = (streaming.finish().await, loading.finish().await);
    assert_eq!((streaming.end, streaming.said()), (End::Complete, "onetwo".to_owned()));
    assert_eq!((loading.end, loading.said()), (End::Complete, "loaded".to_owned()));
    assert_eq!(local.calls().len() - calls, 10, "no storm");
    assert!(!row.program.said().contains("left alone"));
    row.figure(format!("12 of 12 served, {} after it woke", ms(begun.elapsed())));
    row.check().await;
}
