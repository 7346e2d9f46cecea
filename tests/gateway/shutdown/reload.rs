//! A changed configuration takes over at once, or not at all, and drops nobody.

use super::{
    ask,
    program::{Program, before},
};
use crate::{
    streaming::next,
    support::{Script, Seen, Step, Upstream},
};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

fn named(model: &str) -> Value {
    let mut body = ask();
    body["model"] = model.into();
    body
}

#[tokio::test]
async fn a_hangup_swaps_the_routing_and_drops_nobody() {
    let go = Arc::new(Notify::new());
    let hold = go.clone();
    let upstream = Upstream::start(&["m", "n"], move |seen: &Seen| {
        let mut script = Script::chat(&["one", "two"]);
        if seen.json()["model"] == json!("m") {
            script.steps.insert(1, Step::Wait(hold.clone()));
        }
        script
    })
    .await;
    let mut program = Program::start(&before(&upstream)).await;
    let client = program.client();
    let mut running = client.open(Method::POST, "/api/chat", named("m").to_string()).await;
    next(&mut running).await.unwrap();

    let config = format!("{}[aliases]\nnick = \"n\"\n", before(&upstream));
    std::fs::write(program.home.path().join("config.toml"), config).unwrap();
    program.signal("HUP").await;
    program.says("configuration reloaded").await;
    let answer = client.post("/v1/chat/completions", &named("nick")).await;
    assert_eq!(answer.header("x-unigate-model"), "n", "{}", answer.text());

    go.notify_one();
    let mut rest = Vec::new();
    while let Some(data) = next(&mut running).await {
        rest.extend(data);
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("two") && rest.contains("\"done\":true"), "{rest}");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_told() {
    let upstream = Upstream::always(&["m"], Script::chat(&["hi"])).await;
    let config = format!("{}[aliases]\nnick = \"m\"\n", before(&upstream));
    let mut program = Program::start(&config).await;
    let file = program.home.path().join("config.toml");
    for (broken, why) in [
        ("[aliases\n".to_owned(), "config.toml"),
        (format!("{config}[modles]\n"), "did you mean"),
        (format!("{config}[server]\nkeys = [\"env:NO_SUCH_KEY\"]\n"), "NO_SUCH_KEY"),
    ] {
        std::fs::write(&file, &broken).unwrap();
        program.signal("HUP").await;
        let said = program.says("not reloaded, the old one stays").await;
        assert!(said.contains(why), "{said}");
        let answer = program.client().post("/v1/chat/completions", &named("nick")).await;
        assert_eq!(answer.header("x-unigate-model"), "m", "{}", answer.text());
    }
    std::fs::write(&file, config.replace("nick", "other")).unwrap();
    program.signal("HUP").await;
    program.says("configuration reloaded").await;
    let answer = program.client().post("/v1/chat/completions", &named("other")).await;
    assert_eq!(answer.header("x-unigate-model"), "m", "a mended file is taken");
}

#[tokio::test]
async fn a_hangup_right_after_the_start_does_not_end_it() {
    let upstream = Upstream::always(&["m"], Script::chat(&["hi"])).await;
    let mut program = Program::start(&before(&upstream)).await;
    program.signal("HUP").await;
    program.says("configuration unchanged").await;
    assert_eq!(program.client().post("/api/chat", &ask()).await.status, 200);
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_replaced_by_what_lets_everybody_in() {
    let upstream = Upstream::always(&["m"], Script::chat(&["hi"])).await;
    let config = format!("{}[server]\nkeys = [\"env:KEY\"]\n", before(&upstream));
    let mut program = Program::start_in(&config, &[("KEY", "sesame")]).await;
    // It was found by looking around, so without it the defaults would do.
    std::fs::remove_file(program.home.path().join("config.toml")).unwrap();
    program.signal("HUP").await;
    let said = program.says("not reloaded, the old one stays").await;
    assert!(said.contains("the file is no longer"), "{said}");
    assert_eq!(program.client().get("/v1/models").await.status, 401);
    let known = program.client().with("x-api-key", "sesame");
    assert_eq!(known.get("/v1/models").await.status, 200);
}

#[tokio::test]
async fn a_listener_that_others_reach_does_not_lose_its_keys_with_its_address() {
    let upstream = Upstream::always(&["m"], Script::chat(&["hi"])).await;
    let keys = "keys = [\"env:KEY\"]";
    let config = format!("[server]\nlisten = \"0.0.0.0:0\"\n{keys}\n{}", before(&upstream));
    let mut program = Program::start_listening(&config, &[("KEY", "sesame")]).await;
    // Right for a loopback listener; but this one stays where it is until the next start.
    let changed = config.replace(keys, "").replace("0.0.0.0:0", "127.0.0.1:0");
    std::fs::write(program.home.path().join("config.toml"), changed).unwrap();
    program.signal("HUP").await;
    let said = program.says("not reloaded, the old one stays").await;
    assert!(said.contains("after a restart"), "{said}");
    assert_eq!(program.client().get("/v1/models").await.status, 401);
}
