//! S5, S6, S10: no space, broken writes, and more rows than anything can hold.

use super::disk;
use crate::rig::{Chaosd, End, Program, Row, Setup, chat, full, ms, note, skip, times, until};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A sample of `/metrics`.
pub(super) fn sample(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(-1.0)
}

/// Waits until `/metrics` says so.
pub(super) async fn says(row: &Row, name: &str, value: f64) {
    let begun = Instant::now();
    loop {
        let found = sample(&row.metrics().await, name);
        if found == value {
            return;
        }
        assert!(begun.elapsed() < crate::rig::LIMIT, "{name} is {found}, not {value}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn s5_with_a_full_disk_requests_flow_it_is_told_once_and_space_brings_the_rows_back() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S5", Setup::ollama(&up)).await;
    let Some(disk) = disk::under(&mut row, "S5", 2).await else { return };
    assert_eq!(row.ask("/api/chat", &chat("m", 0, true)).await.end, End::Complete);
    disk.fill();
    let mut slowest = Duration::ZERO;
    let count = times(200, 5000);
    for nth in 1..=count {
        let answer = row.ask("/api/chat", &chat("m", nth, nth % 2 == 0)).await;
        assert_eq!(answer.end, End::Complete, "{}", answer.text());
        slowest = slowest.max(answer.took);
    }
    says(&row, "unigate_log_failing", 1.0).await;
    let ready = row.get("/readyz").await;
    assert!(ready.text().contains("full"), "{}", ready.text());
    let waiting = sample(&row.metrics().await, "unigate_log_rows_waiting");
    assert!(waiting > 0.0, "rows are kept: {waiting}");
    disk.free();
    says(&row, "unigate_log_failing", 0.0).await;
    says(&row, "unigate_log_rows_spooled", 0.0).await;
    assert_eq!(row.ask("/api/chat", &chat("m", 9999, true)).await.end, End::Complete);
    let code = row.program.stop().await;
    assert_eq!(code, Some(0), "nothing is missing: {}", row.program.said());
    disk.take_away();
    let told = row.program.said().matches("the log cannot be written").count();
    assert_eq!(told, 1, "{}", row.program.said());
    row.figure(format!(
        "{count} answers while the disk was full, slowest {}; all rows there afterwards, one warning",
        ms(slowest)
    ));
    row.check().await;
}

#[tokio::test]
async fn s6_whichever_write_fails_no_row_is_acknowledged_and_lost() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        skip("S6", "there is no strace");
        return;
    }
    let (mut runs, mut failures) = (0, 0);
    for call in ["pwrite64", "fdatasync", "ftruncate", "openat"] {
        for error in ["EIO", "ENOSPC"] {
            let most = if full() { 40 } else { 2 };
            for nth in 1..=most {
                let hit = broken(call, error, nth).await;
                (runs, failures) = (runs + 1, failures + usize::from(hit));
                if full() && !hit {
                    break;
                }
            }
        }
    }
    assert!(failures > 0, "nothing was hit in {runs} runs");
    note(
        "S6",
        true,
        &format!("{runs} runs, {failures} of them hit; no row missing, every file whole"),
    );
}

/// One run in which the `nth` such call of the log's writer fails, and the two after it; whether any did.
async fn broken(call: &str, error: &str, nth: usize) -> bool {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S6", Setup::ollama(&up)).await;
    let threads = format!("/proc/{}/task", row.program.pid());
    let writer = std::fs::read_dir(threads).unwrap().flatten().find(|task| {
        std::fs::read_to_string(task.path().join("comm"))
            .is_ok_and(|name| name.trim() == "sqlite-log")
    });
    let writer = writer.expect("the writer's thread").file_name().into_string().unwrap();
    let trace = row.program.file("trace.txt");
    let mut strace = Command::new("strace")
        .args(["-p", &writer, "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:error={error}:when={nth}..{}", nth + 2), "-o"])
        .arg(&trace)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/task/{writer}/status", row.program.pid());
    until("strace", || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        text.contains("TracerPid:") && !text.contains("TracerPid:\t0")
    })
    .await;
    for at in 0..12 {
        let answer = row.ask("/api/chat", &chat("m", at, at % 2 == 0)).await;
        assert_eq!(answer.end, End::Complete, "{}", answer.text());
        // A batch of its own.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (code, hit) = {
        row.program.signal("TERM").await;
        let code = row.program.ended().await.code();
        let _ = strace.wait();
        let traced = std::fs::read_to_string(&trace).unwrap_or_default();
        (code, traced.contains("INJECTED"))
    };
    // What could not be written is in the spool, and comes in with the next start.
    assert!(matches!(code, Some(0 | 3)), "{code:?}: {}", row.program.said());
    if code == Some(3) {
        row.program.restart().await;
        says(&row, "unigate_log_rows_spooled", 0.0).await;
    }
    row.figure(format!("{call} {error} from the {nth}."));
    row.check().await;
    hit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s10_what_the_queue_cannot_take_is_counted_to_the_row() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S10", Setup::ollama(&up)).await;
    let Some(disk) = disk::under(&mut row, "S10", 32).await else { return };
    disk.fill();
    let before = row.program.rss_kib();
    // More than the queue holds; one connection, so that the rig is not what is tested.
    const COUNT: usize = 12_000;
    const QUEUE: f64 = 8192.0;
    hammer(&row.program, COUNT).await;
    let metrics = row.metrics().await;
    let dropped = sample(&metrics, "unigate_log_rows_dropped_total{reason=\"queue_full\"}");
    let waiting = sample(&metrics, "unigate_log_rows_waiting");
    assert!(waiting <= QUEUE && dropped > 0.0, "{waiting} waiting, {dropped} dropped");
    let grown = row.program.rss_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB");
    disk.free();
    says(&row, "unigate_log_failing", 0.0).await;
    let dropped =
        sample(&row.metrics().await, "unigate_log_rows_dropped_total{reason=\"queue_full\"}");
    assert_eq!(row.program.stop().await, Some(3), "some are missing, and it says so");
    disk.take_away();
    let rows = row.program.rows();
    let hammered = rows.iter().filter(|row| row["path"] == "/livez").count();
    let others = rows.iter().filter(|row| row["path"] == "/metrics").count();
    let asked = row.ledger.entries().iter().filter(|entry| entry.path == "/metrics").count();
    let missing = (COUNT - hammered) + (asked - others);
    let good = missing as f64 == dropped && row.program.integrity() == "ok";
    let figure = format!(
        "{COUNT} rows at a full disk: {hammered} written later, {dropped} dropped and counted, {grown} KiB more"
    );
    note("S10", good, &figure);
    assert!(good, "{missing} are missing: {figure}");
}

/// So many requests on one connection, many at a time.
async fn hammer(program: &Program, count: usize) {
    let (read, mut write) = TcpStream::connect(program.addr).await.unwrap().into_split();
    let asking = tokio::spawn(async move {
        for _ in 0..count / 100 {
            let hundred = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
            write.write_all(hundred.as_bytes()).await.unwrap();
        }
        write
    });
    let (mut lines, mut seen) = (BufReader::new(read).lines(), 0);
    while seen < count {
        let line = lines.next_line().await.unwrap().expect("an answer to each");
        seen += usize::from(line.contains("HTTP/1.1 200"));
    }
    drop(asking.await.unwrap());
}
