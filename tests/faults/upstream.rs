//! Rows U: what upstreams do.

use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, ms, times};
use std::{collections::BTreeSet, sync::Mutex};

#[tokio::test]
async fn u5_a_reset_before_the_head_is_tried_again() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("U5", Setup::ollama(&up)).await;
    for (nth, path) in ["/api/chat", "/v1/chat/completions"].iter().enumerate() {
        up.next(Script::just(Act::Reset));
        let answer = row.ask(path, &chat("m", nth, true)).await;
        assert_eq!((answer.end, answer.said()), (End::Complete, "Hello, wörld from m".to_owned()));
        let calls = up.calls();
        assert_eq!(calls.len(), 2 * nth + 2, "once reset, once answered");
        row.figure(format!("{path}: {}", ms(answer.took)));
    }
    row.check().await;
}

#[tokio::test]
async fn u5_a_reset_of_every_attempt_goes_to_the_fallback_and_is_told_when_there_is_none() {
    let (up, other) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    up.always(Script::just(Act::Reset));
    let setup = Setup::ollama(&up).upstream("other", "openai", &other);
    let row = Row::start(
        "U5",
        setup.toml("[models]\ndefault = \"ollama/m\"\nfallback = [\"other/g\"]\n"),
    );
    let row = row.await.attempts(4);
    let answer = row.ask("/api/chat", &chat("auto", 0, true)).await;
    assert_eq!((answer.end, answer.said()), (End::Complete, "Hello, wörld from g".to_owned()));
    other.always(Script::from(Reply::chunks(&["half"])).cut(20, Act::Reset));
    let answer = row.ask("/api/chat", &chat("auto", 1, true)).await;
    assert_eq!((answer.end, answer.status), (End::Refused, 502), "{}", answer.text());
    row.check().await;
}

/// A connection that is closed while nobody uses it, at the worst time: when the next request is on its way.
#[tokio::test]
async fn u6_a_kept_connection_that_is_closed_costs_no_request() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("U6", Setup::ollama(&up)).await;
    // Kept, says the answer; and then it is closed.
    up.rule(|call| {
        call.asks?;
        Some(Script::from(Reply::said("fine")).then(Act::Fin))
    });
    let count = times(300, 10_000);
    for nth in 0..count {
        let path = ["/api/chat", "/v1/chat/completions"][nth % 2];
        let answer = row.ask(path, &chat("m", nth, false)).await;
        assert_eq!(
            (answer.end, answer.said().as_str()),
            (End::Complete, "fine"),
            "{nth}: {}",
            answer.text()
        );
    }
    let calls = up.calls().len();
    row.figure(format!("{count} requests, 0 errors, {calls} calls upstream"));
    row.check().await;
}

#[tokio::test]
async fn u6_a_kept_connection_that_is_closed_under_a_request_costs_another_try() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row =
        Row::start("U6", Setup::ollama(&up).toml("[retry]\nbudget_percent = 100\n")).await;
    let seen: Mutex<BTreeSet<usize>> = Mutex::default();
    up.rule(move |call| {
        call.asks?;
        // Whoever asks a second time on the same connection finds it closed, with the request on it.
        let fresh = seen.lock().unwrap().insert(call.connection);
        Some(if fresh { Reply::said("fine").into() } else { Script::just(Act::Fin) })
    });
    let count = times(200, 5000);
    for nth in 0..count {
        let answer = row.ask("/api/chat", &chat("m", nth, false)).await;
        assert_eq!(
            (answer.end, answer.said().as_str()),
            (End::Complete, "fine"),
            "{nth}: {}",
            answer.text()
        );
    }
    row.figure(format!("{count} requests, 0 errors, {} calls upstream", up.calls().len()));
    row.check().await;
}
