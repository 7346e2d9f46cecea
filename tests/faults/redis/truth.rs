//! R6, R7, R10: what is in Redis is believed only where it is ours, whole, and the answer to this very question.

use super::{Bench, Redis, cache};
use crate::rig::{Chaosd, End, Reply, Row, Script, Setup, chat, times};
use serde_json::{Value, json};

#[tokio::test]
async fn r6_no_poisoned_value_is_served_and_none_stays() {
    let Some(redis) = Redis::start().await else { return };
    let mut bench = Bench::start("R6", &redis.url()).await;
    bench.ask(0).await;
    redis.has(1).await;
    let name = redis.names().remove(0);
    let good = redis.value(&name).unwrap();
    bench.ask(1).await;
    redis.has(2).await;
    let other = redis.names().into_iter().find(|other| *other != name).unwrap();
    let anothers = redis.value(&other).unwrap();
    let moved = [&good[..32], &anothers[32..]].concat();
    let old = [&good[..32], b"UGC\x01\x00\xc8".as_slice(), &good[70..]].concat();
    let mut values: Vec<(String, Vec<u8>)> = vec![
        ("another question's answer".into(), anothers),
        ("the same under our key".into(), moved),
        ("an old layout".into(), old),
        ("nothing".into(), Vec::new()),
        ("words".into(), b"{\"message\":{\"content\":\"forged\"},\"done\":true}".to_vec()),
        ("far too much".into(), vec![b'x'; times(8 << 20, 500 << 20)]),
    ];
    for at in (0..good.len()).step_by(times(9, 1)) {
        let mut turned = good.clone();
        turned[at] ^= 1 << (at % 8);
        values.push((format!("a bit of byte {at}"), turned));
        values.push((format!("cut at {at}"), good[..at].to_vec()));
    }
    let memory = bench.row.program.rss_kib();
    for (what, value) in &values {
        redis.say_bytes(&[b"SET", name.as_bytes(), value]);
        let answer = bench.ask(0).await;
        assert_eq!(answer.header("x-unigate-cache"), "MISS", "{what} was served");
        redis.heals(&name, value).await;
    }
    let grown = bench.row.program.rss_kib().saturating_sub(memory) / 1024;
    assert!(grown < 64, "{grown} MiB more after a value that is far too large");
    // And heals: what the upstream said is kept again.
    bench.until_hit(0).await;
    bench.row.figure(format!("{} poisoned values, none served", values.len()));
    bench.row.check().await;
}

#[tokio::test]
async fn r6_a_poisoned_value_whose_question_fails_is_removed_all_the_same() {
    let Some(redis) = Redis::start().await else { return };
    let bench = Bench::start("R6", &redis.url()).await;
    bench.ask(0).await;
    redis.has(1).await;
    redis.say(&["SETRANGE", &redis.names()[0], "80", "!"]);
    bench.up.always(Script::from(Reply::error(400, &json!({ "error": "no" }))));
    let answer = bench.row.ask("/api/chat", &chat("m", 0, false)).await;
    assert_eq!((answer.status, answer.end), (400, End::Refused));
    redis.has(0).await;
    bench.row.check().await;
}

#[tokio::test]
async fn r6_without_the_secret_nobody_can_forge_an_answer() {
    const SECRET: &str = "canary-of-the-seal-93ab";
    let Some(redis) = Redis::start().await else { return };
    // Somebody else's gateway, which knows how we write but not under which secret.
    let forger = Bench::start("R6", &redis.url()).await;
    forger.ask(0).await;
    redis.has(1).await;
    let name = redis.names().remove(0);
    let forged = redis.value(&name).unwrap();
    forger.row.check().await;

    let up = Chaosd::ollama(&["m", "n"]).await;
    let setup =
        Setup::ollama(&up).toml(&cache(&redis.url())).toml("[cache]\nseal = \"env:SEAL\"\n");
    let row = Row::start("R6", setup.env("SEAL", SECRET).canary(SECRET)).await;
    let ask = async || row.ask("/api/chat", &chat("m", 0, false)).await;
    assert_eq!(ask().await.header("x-unigate-cache"), "MISS", "forged");
    let ours = loop {
        match redis.value(&name) {
            Some(ours) if ours != forged => break ours,
            _ => tokio::time::sleep(std::time::Duration::from_millis(3)).await,
        }
    };
    redis.say_bytes(&[b"SET", name.as_bytes(), &forged]);
    assert_eq!(ask().await.header("x-unigate-cache"), "MISS", "forged");
    redis.say_bytes(&[b"SET", name.as_bytes(), &ours]);
    // Its own look-up has a time, and a loaded machine may need some tries.
    for tries in 0.. {
        if ask().await.header("x-unigate-cache") == "HIT" {
            break;
        }
        assert!(tries < 100);
    }
    row.check().await;
}

#[tokio::test]
async fn r7_clients_that_leave_never_make_one_answer_anothers() {
    const KEYS: usize = 40;
    let Some(redis) = Redis::start().await else { return };
    let mut bench = Bench::start("R7", &redis.url()).await;
    let why = "who leaves at once has left before its request was read, or after it was answered";
    bench.row = bench.row.waive("I1", why).waive("I2", why);
    bench.asks(0..KEYS).await;
    redis.has(KEYS as i64).await;
    let (mut stayed, mut left, mut hits) = (0, 0, 0);
    for turn in 0..times(60, 600) {
        // Some leave at once, some in the middle of it, and between them others stay for their own answer.
        let mut leaving = Vec::new();
        for at in 0..12 {
            leaving
                .push(bench.row.open("/api/chat", &chat("m", (turn * 7 + at) % KEYS, false)).await);
        }
        let mut staying = tokio::task::JoinSet::new();
        for at in 0..4 {
            let nth = (turn * 11 + at) % KEYS;
            let open = bench.row.open("/api/chat", &chat("m", nth, false)).await;
            staying.spawn(async move { (nth, open.finish().await) });
        }
        for (at, open) in leaving.into_iter().enumerate() {
            if at % 3 == 0 {
                tokio::task::yield_now().await;
            }
            open.leave();
            left += 1;
        }
        while let Some(answer) = staying.join_next().await {
            let (nth, answer) = answer.unwrap();
            assert_eq!((answer.end, answer.said()), (End::Complete, format!("answer {nth}")));
            stayed += 1;
            hits += usize::from(answer.header("x-unigate-cache") == "HIT");
        }
    }
    assert!(hits > stayed / 2, "{hits} of {stayed} came from Redis");
    bench.row.figure(format!("{left} left, {stayed} stayed, {hits} hits, 0 crossed"));
    bench.row.check().await;
}

#[tokio::test]
async fn r10_the_same_question_is_another_one_for_another_key_model_or_setting() {
    let Some(redis) = Redis::start().await else { return };
    let up = Chaosd::ollama(&["m", "n"]).await;
    let setup = Setup::ollama(&up).toml(&cache(&redis.url()));
    let (alice, bob) = ("canary-key-of-alice-0001", "canary-key-of-bob-000002");
    let mut row = Row::start("R10", setup.key(alice).key(bob)).await;
    let ask = async |key: &str, body: &Value| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        row.ledger.ask(row.program.addr, "/api/chat", &headers, body).await
    };
    let plain = chat("m", 0, false);
    let mut kept = 1;
    assert_eq!(ask(alice, &plain).await.header("x-unigate-cache"), "MISS");
    redis.has(kept).await;
    let mut others = vec![(bob, plain.clone())];
    for fields in [
        json!({ "model": "n" }),
        json!({ "options": { "temperature": 0.1 } }),
        json!({ "options": { "seed": 1 } }),
        json!({ "options": { "seed": 2 } }),
        json!({ "format": "json" }),
        json!({ "think": true }),
        json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }),
        json!({ "tools": [{ "type": "function", "function": { "name": "g" } }] }),
        json!({ "messages": [{ "role": "system", "content": "canary-prompt-7d1f 0" }] }),
    ] {
        let mut body = plain.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        others.push((alice, body));
    }
    for (key, body) in &others {
        assert_eq!(ask(key, body).await.header("x-unigate-cache"), "MISS", "{key} {body}");
        kept += 1;
        redis.has(kept).await;
    }
    assert_eq!(up.calls().len(), others.len() + 1);
    let mut hit = false;
    for _ in 0..100 {
        hit |= ask(alice, &plain).await.header("x-unigate-cache") == "HIT";
    }
    assert!(hit, "its own answer is found");
    row.figure(format!("{} others, each a question of its own", others.len()));
    row.check().await;
}
