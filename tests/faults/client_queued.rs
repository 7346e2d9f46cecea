//! Row C1, its first window: clients that leave while they wait for a place.

use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, ms, quantile, times, until};
use std::time::{Duration, Instant};
use tokio::time::timeout;

#[tokio::test]
async fn c1_who_leaves_the_queue_was_never_there_for_the_upstream_and_makes_room() {
    let up = Chaosd::ollama(&["m"]).await;
    let limits = "[upstream.ollama]\nmax_in_flight = 1\nmax_queued = 1\n";
    let mut row = Row::start("C1", Setup::ollama(&up).toml(limits)).await;
    let mut freed = Vec::new();
    for nth in 0..times(5, 100) {
        let calls = up.calls().len();
        up.next(Script::from(Reply::chat(&["one", "two"])).at(2, Act::Stall));
        let mut inside = row.open("/api/chat", &chat("m", nth, true)).await;
        inside.until("one").await;
        // There is room for one of these: the one that is refused shows that the other waits.
        let mut waits = row.open("/v1/chat/completions", &chat("m", nth, true)).await;
        let mut refused = row.open("/api/chat", &chat("m", nth, true)).await;
        tokio::select! {
            _ = waits.read() => std::mem::swap(&mut waits, &mut refused),
            _ = refused.read() => {}
        }

        assert_eq!(refused.finish().await.status, 503);
        drop(waits);
        let left = Instant::now();
        let next = loop {
            let mut next = row.open("/api/chat", &chat("m", nth, true)).await;
            if timeout(Duration::from_millis(50), next.read()).await.is_err() {
                break next;
            }
            assert!(left.elapsed() < Duration::from_secs(2), "the queue is still full");
            next.finish().await;
        };
        freed.push(left.elapsed());
        drop(inside);
        let at = Instant::now();
        up.left(calls).await;
        assert!(at.elapsed() < Duration::from_millis(500));
        let answer = next.finish().await;
        assert_eq!((answer.end, answer.status), (End::Complete, 200), "{}", answer.text());
        assert!(answer.header("x-unigate-queue").starts_with("1; waited="));
        assert_eq!(up.calls().len(), calls + 2, "who left was never told upstream");
    }
    row.figure(format!("room again within {} (p99)", ms(quantile(&mut freed, 0.99))));
    let cancelled = || {
        let rows = row.program.rows();
        rows.iter().filter(|line| line["error_code"] == "client_closed").count()
    };
    until("the rows of those who left", || cancelled() >= 2 * times(5, 100)).await;
    row.check().await;
}
