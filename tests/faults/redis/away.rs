//! R1, R2, R3, R8, R9: a Redis that is not there, or might as well not be.

use super::{AWAY, BACK, Bench, Redis};
use crate::rig::{Chaosd, Mode, Row, Setup, Wedge, chat, full, ms, quantile, times};
use std::time::{Duration, Instant};

#[tokio::test]
async fn r1_a_redis_that_is_down_at_the_start_dies_and_returns_fails_nothing() {
    let mut redis = Redis::stopped();
    let bench = Bench::start("R1", &redis.url()).await;
    bench.asks(0..20).await;
    assert_eq!((bench.said(AWAY), bench.said(BACK)), (1, 0), "one line an outage");
    redis.begin(&[]);
    bench.until_hit(0).await;
    assert_eq!((bench.said(AWAY), bench.said(BACK)), (1, 1));
    redis.kill();
    bench.asks(0..20).await;
    let died = Instant::now();
    redis.begin(&[]);
    bench.until_hit(0).await;
    let mut bench = bench;
    assert_eq!((bench.said(AWAY), bench.said(BACK)), (2, 2));
    bench.row.figure(format!("used again {} after it was back", ms(died.elapsed())));
    bench.row.check().await;
}

#[tokio::test]
async fn r1_a_dead_redis_takes_no_time() {
    // What is compared differs in Redis alone, and is asked in turns, so that both share the machine's moods.
    let count = times(300, 100_000);
    let mut rows = Vec::new();
    for cache in ["[cache]\nstore = \"off\"\n".to_owned(), super::cache("redis://127.0.0.1:1")] {
        let up = Chaosd::ollama(&["m"]).await;
        rows.push(Row::start("R1", Setup::ollama(&up).toml(&cache)).await);
    }
    // The worst there is: until the outage is known.
    let mut worst = Duration::ZERO;
    for nth in 0..8 {
        worst = worst.max(rows[1].ask("/api/chat", &chat("m", nth, false)).await.took);
    }
    let mut took = [Vec::new(), Vec::new()];
    for nth in 0..count {
        for (row, took) in rows.iter().zip(&mut took) {
            took.push(row.ask("/api/chat", &chat("m", nth, false)).await.took);
        }
    }
    let [mut without, mut dead] = took;
    let added = |share: f64, dead: &mut [Duration], without: &mut [Duration]| {
        quantile(dead, share).as_secs_f64() * 1e3 - quantile(without, share).as_secs_f64() * 1e3
    };
    let (p50, p99) = (added(0.5, &mut dead, &mut without), added(0.99, &mut dead, &mut without));
    // A loaded machine says little below that; the figure is what counts.
    assert!(p50 < 5.0, "{p50} ms");
    let figure = format!(
        "added by a dead Redis over {count} requests: p50 {p50:.2} ms, p99 {p99:.2} ms; first ones at most {}",
        ms(worst)
    );
    for mut row in rows {
        row.figure(figure.clone());
        row.check().await;
    }
}

#[tokio::test]
async fn r2_a_frozen_redis_is_waited_for_three_times_and_then_not_at_all() {
    let Some(redis) = Redis::start().await else { return };
    let mut bench = Bench::start("R2", &redis.url()).await;
    bench.until_hit(0).await;
    redis.signal("STOP");
    let mut first: Vec<_> = bench.asks(0..3).await.iter().map(|entry| entry.took).collect();
    let begun = Instant::now();
    let mut later = Vec::new();
    while later.len() < times(100, 20_000) || (full() && begun.elapsed() < Duration::from_secs(60))
    {
        later.push(bench.ask(later.len() % 10).await.took);
    }
    let probes = begun.elapsed().as_secs() + 1;
    let timeouts = bench.misfortunes("timeout").await;
    // What was to be written meanwhile has waited, too.
    assert!((3..=6 + probes).contains(&timeouts), "{timeouts} timeouts");
    assert_eq!((bench.said(AWAY), bench.said(BACK)), (1, 0));
    redis.signal("CONT");
    bench.until_hit(0).await;
    bench.row.figure(format!(
        "the first three {} at most, then p50 {} p99 {}",
        ms(quantile(&mut first, 1.0)),
        ms(quantile(&mut later, 0.5)),
        ms(quantile(&mut later, 0.99))
    ));
    bench.row.check().await;
}

#[tokio::test]
async fn r3_a_slow_redis_is_given_up_in_time() {
    let Some(redis) = Redis::start().await else { return };
    let wedge = Wedge::before(redis.tcp).await;
    let mut bench = Bench::start("R3", &format!("redis://{}", wedge.addr)).await;
    bench.until_hit(0).await;
    let mut slowest = Vec::new();
    for how in ["late", "paused", "asleep"] {
        match how {
            "late" => wedge.set(Mode::Latency(Duration::from_millis(80))),
            "paused" => drop(redis.say(&["CLIENT", "PAUSE", "1500", "ALL"])),
            _ => {
                let sleeper = redis.sleeper(Duration::from_millis(1500));
                tokio::task::spawn_blocking(sleeper);
            }
        }
        let mut took: Vec<_> = bench.asks(0..30).await.iter().map(|entry| entry.took).collect();
        slowest.push(format!("{how} {}", ms(quantile(&mut took, 1.0))));
        wedge.set(Mode::Pass);
        bench.until_hit(0).await;
    }
    assert!(bench.misfortunes("timeout").await >= 3);
    bench.row.figure(format!("slowest answers: {}", slowest.join(", ")));
    bench.row.check().await;
}

#[tokio::test]
async fn r8_a_redis_that_comes_and_goes_costs_neither_requests_nor_work() {
    let Some(mut redis) = Redis::start().await else { return };
    let mut bench = Bench::start("R8", &redis.url()).await;
    bench.until_hit(0).await;
    let (begun, before) = (Instant::now(), cpu(&bench));
    let (mut asked, mut turns) = (0, 0);
    while begun.elapsed() < Duration::from_secs(if full() { 120 } else { 4 }) {
        let turn = Instant::now();
        while turn.elapsed() < Duration::from_millis(200) {
            bench.ask(asked % 10).await;
            asked += 1;
        }
        turns += 1;
        if turns % 2 == 1 { redis.kill() } else { redis.begin(&[]) }
    }
    let lines = bench.said(AWAY) + bench.said(BACK);
    assert!(lines <= 2 * (2 + begun.elapsed().as_secs() as usize), "{lines} lines");
    let work = cpu(&bench) - before;
    bench.row.figure(format!(
        "{turns} turns, {asked} requests, {lines} lines said, {:.2} ms of processor a request",
        work.as_secs_f64() * 1e3 / asked as f64
    ));
    bench.row.check().await;
}

#[tokio::test]
async fn r9_a_peer_that_vanished_is_left_for_a_new_connection() {
    let Some(redis) = Redis::start().await else { return };
    let wedge = Wedge::before(redis.tcp).await;
    let mut bench = Bench::start("R9", &format!("redis://{}", wedge.addr)).await;
    bench.until_hit(0).await;
    wedge.set(Mode::BlackHole);
    let mut took: Vec<_> = bench.asks(0..20).await.iter().map(|entry| entry.took).collect();
    assert_eq!(bench.said(AWAY), 1);
    let before = redis.info("stats", "total_connections_received");
    let back = Instant::now();
    wedge.set(Mode::Pass);
    bench.until_hit(0).await;
    // One look of this test's own besides.
    let new = redis.info("stats", "total_connections_received") - before;
    assert!(new >= 2, "the old connection was kept");
    bench.row.figure(format!(
        "slowest answer {}; used again {} after the wire was whole",
        ms(quantile(&mut took, 1.0)),
        ms(back.elapsed())
    ));
    bench.row.check().await;
}

/// Processor time of the gateway so far. Source: proc_pid_stat(5); a tick is 10 ms.
fn cpu(bench: &Bench) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", bench.row.program.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
