//! Rows U that are about whether an upstream is there at all: refused, silent, frozen, coming and going.

use crate::rig::{
    Act, Chaosd, End, Entry, Reply, Row, Script, Setup, chat, full, ms, quantile, until,
};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

const CHAT: &str = "/v1/chat/completions";

/// An Ollama, and another one to go to.
fn pair(local: &Chaosd, other: &Chaosd) -> Setup {
    Setup::ollama(local).upstream("other", "openai", other).toml(FALLBACK)
}

const FALLBACK: &str = "[models]\nfallback = [\"other/g\"]\n";

async fn many(row: &Arc<Row>, from: usize, count: usize) -> Vec<Entry> {
    let mut asking = JoinSet::new();
    for nth in from..from + count {
        let row = row.clone();
        asking.spawn(async move { row.ask(CHAT, &chat("m", nth, nth % 2 == 0)).await });
    }
    asking.join_all().await
}

fn only(row: Arc<Row>) -> Row {
    Arc::into_inner(row).expect("nobody asks any more")
}

#[tokio::test]
async fn u1_a_refused_connection_goes_to_the_fallback_at_once() {
    let (local, other) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    let mut row = Row::start("U1", pair(&local, &other)).await;
    local.stop().await;
    let mut took = Vec::new();
    for nth in 0..20 {
        let answer = row.ask(CHAT, &chat("m", nth, nth % 2 == 0)).await;
        assert_eq!((answer.end, answer.said()), (End::Complete, "Hello, wörld from g".to_owned()));
        took.push(answer.took);
    }
    assert!(row.program.said().matches("left alone").count() == 1, "one line for one outage");
    let worst = quantile(&mut took, 1.0);
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    row.figure(format!("fallback {} median, {} worst", ms(quantile(&mut took, 0.5)), ms(worst)));
    row.check().await;
}

#[tokio::test]
async fn u1_without_a_fallback_it_is_told_at_once_and_who_starts_the_server_does_not_wait() {
    let local = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("U1", Setup::ollama(&local)).await;
    local.stop().await;
    let mut took = Vec::new();
    for nth in 0..10 {
        let answer = row.ask(CHAT, &chat("m", nth, false)).await;
        assert_eq!((answer.status, answer.end), (503, End::Refused), "{}", answer.text());
        let text = answer.text();
        assert!(text.contains("connection refused") && text.contains("ollama serve"), "{text}");
        assert!(!answer.header("retry-after").is_empty());
        took.push(answer.took);
    }
    let failing = row.get("/readyz").await.json();
    assert_eq!(failing["upstreams"]["ollama"]["breaker"]["state"], "open", "{failing}");
    assert!(row.metrics().await.contains("unigate_upstream_left_alone{upstream=\"ollama\"} 1"));
    local.restart().await;
    let begun = Instant::now();
    let mut nth = 10;
    while row.ask(CHAT, &chat("m", nth, false)).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(1), "it is there and is not asked");
        nth += 1;
    }
    let back = begun.elapsed();
    assert!(row.program.said().contains("answers again"));
    let worst = quantile(&mut took, 1.0);
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    row.figure(format!("503 {} worst; back after {}", ms(worst), ms(back)));
    row.check().await;
}

/// A listener that never accepts, its queue full: who connects hears nothing. Kept for as long as the rest is.
async fn black_hole() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut kept = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(addr)).await {
        kept.push(stream.unwrap());
        assert!(kept.len() < 100, "the queue has no end");
    }
    (listener, kept, addr)
}

#[tokio::test]
async fn u2_a_connection_into_nowhere_takes_two_seconds_once_and_then_nothing() {
    let (_listener, _kept, nowhere) = black_hole().await;
    let other = Chaosd::openai(&["g"]).await;
    let setup = Setup::new().at("ollama", "ollama", nowhere).upstream("other", "openai", &other);
    let row = Arc::new(Row::start("U2", setup.toml(FALLBACK)).await);
    let first = many(&row, 0, 8).await;
    let mut took: Vec<_> = first.iter().map(|answer| answer.took).collect();
    for answer in &first {
        assert_eq!((answer.end, answer.said()), (End::Complete, "Hello, wörld from g".to_owned()));
    }
    let (first, worst) = (quantile(&mut took, 0.0), quantile(&mut took, 1.0));
    assert!(first > Duration::from_millis(900) && worst < Duration::from_secs(5), "{worst:?}");
    // One of these asks whether it is back; the others know better.
    let mut later: Vec<_> = many(&row, 8, 8).await.iter().map(|answer| answer.took).collect();
    let median = quantile(&mut later, 0.5);
    assert!(median < Duration::from_millis(800), "{median:?}");
    let mut row = only(row);
    row.figure(format!("first {} at most, then {} median", ms(worst), ms(median)));
    row.check().await;
}

#[tokio::test]
async fn u3_a_frozen_server_is_given_up_and_those_who_wait_go_to_the_fallback() {
    let (local, other) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    let row = Arc::new(Row::start("U3", pair(&local, &other)).await.attempts(2));
    local.freeze(true);
    let mut took = Vec::new();
    for answer in many(&row, 0, 8).await {
        assert_eq!((answer.end, answer.said()), (End::Complete, "Hello, wörld from g".to_owned()));
        took.push(answer.took);
    }
    let worst = quantile(&mut took, 1.0);
    assert!(worst < Duration::from_secs(7), "{worst:?}");
    // Nobody waits like that again.
    let mut later: Vec<_> = many(&row, 8, 8).await.iter().map(|answer| answer.took).collect();
    assert!(quantile(&mut later, 1.0) < Duration::from_secs(3));
    local.freeze(false);
    let begun = Instant::now();
    let mut nth = 16;
    while row.ask(CHAT, &chat("m", nth, true)).await.said() != "Hello, wörld from m" {
        assert!(begun.elapsed() < Duration::from_secs(4), "it is there and is not asked");
        nth += 1;
        sleep(Duration::from_millis(50)).await;
    }
    let mut row = only(row);
    row.figure(format!("given up after {}; back after {}", ms(worst), ms(begun.elapsed())));
    row.check().await;
}

#[tokio::test]
async fn u3_without_a_fallback_a_frozen_server_is_told_and_a_stopped_answer_is_too() {
    let local = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("U3", Setup::ollama(&local)).await;
    local.freeze(true);
    let frozen = row.ask(CHAT, &chat("m", 0, true)).await;
    let error = frozen.json()["error"]["code"].clone();
    assert_eq!((frozen.status, error), (503, json!("upstream_dead")), "{}", frozen.text());
    assert!(frozen.took < Duration::from_secs(7), "{:?}", frozen.took);
    local.freeze(false);
    assert_eq!(row.ask(CHAT, &chat("m", 1, true)).await.end, End::Complete);
    row.figure(format!("told after {}", ms(frozen.took)));
    row.check().await;
}

#[tokio::test]
async fn u3_a_cold_load_is_waited_for_with_one_question_for_all() {
    let local = Chaosd::ollama(&["m"]).await;
    local.loads(Duration::from_secs(if full() { 60 } else { 5 }), 1);
    let row = Arc::new(Row::start("U3", Setup::ollama(&local)).await);
    until("the first look", || local.all().iter().any(|call| call.path == "/api/version")).await;
    let begun = Instant::now();
    let asked = |local: &Chaosd| {
        let all = local.all().into_iter().filter(|call| call.path == "/api/version");
        all.filter(|call| call.header("user-agent") == "unigate").count()
    };
    let mut asking = JoinSet::new();
    for nth in 0..10 {
        let row = row.clone();
        asking.spawn(async move {
            let body = chat("m", nth, nth % 2 == 0);
            row.open(CHAT, &body).await.finish().await
        });
    }
    for answer in asking.join_all().await {
        assert_eq!((answer.end, answer.said()), (End::Complete, "Hello, wörld from m".to_owned()));
    }
    let took = begun.elapsed();
    let questions = asked(&local);
    let most = took.as_secs() as usize / 2 + 1;
    assert!((1..=most).contains(&questions), "{questions} in {took:?}");
    assert!(!row.program.said().contains("left alone"));
    let mut row = only(row);
    row.figure(format!("{questions} questions in {}", ms(took)));
    row.check().await;
}

#[tokio::test]
async fn u27_a_server_that_comes_and_goes_is_there_for_as_long_as_it_is_there() {
    let local = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("U27", Setup::ollama(&local)).await;
    let flaps = if full() { 300 } else { 3 };
    let flapping = {
        let local = local.clone();
        tokio::spawn(async move {
            let mut up = Duration::ZERO;
            for _ in 0..flaps {
                local.stop().await;
                sleep(Duration::from_secs(1)).await;
                local.restart().await;
                let begun = Instant::now();
                sleep(Duration::from_secs(1)).await;
                up += begun.elapsed();
            }
            up
        })
    };
    let begun = Instant::now();
    let (mut asked, mut good) = (0_usize, 0_usize);
    // As often while it is there as while it is not, so that shares of requests are shares of time.
    let mut ticks = tokio::time::interval(Duration::from_millis(25));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while !flapping.is_finished() {
        ticks.tick().await;
        let answer = row.ask(CHAT, &chat("m", asked, false)).await;
        asked += 1;
        good += usize::from(answer.end == End::Complete);
    }
    let share = flapping.await.unwrap().as_secs_f64() / begun.elapsed().as_secs_f64();
    let served = good as f64 / asked as f64;
    let questions = local.all().into_iter().filter(|call| call.header("user-agent") == "unigate");
    let questions = questions.count();
    assert!(served > share - 0.1, "{served} of {asked}, there for {share}");
    assert!(questions <= begun.elapsed().as_secs() as usize, "{questions}");
    row.figure(format!(
        "{:.0} % of {asked} served, there for {:.0} % of the time; {questions} questions",
        served * 100.0,
        share * 100.0
    ));
    row.check().await;
}

#[tokio::test]
async fn u27_a_cloud_that_keeps_failing_is_left_alone_over_reloads_and_asked_by_one() {
    let cloud = Chaosd::openai(&["g"]).await;
    cloud.always(Reply::error(500, &json!({ "error": { "message": "oops" } })));
    let setup = Setup::new().upstream("cloud", "openai", &cloud);
    let setup = setup.toml("[upstream.cloud]\nbreaker = \"cloud\"\n");
    let row = Arc::new(Row::start("U27", setup.clone()).await);
    for nth in 0..3 {
        row.ask(CHAT, &chat("g", nth, false)).await;
    }
    assert_eq!(cloud.calls().len(), 5, "five failures in a row");
    for answer in many(&row, 10, 50).await {
        let after: u64 = answer.header("retry-after").parse().unwrap();
        assert!(answer.status == 503 && (1..=5).contains(&after), "{}", answer.head);
        assert!(answer.text().contains("cloud keeps failing"), "{}", answer.text());
    }
    let changed = setup.toml("[aliases]\nx = \"g\"\n").text();
    std::fs::write(row.program.file("config.toml"), changed).unwrap();
    row.program.says("configuration reloaded").await;
    assert_eq!(row.ask(CHAT, &chat("x", 0, false)).await.status, 503);
    assert_eq!(cloud.calls().len(), 5, "nobody asked it");

    // The pause ends; the first to come is the probe, and takes its time.
    let go = Arc::new(tokio::sync::Notify::new());
    cloud.sane();
    cloud.next(Script::from(Reply::completion("back")).after(Act::Until(go.clone())));
    let begun = Instant::now();
    let probe = {
        let row = row.clone();
        tokio::spawn(async move {
            for nth in 100.. {
                let answer = row.ask(CHAT, &chat("g", nth, false)).await;
                if answer.status == 200 {
                    return answer;
                }
                assert!(begun.elapsed() < Duration::from_secs(8), "nobody probes");
                sleep(Duration::from_millis(20)).await;
            }
            unreachable!()
        })
    };
    cloud.asked(6).await;
    let waited = begun.elapsed();
    for answer in many(&row, 1000, 20).await {
        assert_eq!(answer.status, 503, "one probe at a time");
    }
    assert_eq!(cloud.calls().len(), 6);
    go.notify_one();
    assert_eq!(probe.await.unwrap().said(), "back");
    for answer in many(&row, 2000, 5).await {
        assert_eq!(answer.end, End::Complete);
    }
    let mut row = only(row);
    row.figure(format!("probed {} after it was left alone", ms(waited)));
    row.check().await;
}

#[tokio::test]
async fn u32_a_name_with_two_families_is_reached_by_the_one_that_answers() {
    let local = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&local);
    let url = format!("[upstream.ollama]\nurl = \"http://localhost:{}\"\n", local.addr.port());
    let mut row = Row::start("U32", setup.toml(&url)).await;
    let answer = row.ask(CHAT, &chat("m", 0, true)).await;
    assert_eq!(answer.end, End::Complete, "{}", answer.text());
    assert!(answer.took < Duration::from_secs(2));
    row.figure(ms(answer.took));
    row.check().await;
}
