//! Row C1: a client that leaves takes its request upstream with it, wherever that stands.

use crate::rig::{Act, Chaosd, Reply, Row, Script, Setup, chat, each, ms, quantile, times};
use std::time::{Duration, Instant};

/// Where the request stands when its client leaves.
#[derive(Clone, Copy, Debug)]
enum Window {
    /// The upstream has it and says nothing: a queue, or a prompt that is read.
    Queued,
    /// The head of a stream has come, and no token.
    BeforeTheFirst,
    Midstream,
    Unstreamed,
}

impl Window {
    fn script(self) -> Script {
        match self {
            Self::Queued | Self::Unstreamed => Script::just(Act::Stall),
            Self::BeforeTheFirst => Script::raw(Reply::chat(&[]).head()).then(Act::Stall),
            Self::Midstream => {
                let mut script = Script::from(Reply::chat(&["one"]));
                script.acts.truncate(2);
                script.then(Act::Stall)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_a_client_that_leaves_in_any_window_takes_its_call_upstream_with_it() {
    let mut last: Option<Row> = None;
    let mut figures = Vec::new();
    for window in [Window::Queued, Window::BeforeTheFirst, Window::Midstream, Window::Unstreamed] {
        let up = Chaosd::ollama(&["m"]).await;
        up.rule(move |call| call.asks.map(|_| window.script()));
        let row = Row::start("C1", Setup::ollama(&up)).await;
        let count = times(40, 2500);
        let all = (0..count).map(|nth| {
            let (asker, up) = (row.asker(), up.clone());
            async move {
                let path = ["/api/chat", "/v1/chat/completions"][nth % 2];
                let stream = !matches!(window, Window::Unstreamed);
                let mut open = asker.open(path, &chat("m", nth, stream)).await;
                if matches!(window, Window::Midstream) {
                    assert!(open.until("one").await);
                }
                let begun = Instant::now();
                let mine = || up.numbered(nth);
                while mine().is_none() {
                    assert!(begun.elapsed() < Duration::from_secs(20), "never came upstream");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let at = open.leave();
                let left = up.left(mine().unwrap().asks.unwrap()).await;
                left.saturating_duration_since(at)
            }
        });
        let mut took = each(all, 4).await;
        let (half, most) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
        figures.push(format!("{window:?} p50 {} p99 {}", ms(half), ms(most)));
        // The machine may be busy with other tests; what is meant is 100 ms.
        assert!(half < Duration::from_millis(100), "{window:?}: {took:?}");
        assert!(most < Duration::from_millis(500), "{window:?}: {took:?}");
        if let Some(row) = last.replace(row) {
            row.check().await;
        }
    }
    let mut row = last.unwrap();
    row.figure(format!("upstream closed after its client left: {}", figures.join(", ")));
    row.check().await;
}

#[tokio::test]
async fn c1_a_client_that_leaves_gives_its_place_back_and_is_cancelled_in_the_log() {
    let up = Chaosd::ollama(&["m"]).await;
    let row =
        Row::start("C1", Setup::ollama(&up).toml("[upstream.ollama]\nmax_in_flight = 1\n")).await;
    for nth in 0..5 {
        up.next(Window::Midstream.script());
        let mut open = row.open("/v1/chat/completions", &chat("m", 2 * nth, true)).await;
        assert!(open.until("one").await);
        open.leave();
        up.left(2 * nth).await;
        let answer = row.ask("/v1/chat/completions", &chat("m", 2 * nth + 1, true)).await;
        assert_eq!(answer.status, 200, "the only place is free again: {}", answer.text());
    }
    let program = &row.program;
    let cancelled = || program.rows().iter().filter(|row| row["ending"] == "cancelled").count();
    crate::rig::until("five rows that say cancelled", || cancelled() == 5).await;
    row.check().await;
}
