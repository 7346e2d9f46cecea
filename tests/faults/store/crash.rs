//! S1: the process is killed at a random moment, again and again.

use crate::rig::{
    Act, Chaosd, End, Entry, Ledger, Program, Reply, Script, Setup, chat, ms, note, quantile, times,
};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// What a client had in its hands for so long before the crash must have its row.
const ACKNOWLEDGED: Duration = Duration::from_millis(25);

struct Cycle {
    killed: Instant,
    entries: Vec<Entry>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_killed_at_any_moment_no_acknowledged_row_is_lost_and_the_crash_is_seen() {
    let (cycles, starts, program) = kill("S1", times(20, 1000), "").await;
    let rows = endings(&program);
    let (mut acknowledged, mut missing, mut early) = (0, Vec::new(), 0);
    for cycle in &cycles {
        for entry in cycle.entries.iter().filter(|entry| entry.end == End::Complete) {
            let seen = entry.sent + entry.took;
            if seen + ACKNOWLEDGED > cycle.killed {
                early += 1;
                continue;
            }
            acknowledged += 1;
            if rows.get(entry.id()).map(String::as_str) != Some("complete") {
                let age = ms(cycle.killed.saturating_duration_since(seen));
                missing.push(format!("{} seen {age} before the kill", entry.id()));
            }
        }
    }
    let lost = rows.values().filter(|ending| *ending == "lost").count();
    let whole = program.integrity();
    let good = missing.is_empty() && whole == "ok" && lost >= cycles.len() / 4;
    note(
        "S1",
        good,
        &format!(
            "{} kills, {acknowledged} acknowledged answers, rows missing: {missing:?}, {early} within 25 ms of the kill; {lost} rows \
             marked lost; integrity {whole}; restart to the first 200: {}",
            cycles.len(),
            figure(starts)
        ),
    );
    assert!(good, "missing {missing:?}, {lost} lost of {} kills, {whole}", cycles.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_in_strict_mode_not_even_the_last_one_is_lost() {
    let (cycles, _, program) = kill("S1", times(10, 200), "[log]\nstrict = true\n").await;
    let rows = endings(&program);
    let entries = cycles.iter().flat_map(|cycle| &cycle.entries);
    let complete: Vec<_> = entries.filter(|entry| entry.end == End::Complete).collect();
    let has = |entry: &&&Entry| rows.get(entry.id()).map(String::as_str) == Some("complete");
    let missing = complete.len() - complete.iter().filter(has).count();
    let figure = format!(
        "strict: {} kills, {} answers, {missing} rows missing",
        cycles.len(),
        complete.len()
    );
    note("S1", missing == 0, &figure);
    assert!(missing == 0 && !complete.is_empty(), "{figure}");
}

/// Kills it so many times under load; what each life's clients saw, how long each start took, and the stopped program.
async fn kill(id: &'static str, times: usize, toml: &str) -> (Vec<Cycle>, Vec<Duration>, Program) {
    note(id, false, "did not get to its end");
    let up = Chaosd::ollama(&["m"]).await;
    up.rule(|call| {
        call.asks?;
        let text = call.json().to_string();
        let slow = Script::from(Reply::chat(&["slow"])).at(2, Act::Wait(Duration::from_secs(60)));
        text.contains("hang").then_some(slow)
    });
    let setup = Setup::ollama(&up).toml(toml);
    let mut program = Program::start(&setup).await;
    let (mut cycles, mut starts) = (Vec::new(), Vec::new());
    let random = RandomState::new();
    for nth in 0..times {
        let ledger = Ledger::default();
        let life = Duration::from_millis(60 + random.hash_one(nth) % 540);
        let begun = Instant::now();
        let addr = program.addr;
        // One that outlives this process.
        let mut hanging = chat("m", nth, true);
        hanging["messages"][0]["content"] = "hang".into();
        let hanging = ledger.open(addr, "/api/chat", &[], &hanging).await;
        let mut asking = tokio::task::JoinSet::new();
        let mut count = 0;
        while begun.elapsed() < life {
            count += 1;
            let (ledger, path) = (ledger.clone(), ["/api/chat", "/v1/chat/completions"][count % 2]);
            let body = chat("m", nth * 1000 + count, count % 3 != 0);
            let open = ledger.open(addr, path, &[], &body).await;
            asking.spawn(async move { drop(open.finish().await) });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let killed = Instant::now();
        program.kill9().await;
        while asking.join_next().await.is_some() {}
        hanging.leave();
        cycles.push(Cycle { killed, entries: ledger.entries() });
        let started = Instant::now();
        program.restart().await;
        let first = Ledger::default().get(program.addr, "/health", &[]).await;
        assert_eq!(first.status, 200);
        starts.push(started.elapsed());
        if nth % 10 == 0 {
            assert_eq!(program.integrity(), "ok", "after {} kills", nth + 1);
        }
    }
    assert_eq!(program.stop().await, Some(0), "{}", program.said());
    (cycles, starts, program)
}

fn endings(program: &Program) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    program.rows().iter().map(|row| (text(&row["id"]), text(&row["ending"]))).collect()
}

fn figure(mut starts: Vec<Duration>) -> String {
    format!("p50 {}, max {}", ms(quantile(&mut starts, 0.5)), ms(quantile(&mut starts, 1.0)))
}
