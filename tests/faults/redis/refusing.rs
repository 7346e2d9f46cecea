//! R4, R5, T5: a Redis that answers, and says no.

use super::{AWAY, BACK, Bench, NO_WRITES, Redis};
use crate::rig::{Chaosd, Row, Setup, chat, times};
use std::time::{Duration, Instant};

#[tokio::test]
async fn r4_a_replica_is_read_and_not_written_until_it_is_a_primary() {
    let Some(redis) = Redis::start().await else { return };
    let mut bench = Bench::start("R4", &redis.url()).await;
    bench.until_hit(0).await;
    let before = redis.info("stats", "total_connections_received");
    redis.say(&["REPLICAOF", "127.0.0.1", "1"]);
    bench.asks(10..20).await;
    // Two of this test's own, that and this one: the name may lead to another server by now.
    let new = redis.info("stats", "total_connections_received") - before;
    assert!(new > 2, "the connection was kept");
    assert_eq!(bench.ask(0).await.header("x-unigate-cache"), "HIT", "what it has is used");
    assert_eq!((bench.said(NO_WRITES), bench.said(AWAY)), (1, 0));
    assert_eq!(redis.names().len(), 1);
    let begun = Instant::now();
    redis.say(&["REPLICAOF", "NO", "ONE"]);
    bench.until_hit(11).await;
    bench.row.figure(format!("written again after {:.1} s", begun.elapsed().as_secs_f64()));
    bench.row.check().await;
}

#[tokio::test]
async fn r5_a_full_or_unsaved_or_guarded_redis_is_only_read() {
    let Some(redis) = Redis::start().await else { return };
    // MISCONF: its snapshot cannot take the place of a folder.
    std::fs::create_dir(redis.folder().join("dump.rdb")).unwrap();
    for (name, refuse, allow) in [
        (
            "OOM",
            &[&["CONFIG", "SET", "maxmemory", "1"][..]][..],
            &["CONFIG", "SET", "maxmemory", "0"][..],
        ),
        (
            "MISCONF",
            &[&["CONFIG", "SET", "save", "1 1"], &["SET", "x", "x"], &["BGSAVE"]],
            &["CONFIG", "SET", "save", ""],
        ),
        (
            "NOPERM",
            &[&["ACL", "SETUSER", "default", "-set"]],
            &["ACL", "SETUSER", "default", "+set"],
        ),
    ] {
        redis.say(&["FLUSHALL"]);
        let bench = Bench::start("R5", &redis.url()).await;
        bench.until_hit(0).await;
        refuse.iter().for_each(|command| drop(redis.say(command)));
        if name == "MISCONF" {
            redis.info_is("persistence", "rdb_last_bgsave_status", "err").await;
        }
        bench.asks(10..20).await;
        bench.row.program.says(NO_WRITES).await;
        assert!(said(&bench, name), "{name}: {}", bench.row.program.said());
        assert_eq!(bench.ask(0).await.header("x-unigate-cache"), "HIT", "{name}");
        assert_eq!((bench.said(NO_WRITES), bench.said(AWAY)), (1, 0), "{name}");
        redis.say(allow);
        bench.until_hit(11).await;
        bench.row.check().await;
    }
}

/// Whether the cause was named, in any case.
fn said(bench: &Bench, cause: &str) -> bool {
    bench.row.program.said().to_lowercase().contains(&cause.to_lowercase())
}

#[tokio::test]
async fn r5_a_redis_that_lets_nobody_in_is_no_cache() {
    let Some(redis) = Redis::start().await else { return };
    let deny: [(&str, &[&str], &[&str]); 2] = [
        (
            "NOPERM",
            &["ACL", "SETUSER", "default", "-getrange"],
            &["ACL", "SETUSER", "default", "+getrange"],
        ),
        ("NOAUTH", &["CONFIG", "SET", "requirepass", "sesame"], &["AUTH", "sesame"]),
    ];
    for (name, deny, allow) in deny {
        let bench = Bench::start("R5", &redis.url()).await;
        bench.until_hit(0).await;
        redis.say(deny);
        if name == "NOAUTH" {
            // Whoever is in stays in.
            redis.say_as("sesame", &["CLIENT", "KILL", "TYPE", "normal"]);
        }
        bench.asks(0..20).await;
        assert_eq!((bench.said(AWAY), bench.said(BACK)), (1, 0), "{name}");
        if name == "NOAUTH" {
            redis.say_as("sesame", &["CONFIG", "SET", "requirepass", ""]);
        } else {
            redis.say(allow);
        }
        bench.until_hit(0).await;
        bench.row.check().await;
    }
}

#[tokio::test]
async fn r5_a_password_that_is_wrong_is_nowhere_to_be_seen() {
    const PASSWORD: &str = "canary-of-redis-51c0";
    let Some(redis) = Redis::start().await else { return };
    redis.say(&["CONFIG", "SET", "requirepass", "another"]);
    let up = Chaosd::ollama(&["m"]).await;
    let url = format!("redis://:{PASSWORD}@{}", redis.tcp);
    let setup = Setup::ollama(&up).toml(&super::cache(&url)).canary(PASSWORD);
    let row = Row::start("R5", setup).await;
    for nth in 0..10 {
        assert_eq!(row.ask("/api/chat", &chat("m", nth, false)).await.status, 200);
    }
    row.program.says(AWAY).await;
    row.check().await;
}

#[tokio::test]
async fn r5_a_redis_that_is_loading_and_keys_that_are_something_else_are_misses() {
    let Some(mut redis) = Redis::start().await else { return };
    let bench = Bench::start("R5", &redis.url()).await;
    bench.until_hit(0).await;
    for name in redis.names() {
        redis.say(&["DEL", &name]);
        redis.say(&["RPUSH", &name, "a list"]);
    }
    for _ in 0..10 {
        bench.ask(0).await;
    }
    bench.until_hit(0).await;
    assert_eq!(bench.said(AWAY), 0, "what stands under one key is no outage");
    // What it loads slowly it refuses to show meanwhile.
    redis.say(&["DEBUG", "POPULATE", "300", "other", "64"]);
    redis.say(&["SAVE"]);
    redis.kill();
    redis.begin(&["--key-load-delay", "8000", "--loading-process-events-interval-bytes", "1024"]);
    bench.asks(20..40).await;
    bench.until_hit(0).await;
    assert!(bench.said(AWAY) >= 1);
    bench.row.check().await;
}

/// T5: faults in any order, against what the answers are without a Redis.
#[tokio::test]
async fn r5_whatever_happens_to_redis_no_answer_changes() {
    let Some(mut redis) = Redis::start().await else { return };
    let mut bench = Bench::start("R5", &redis.url()).await;
    let (faults, mut asked, mut random) = (times(10, 200), 0, 0x2545_f491_4f6c_dd1d_u64);
    for _ in 0..faults {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        match random % 9 {
            0 => redis.kill(),
            1 => redis.signal("STOP"),
            2 => drop(redis.say(&["CLIENT", "PAUSE", "300", "ALL"])),
            3 => drop(redis.say(&["REPLICAOF", "127.0.0.1", "1"])),
            4 => drop(redis.say(&["CONFIG", "SET", "maxmemory", "1"])),
            5 => drop(redis.say(&["ACL", "SETUSER", "default", "-getrange", "-set"])),
            6 => drop(redis.say(&["FLUSHALL"])),
            7 => drop(redis.say(&["CLIENT", "KILL", "TYPE", "normal"])),
            _ => {
                for name in redis.names() {
                    redis.say(&["SETRANGE", &name, "70", "!!!!"]);
                }
            }
        }
        for _ in 0..times(12, 100) {
            bench.ask(asked % 7).await;
            asked += 1;
        }
        match random % 9 {
            0 => redis.up(&[]).await,
            1 => redis.signal("CONT"),
            3 => drop(redis.say(&["REPLICAOF", "NO", "ONE"])),
            4 => drop(redis.say(&["CONFIG", "SET", "maxmemory", "0"])),
            5 => drop(redis.say(&["ACL", "SETUSER", "default", "+@all"])),
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    bench.row.figure(format!("{faults} faults, {asked} requests, none failed, none changed"));
    bench.row.check().await;
}
