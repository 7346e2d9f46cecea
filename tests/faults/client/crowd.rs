//! Many clients at once: those that say nothing, those that say it slowly, and more than there are descriptors for.

use super::json::cpu;
use crate::rig::{Act, Chaosd, End, LIMIT, Reply, Row, Script, Setup, chat, ms, times};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

#[tokio::test]
async fn c6_clients_that_say_nothing_or_too_little_are_shown_out_and_others_are_served() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[server]\nfirst_byte_s = 1\nhead_s = 1\n");
    let mut row = Row::start("C6", setup).await;
    let head = "POST /api/chat HTTP/1.1\r\nhost: localhost\r\nx: ";
    for (name, said) in [
        ("silent", ""),
        ("half a preface", "PRI * HTTP/2.0\r\n\r\nSM\r"),
        ("a P", "P"),
        ("half a head", head),
        ("slowloris", head),
    ] {
        let begun = Instant::now();
        let mut crowd = Vec::new();
        for _ in 0..times(60, 1000) {
            let mut stream = TcpStream::connect(row.program.addr).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            crowd.push(stream);
        }
        let answer = row.ask("/api/chat", &chat("m", 1, true)).await;
        assert_eq!(answer.end, End::Complete, "{name}");
        let closed = crowd.into_iter().map(|mut stream| async move {
            let mut rest = Vec::new();
            loop {
                let read = timeout(Duration::from_millis(100), stream.read_to_end(&mut rest));
                if read.await.is_ok() {
                    return;
                }
                if name == "slowloris" && stream.write_all(b"y").await.is_err() {
                    return;
                }
            }
        });
        let mut all = tokio::task::JoinSet::new();
        closed.for_each(|one| drop(all.spawn(one)));
        timeout(LIMIT, all.join_all()).await.unwrap_or_else(|_| panic!("{name}: not shown out"));
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_millis(900) && took < Duration::from_secs(6),
            "{name}: {took:?}"
        );
        row.figure(format!("{name}: {}", ms(took)));
    }
    row.check().await;
}

#[tokio::test]
async fn c16_more_connections_than_descriptors_stop_nothing_that_runs_and_are_told_once() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[log]\nlevel = \"info\"\n");
    let mut row = Row::start("C16", setup).await;
    up.next(Script::from(Reply::chat(&["one", "two"])).at(2, Act::Wait(Duration::from_secs(2))));
    let mut stream = row.open("/api/chat", &chat("m", 0, true)).await;
    assert!(stream.until("one").await);
    let limit = format!("--nofile={0}:{0}", row.program.fds() + 20);
    let pid = format!("--pid={}", row.program.pid());
    assert!(Command::new("prlimit").args([&pid, &limit]).status().await.unwrap().success());
    let mut flood = Vec::new();
    for _ in 0..64 {
        flood.push(TcpStream::connect(row.program.addr).await.unwrap());
    }
    row.program.says("cannot accept connections").await;
    let (used, begun) = (cpu(&row), Instant::now());
    assert!(stream.until("two").await, "what runs goes on");
    assert_eq!(stream.finish().await.end, End::Complete);
    let spent = cpu(&row) - used;
    assert!(spent < begun.elapsed() / 4, "{spent:?} of a core: it spins");
    row.figure(format!("{} of a core in {}", ms(spent), ms(begun.elapsed())));
    let gone = Instant::now();
    drop(flood);
    let answer = row.ask("/api/chat", &chat("m", 1, true)).await;
    assert_eq!(answer.end, End::Complete, "{}", answer.text());
    row.figure(format!("served again after {}", ms(gone.elapsed())));
    let told = row.program.said().matches("cannot accept connections").count();
    assert_eq!(told, 1, "{}", row.program.said());
    while !row.program.said().contains("connections are accepted again") {
        assert!(gone.elapsed() < LIMIT, "{}", row.program.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
        row.get("/health").await;
    }
    row.check().await;
}

#[tokio::test]
async fn c16_connections_above_the_limit_wait_for_their_turn() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[server]\nmax_connections = 4\nfirst_byte_s = 1\n");
    let row = Row::start("C16", setup).await;
    let mut crowd = Vec::new();
    for _ in 0..8 {
        crowd.push(TcpStream::connect(row.program.addr).await.unwrap());
    }
    let answer = row.ask("/api/chat", &chat("m", 1, true)).await;
    assert_eq!(answer.end, End::Complete, "{}", answer.text());
    drop(crowd);
    row.check().await;
}
