//! The rig: a scripted upstream, a broken wire, the client's own account, the program itself, and the verdict.

#![allow(dead_code, reason = "a rig can do more than the rows of one day need")]

mod chaosd;
mod judge;
mod ledger;
mod program;
mod row;
mod script;
mod setup;
mod verdict;
mod wedge;

#[allow(unused_imports, reason = "a rig can do more than the rows of one day need")]
pub(crate) use self::{
    chaosd::{Call, Chaosd},
    judge::{End, judge},
    ledger::{Entry, Ledger, Open, said},
    program::{LogLine, Program},
    row::{Asker, Row},
    script::{Act, Framing, Reply, Script},
    setup::Setup,
    verdict::{note, skip},
    wedge::{Mode, Wedge},
};

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Longer than anything takes that works, so that what hangs fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Stands in every prompt, and must never be seen in a log.
pub(crate) const PROMPT: &str = "canary-prompt-7d1f";

/// Whether the long forms are wanted: `UNIGATE_FAULTS=full`.
pub(crate) fn full() -> bool {
    std::env::var_os("UNIGATE_FAULTS").is_some_and(|value| value == "full")
}

/// The first number in the short form, the second in the long one.
pub(crate) fn times(short: usize, long: usize) -> usize {
    if full() { long } else { short }
}

/// A chat request that every dialect takes; the prompt has a number, so that no cache answers it by accident.
pub(crate) fn chat(model: &str, nth: usize, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "max_tokens": 64,
        "messages": [{ "role": "user", "content": format!("{PROMPT} {nth}") }] })
}

/// Waits until `done` says so; fails after [`LIMIT`].
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs all of these, so many at a time; what they come to, in no order.
pub(crate) async fn each<T, F>(all: impl IntoIterator<Item = F>, at_a_time: usize) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    for one in all {
        if running.len() >= at_a_time {
            done.extend(running.join_next().await.map(Result::unwrap));
        }
        running.spawn(one);
    }
    while let Some(one) = running.join_next().await {
        done.push(one.unwrap());
    }
    done
}

/// The value below which `share` (0 to 1) of these are.
pub(crate) fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let at = ((values.len() as f64 - 1.0) * share).round() as usize;
    values.get(at).copied().unwrap_or_default()
}

/// Milliseconds as a person writes them.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
