//! Rows U7, U8, U9, U10: streams that do not come to their end. Half an answer is never a whole one.

use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, each, full};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

const WORDS: [&str; 3] = ["Hello", ", ", "wörld"];

/// What clients ask by, and which upstream answers.
const PAIRS: [(&str, bool); 6] = [
    ("/api/chat", false),
    ("/v1/chat/completions", false),
    ("/api/chat", true),
    ("/v1/chat/completions", true),
    ("/v1/messages", false),
    ("/v1/responses", false),
];

fn whole(openai: bool) -> Reply {
    if openai { Reply::chunks(&WORDS) } else { Reply::chat(&WORDS) }
}

async fn before(openai: bool) -> (Chaosd, Setup) {
    if openai {
        let up = Chaosd::openai(&["m"]).await;
        let setup = Setup::new().upstream("openai", "openai", &up);
        return (up, setup);
    }
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up);
    (up, setup)
}

/// A request that may be cached, in the words of whoever asks.
fn request(path: &str, nth: usize, stream: bool) -> serde_json::Value {
    let mut body = chat("m", nth, stream);
    body["temperature"] = 0.into();
    body["options"] = json!({ "temperature": 0 });
    if path == "/v1/responses" {
        body = json!({ "model": "m", "stream": stream, "temperature": 0,
            "input": body["messages"][0]["content"] });
    }
    body
}

/// Cuts the first attempt after each byte in turn, and asks once more.
async fn cut_everywhere(act: Act) {
    let mut row: Option<Row> = None;
    let mut told = 0;
    let mut retried = 0;
    let mut kept = 0;
    let mut cuts = 0;
    for (path, openai) in PAIRS {
        let (up, setup) = before(openai).await;
        let script = Script::from(whole(openai));
        let calls: Arc<Mutex<BTreeMap<usize, usize>>> = Arc::default();
        let (counted, all, cut) = (calls.clone(), script.clone(), act.clone());
        up.rule(move |call| {
            call.asks?;
            let mut counted = counted.lock().unwrap();
            let count = counted.entry(call.number()).or_default();
            *count += 1;
            Some(if *count == 1 {
                all.clone().cut(call.number(), cut.clone())
            } else {
                all.clone()
            })
        });
        let setup = setup.toml("[cache]\nstore = \"memory\"\n[retry]\nbudget_percent = 100\n");
        let this = Row::start("U7", setup).await.attempts(2);
        // Every byte of the head and of the first events; further on each seventh, unless there is time.
        let first = 450.min(script.len());
        let step = if full() { 1 } else { 7 };
        let places = (0..first)
            .step_by(if full() { 1 } else { 3 })
            .chain((first..=script.len()).step_by(step));
        let all = places.map(|cut| {
            let (asker, calls) = (this.asker(), calls.clone());
            async move {
                let body = request(path, cut, true);
                let answer = asker.ask(path, &body).await;
                let what = format!("{path} cut at {cut}: {:?}\n{}", answer.end, answer.text());
                let before = calls.lock().unwrap()[&cut];
                let again = asker.ask(path, &body).await;
                let after = calls.lock().unwrap()[&cut];
                assert_eq!(again.end, End::Complete, "{what}\nand then {}", again.text());
                match answer.end {
                    End::Complete => {}
                    // Whoever had seen some of it was told, and nobody after them got it from the cache.
                    End::ErrorEvent => assert_eq!((before, after), (1, 2), "{what}"),
                    _ => panic!("{what}"),
                }
                if path != "/v1/responses" {
                    assert_eq!(again.said(), WORDS.concat(), "{what}");
                    assert!(WORDS.concat().starts_with(&answer.said()), "{what}");
                    assert!(
                        answer.end != End::Complete || answer.said() == WORDS.concat(),
                        "{what}"
                    );
                }
                (
                    answer.end == End::ErrorEvent,
                    before == 2,
                    again.header("x-unigate-cache") == "HIT",
                )
            }
        });
        let ends = each(all, 8).await;
        cuts += ends.len();
        told += ends.iter().filter(|end| end.0).count();
        retried += ends.iter().filter(|end| end.1).count();
        kept += ends.iter().filter(|end| end.2).count();
        if let Some(row) = row.replace(this) {
            row.check().await;
        }
    }
    let mut row = row.unwrap();
    row.figure(format!(
        "{cuts} cuts in {} pairs: {retried} tried again, {told} told, 0 taken for whole; 0 halves and {kept} wholes kept",
        PAIRS.len()
    ));
    row.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u7_a_stream_that_is_closed_after_any_byte_is_tried_again_or_told_and_never_cached() {
    cut_everywhere(Act::Fin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u7_a_stream_that_is_reset_after_any_byte_is_tried_again_or_told_and_never_cached() {
    cut_everywhere(Act::Reset).await;
}

#[tokio::test]
async fn u7_an_unstreamed_answer_that_is_cut_is_never_a_success() {
    for (path, openai) in
        [("/api/chat", false), ("/v1/chat/completions", false), ("/v1/chat/completions", true)]
    {
        let (up, setup) = before(openai).await;
        let reply =
            if openai { Reply::completion("Hello, wörld") } else { Reply::said("Hello, wörld") };
        let script = Script::from(reply);
        let all = script.clone();
        up.rule(move |call| call.asks.map(|_| all.clone().cut(call.number(), Act::Fin)));
        let row = Row::start(
            "U7",
            setup.toml("[cache]\nstore = \"memory\"\n[retry]\nbudget_percent = 100\n"),
        )
        .await;
        let places = (0..script.len()).step_by(if full() { 1 } else { 9 });
        let all = places.map(|cut| {
            let asker = row.asker();
            async move {
                let answer = asker.ask(path, &request(path, cut, false)).await;
                let fine = matches!(answer.end, End::Refused | End::Cut);
                assert!(fine, "{path} cut at {cut}: {:?} {}", answer.end, answer.text());
            }
        });
        each(all, 8).await;
        row.check().await;
    }
}

#[tokio::test]
async fn u8_an_end_in_order_before_the_terminal_is_no_success() {
    for (path, openai) in PAIRS {
        let (up, setup) = before(openai).await;
        let row = Row::start("U8", setup).await;
        let pieces = whole(openai).pieces.len();
        // An OpenAI stream that has said why it finished is whole without its last words.
        let enough = if openai { WORDS.len() + 2 } else { pieces };
        for keep in 0..=pieces {
            up.always(whole(openai).first(keep));
            let answer = row.ask(path, &request(path, keep, true)).await;
            let expected = match keep {
                _ if keep >= enough => End::Complete,
                // Nothing that means anything has come: all attempts are spent.
                _ if keep <= usize::from(openai) => End::Refused,
                _ => End::ErrorEvent,
            };
            assert_eq!(answer.end, expected, "{path} {openai} {keep}: {}", answer.text());
            assert!(expected != End::Refused || answer.status == 502, "{}", answer.status);
        }
        row.check().await;
    }
    // The same unstreamed: a whole JSON that says itself that it is not the end.
    let (up, setup) = before(false).await;
    let row = Row::start("U8", setup).await;
    up.always(Reply::json(
        &json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z", "done": false,
        "message": { "role": "assistant", "content": "Hel" } }),
    ));
    for (nth, path) in ["/api/chat", "/v1/chat/completions", "/v1/messages"].iter().enumerate() {
        let answer = row.ask(path, &request(path, nth, false)).await;
        assert_eq!((answer.end, answer.status), (End::Refused, 502), "{path}: {}", answer.text());
    }
    row.check().await;
}

#[tokio::test]
async fn u9_an_error_in_the_middle_is_told_in_the_clients_own_words() {
    for (path, openai) in PAIRS {
        let (up, setup) = before(openai).await;
        let row = Row::start("U9", setup).await;
        let error = match openai {
            true => {
                "data: {\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\"}}\n\n"
            }
            false => "{\"error\":\"out of memory\"}\n",
        };
        up.always(whole(openai).piece(3, error));
        let answer = row.ask(path, &request(path, 0, true)).await;
        assert_eq!(
            (answer.status, answer.end),
            (200, End::ErrorEvent),
            "{path}: {}",
            answer.text()
        );
        assert!(answer.text().contains("out of memory"), "{path}: {}", answer.text());
        assert_eq!(up.calls().len(), 1, "what was begun is not begun again");
        row.check().await;
    }
}

#[tokio::test]
async fn u10_an_error_as_the_first_line_of_a_success_is_a_failure_that_is_not_kept() {
    for path in ["/api/chat", "/v1/chat/completions", "/v1/messages"] {
        let up = Chaosd::ollama(&["m"]).await;
        let row = Row::start("U10", Setup::ollama(&up).toml("[cache]\nstore = \"memory\"\n")).await;
        for nth in 1..=2 {
            up.always(Reply::lines(&[json!({ "error": "model runner has stopped" })]));
            let answer = row.ask(path, &request(path, 0, true)).await;
            assert_eq!((answer.status, answer.end), (500, End::Refused), "{}", answer.text());
            assert!(answer.text().contains("model runner has stopped"), "{}", answer.text());
            assert_eq!(up.calls().len(), 2 * nth, "tried twice each time");
        }
        up.sane();
        assert_eq!(row.ask(path, &request(path, 0, true)).await.end, End::Complete, "not kept");
        row.check().await;
    }
}

#[tokio::test]
async fn u10_an_error_as_the_first_line_of_a_success_goes_to_the_fallback() {
    let (up, other) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    up.always(Reply::lines(&[json!({ "error": "model runner has stopped" })]));
    let setup = Setup::ollama(&up).upstream("other", "openai", &other);
    let setup = setup.toml("[models]\ndefault = \"ollama/m\"\nfallback = [\"other/g\"]\n");
    let row = Row::start("U10", setup).await.attempts(4);
    let mut body = request("/v1/chat/completions", 0, true);
    body["model"] = "auto".into();
    let answer = row.ask("/v1/chat/completions", &body).await;
    assert_eq!((answer.end, answer.said()), (End::Complete, "Hello, wörld from g".to_owned()));
    row.check().await;
}
