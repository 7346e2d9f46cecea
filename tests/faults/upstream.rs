//! Rows U: what upstreams do.

use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, ms};

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
