//! What an answer must be to be kept: whole, free of errors, and the first choice's own.

use super::{CHATS, ask, post, sampled, settle, status, text};
use crate::{
    streaming::next,
    support::{Gateway, Script, Step, Upstream, config},
};
use http::Method;
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Notify;

/// One that answers badly until it is mended.
async fn ailing(bad: Script, good: Script) -> (Upstream, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let well = mended.clone();
    let upstream = Upstream::start(&["m"], move |_| match well.load(Ordering::SeqCst) {
        true => good.clone(),
        false => bad.clone(),
    })
    .await;
    (upstream, mended)
}

#[tokio::test]
async fn an_answer_that_failed_or_broke_off_is_not_kept() {
    let forms = [
        ("cut off", Script::chat(&["bad"]).cut(1)),
        ("a broken connection", Script::chat(&["bad"]).then(1, Step::Break)),
        (
            "an error in the stream",
            Script::lines(&[
                json!({ "message": { "content": "bad" }, "done": false }),
                json!({ "error": "boom" }),
            ]),
        ),
        ("a 500", Script::error(500, &json!({ "error": "bad" }))),
        ("a 404", Script::error(404, &json!({ "error": "bad" }))),
        ("a 400", Script::error(400, &json!({ "error": "bad" }))),
    ];
    for path in CHATS {
        for (name, script) in &forms {
            let (upstream, mended) = ailing(script.clone(), Script::chat(&["good"])).await;
            let gateway = Gateway::before(&upstream).await;
            let client = gateway.client();
            let bad = post(&client, path, &ask(path, true)).await;
            assert!(!bad.text().contains("good"), "{path} {name}: {}", bad.text());
            mended.store(true, Ordering::SeqCst);
            for expected in ["MISS", "HIT"] {
                let answer = post(&client, path, &ask(path, true)).await;
                let seen = (status(&answer), text(&answer));
                assert_eq!(seen, (expected, "good".to_owned()), "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn an_unstreamed_answer_that_failed_is_not_kept() {
    let forms = [
        Script::error(500, &json!({ "error": "bad" })),
        Script::json(&json!({ "error": "bad" })),
        Script::new("application/json", r#"{"model":"m","message":{"content":"bad"#),
        Script::new("text/html", "<html>bad</html>"),
    ];
    for path in CHATS {
        for (at, script) in forms.iter().enumerate() {
            let (upstream, mended) = ailing(script.clone(), Script::said("good")).await;
            let gateway = Gateway::before(&upstream).await;
            let bad = post(&gateway.client(), path, &sampled(false)).await;
            assert!(bad.status.is_server_error(), "{path} {at}: {}", bad.text());
            mended.store(true, Ordering::SeqCst);
            let answer = post(&gateway.client(), path, &sampled(false)).await;
            assert_eq!((status(&answer), text(&answer).as_str()), ("MISS", "good"), "{path} {at}");
        }
    }
}

#[tokio::test]
async fn an_answer_by_a_fallback_is_kept_only_where_the_configuration_says_so() {
    for (keep, second) in [(false, "MISS"), (true, "HIT")] {
        let cloud = Upstream::always(&["g"], Script::completion("saved")).await;
        let local = Upstream::always(&["m"], Script::error(503, &json!({ "error": "full" }))).await;
        let mut config = config(&[("ollama", "ollama", &local), ("cloud", "openai", &cloud)]);
        config.models.fallback = vec!["cloud/g".into()];
        config.cache.fallbacks = keep;
        let gateway = Gateway::start(config).await;
        for expected in ["MISS", second] {
            let answer = post(&gateway.client(), "/v1/chat/completions", &sampled(false)).await;
            assert_eq!((status(&answer), text(&answer).as_str()), (expected, "saved"));
            assert_eq!(answer.header("x-unigate-upstream"), "cloud", "a hit says who answered");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    for path in CHATS {
        let (upstream, mended) =
            ailing(Script::chat(&["bad"]).then(1, Step::Hang), Script::chat(&["good"])).await;
        let gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        let mut answer = client.open(Method::POST, path, ask(path, true).to_string()).await;
        next(&mut answer).await.unwrap();
        drop(answer);
        upstream.cut_off(1).await;
        mended.store(true, Ordering::SeqCst);
        settle().await;
        let answer = post(&client, path, &ask(path, true)).await;
        assert_eq!((status(&answer), text(&answer).as_str()), ("MISS", "good"), "{path}");
    }
}

#[tokio::test]
async fn the_first_token_passes_before_the_answer_that_fills_the_cache_is_whole() {
    for path in CHATS {
        let go = Arc::new(Notify::new());
        let mut script = Script::chat(&["one", "two"]);
        script.steps.insert(1, Step::Wait(go.clone()));
        let upstream = Upstream::always(&["m"], script).await;
        let gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        let mut answer = client.open(Method::POST, path, ask(path, true).to_string()).await;
        assert_eq!(answer.headers()["x-unigate-cache"], "MISS");
        let first = next(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&first).contains("one"), "{path}");
        go.notify_one();
        while next(&mut answer).await.is_some() {}
        settle().await;
        let hit = post(&client, path, &ask(path, true)).await;
        assert_eq!((status(&hit), text(&hit).as_str()), ("HIT", "onetwo"), "{path}");
    }
}

#[tokio::test]
async fn an_answer_above_the_limit_passes_whole_and_is_not_kept() {
    let long = "x".repeat(4096);
    let upstream = Upstream::always(&["m"], Script::said(&long)).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.cache.max_entry_bytes = 1024;
    let gateway = Gateway::start(config).await;
    for _ in 0..2 {
        let answer = post(&gateway.client(), "/api/chat", &sampled(false)).await;
        assert_eq!((status(&answer), text(&answer).len()), ("MISS", 4096));
    }
}

#[tokio::test]
async fn an_answer_does_not_outlive_its_model() {
    let upstream = Upstream::always(&["m"], Script::said("one")).await;
    let gateway = Gateway::before(&upstream).await;
    let client = gateway.client();
    let body = ask(CHATS[0], false);
    post(&client, CHATS[0], &body).await;
    assert_eq!(status(&post(&client, CHATS[0], &body).await), "HIT");
    upstream.make_again();
    let copy = json!({ "source": "other", "destination": "m" });
    assert_eq!(client.post("/api/copy", &copy).await.status, 200);
    // At once, and not only after the next look around.
    assert_ne!(status(&post(&client, CHATS[0], &body).await), "HIT");
}
