//! Rows O1 to O3: a configuration that changes while the gateway runs.

use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, ms, times};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The value of one sample of `/metrics`.
async fn value(row: &Row, sample: &str) -> f64 {
    let text = row.metrics().await;
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().unwrap()
}

/// Asks for a reload and waits until one more of this kind has been counted.
async fn reload(row: &Row, result: &str) {
    let sample = format!("unigate_config_reloads_total{{result=\"{result}\"}}");
    let before = value(row, &sample).await;
    row.program.signal("HUP").await;
    let begun = Instant::now();
    while value(row, &sample).await <= before {
        assert!(begun.elapsed() < crate::rig::LIMIT, "no reload was {result}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Puts a text where the file is, in one step.
fn put(file: &PathBuf, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

#[tokio::test]
async fn o1_a_configuration_that_cannot_run_changes_nothing_and_is_told() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[aliases]\nnick = \"m\"\n");
    let mut row = Row::start("O1", setup).await;
    let (good, file) = (row.setup.text(), row.program.file("config.toml"));
    let with = |more: &str| Setup::ollama(&up).toml("[aliases]\nnick = \"m\"\n").toml(more).text();
    let half = &good[..good.find("http://").unwrap() + 3];
    let broken = [
        ("syntax", "[aliases\n".to_owned()),
        ("an upstream that there is not", with("[server]\ndefault_upstream = \"nowhere\"\n")),
        ("a port that there is not", with("[server]\nlisten = \"127.0.0.1:99999\"\n")),
        ("a key that there is not", with("[server]\nkeys = [\"env:NO_SUCH_KEY\"]\n")),
        ("cut in the middle", half.to_owned()),
        ("empty of what makes it safe", with("[server]\nlisten = \"0.0.0.0:1\"\n")),
    ];
    let mut refused = 0;
    for nth in 0..times(1, 50) {
        for (what, text) in &broken {
            put(&file, text);
            reload(&row, "refused").await;
            refused += 1;
            let answer = row.ask("/v1/chat/completions", &chat("nick", nth, true)).await;
            assert_eq!(
                (answer.end, answer.said().as_str()),
                (End::Complete, "Hello, wörld from m")
            );
            assert_eq!(value(&row, "unigate_config_generation").await, 1.0, "{what}");
            assert_eq!(value(&row, "unigate_config_last_reload_ok").await, 0.0, "{what}");
            let ready = row.get("/readyz").await;
            assert_eq!((ready.status, &ready.json()["config"]["state"]), (200, &"failing".into()));
        }
    }
    fs::remove_file(&file).unwrap();
    reload(&row, "refused").await;
    fs::create_dir(&file).unwrap();
    reload(&row, "refused").await;
    fs::remove_dir(&file).unwrap();
    refused += 2;
    // What is whole again is taken again.
    put(&file, &good);
    reload(&row, "unchanged").await;
    assert_eq!(value(&row, "unigate_config_last_reload_ok").await, 1.0);
    put(&file, &good.replace("nick", "other"));
    reload(&row, "taken").await;
    assert_eq!(value(&row, "unigate_config_generation").await, 2.0);
    let answer = row.ask("/api/chat", &chat("other", 0, true)).await;
    assert_eq!(answer.end, End::Complete);
    row.figure(format!("{refused} refused, 0 requests failed"));
    row.check().await;
}

#[tokio::test]
async fn o2_a_revoked_key_is_refused_within_a_second_and_a_stream_of_its_goes_on() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).key("canary-key-kept").key("canary-key-revoked");
    let mut row = Row::start("O2", setup).await;
    let file = row.program.file("config.toml");
    let both = row.setup.text();
    let mut one = row.setup.table.clone();
    one["server"]["keys"].as_array_mut().unwrap().pop();
    let one = one.to_string();
    let revoked = [("authorization", "Bearer canary-key-revoked")];
    for hangup in [true, false] {
        let go = Arc::new(Notify::new());
        up.next(Script::from(Reply::chat(&["one", "two"])).at(2, Act::Until(go.clone())));
        let body = chat("m", usize::from(hangup), true);
        let open = row.ledger.open(row.program.addr, "/api/chat", &revoked, &body);
        let mut running = open.await;
        assert!(running.read().await, "it has begun");

        let begun = Instant::now();
        put(&file, &one);
        if hangup {
            row.program.signal("HUP").await;
        }
        loop {
            let answer = row.ledger.get(row.program.addr, "/v1/models", &revoked).await;
            if answer.status == 401 {
                break;
            }
            assert!(begun.elapsed() < crate::rig::LIMIT, "{}: {}", answer.status, answer.text());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = begun.elapsed();
        let how = if hangup { "hangup" } else { "watched" };
        row.figure(format!("{how}: 401 after {}", ms(took)));
        assert!(took < Duration::from_secs(if crate::rig::full() { 1 } else { 3 }), "{took:?}");
        go.notify_one();
        assert_eq!(running.finish().await.end, End::Complete, "it was let in before");
        assert_eq!(row.get("/v1/models").await.status, 200, "the other key still does");
        put(&file, &both);
        reload(&row, "taken").await;
    }
    row.check().await;
}

#[tokio::test]
async fn o2_a_key_that_is_revoked_in_its_own_file_is_refused_after_a_hangup() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("key");
    fs::write(&secret, "canary-key-old\n").unwrap();
    let up = Chaosd::ollama(&["m"]).await;
    let keys = format!("[server]\nkeys = [\"file:{}\"]\n", secret.display());
    let row = Row::start("O2", Setup::ollama(&up).toml(&keys).canary("canary-key-old")).await;
    let status = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        row.ledger.get(row.program.addr, "/v1/models", &headers).await.status
    };
    assert_eq!((status("canary-key-old").await, status("canary-key-new").await), (200, 401));
    fs::write(&secret, "canary-key-new\n").unwrap();
    row.program.signal("HUP").await;
    row.program.says("configuration reloaded").await;
    assert_eq!((status("canary-key-old").await, status("canary-key-new").await), (401, 200));
    row.check().await;
}

#[tokio::test]
async fn o3_reloads_under_load_fail_nothing_mix_nothing_and_leak_nothing() {
    let up = Chaosd::ollama(&["m", "n"]).await;
    let setup = Setup::ollama(&up).toml("[aliases]\nnick = \"m\"\n");
    let mut row = Row::start("O3", setup).await;
    let file = row.program.file("config.toml");
    let (one, two) = (row.setup.text(), row.setup.text().replace("nick = \"m\"", "nick = \"n\""));
    assert_ne!(one, two);
    // Streams that are there from the first reload to the last.
    let go = Arc::new(Notify::new());
    let held = times(20, 1000);
    let mut streams = Vec::new();
    for nth in 0..held {
        up.next(Script::from(Reply::chat(&["one", "two"])).at(2, Act::Until(go.clone())));
        let mut stream = row.open("/api/chat", &chat("nick", nth, true)).await;
        assert!(stream.read().await);
        streams.push(stream);
    }
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|worker| {
            let (over, ledger, addr) = (over.clone(), row.ledger.clone(), row.program.addr);
            tokio::spawn(async move {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    let body = chat("nick", 10_000 * (worker + 1) + count, true);
                    let answer = ledger.ask(addr, "/v1/chat/completions", &[], &body).await;
                    let said = answer.said();
                    let model = answer.header("x-unigate-model").to_owned();
                    assert_eq!(answer.end, End::Complete, "{} {said}", answer.status);
                    assert_eq!(said, format!("Hello, wörld from {model}"), "of one configuration");
                    count += 1;
                }
                count
            })
        })
        .collect();
    let reloads = times(100, 10_000);
    let mut warm = 0;
    for nth in 0..reloads {
        match nth % 4 {
            0 => put(&file, &two),
            2 => put(&file, &one),
            _ => put(&file, "[server]\nlisten = 1\n"),
        }
        reload(&row, if nth % 2 == 0 { "taken" } else { "refused" }).await;
        if nth == reloads / 4 {
            warm = row.program.rss_kib();
        }
    }
    let grown = row.program.rss_kib().saturating_sub(warm);
    over.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for worker in load {
        asked += worker.await.unwrap();
    }
    go.notify_waiters();
    for stream in streams {
        go.notify_one();
        assert_eq!(stream.finish().await.end, End::Complete);
    }
    assert_eq!(value(&row, "unigate_config_generation").await, (reloads / 2 + 1) as f64);
    // What a reload leaves behind would show: a catalogue and a client are some hundred KiB.
    let each = grown as f64 / (reloads - reloads / 4) as f64;
    assert!(each < 100.0, "{grown} KiB more after {reloads} reloads");
    row.figure(format!(
        "{reloads} reloads, half of them refused; {asked} requests and {held} streams, 0 failed; \
         {each:.1} KiB a reload"
    ));
    row.check().await;
}
