//! S11: very many rows are too old, and go while requests come.

use crate::rig::{Chaosd, End, Row, Setup, chat, ms, quantile, times};
use rusqlite::Connection;
use std::time::{Duration, Instant};

#[tokio::test]
async fn s11_old_rows_go_while_requests_come_and_delay_neither_them_nor_their_rows() {
    let old = times(100_000, 10_000_000);
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S11", Setup::ollama(&up)).await;
    let mut calm = asked(&row, 0).await;
    assert_eq!(row.program.stop().await, Some(0));
    let db = Connection::open(row.program.db()).unwrap();
    db.execute(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
         INSERT INTO request_logs (id, timestamp, started_ms, method, path, ending, latency_ms)
         SELECT 'old-' || n, '1970-01-01T00:00:00.000Z', n, 'POST', '/api/chat', 'complete', 1 FROM n",
        [old as i64],
    )
    .unwrap();
    drop(db);
    row.program.restart().await;
    let mut busy = asked(&row, 1000).await;
    let left = |db: &Connection| -> i64 {
        db.query_row("SELECT count(*) FROM request_logs WHERE id LIKE 'old-%'", [], |row| {
            row.get(0)
        })
        .unwrap()
    };
    let db = Connection::open(row.program.db()).unwrap();
    let during = left(&db);
    // How long a row takes to get into the file meanwhile.
    let mut slowest = Duration::ZERO;
    for nth in 0..20 {
        let answer = row.ask("/api/chat", &chat("m", 5000 + nth, false)).await;
        let begun = Instant::now();
        let there = || -> i64 {
            let sql = "SELECT count(*) FROM request_logs WHERE id = ?1";
            db.query_row(sql, [answer.id()], |row| row.get(0)).unwrap()
        };
        crate::rig::until("a row", || there() == 1).await;
        slowest = slowest.max(begun.elapsed());
    }
    let waited = Instant::now();
    while left(&db) > 0 {
        assert!(waited.elapsed() < Duration::from_secs(if old > 1_000_000 { 3600 } else { 60 }));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(db);
    let (calm, busy) = (quantile(&mut calm, 0.99), quantile(&mut busy, 0.99));
    // Far above what either takes, for the sake of a shared machine; a long lock would be seen.
    assert!(busy < calm * 3 + Duration::from_millis(100), "p99 {busy:?}, without it {calm:?}");
    assert!(slowest < Duration::from_secs(1), "a row took {slowest:?}");
    row.figure(format!(
        "{old} old rows, {during} still there under load: p99 {} (before: {}), a row in the file after {} at most",
        ms(busy),
        ms(calm),
        ms(slowest)
    ));
    row.check().await;
}

async fn asked(row: &Row, from: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for nth in 0..200 {
        let answer = row.ask("/api/chat", &chat("m", from + nth, nth % 2 == 0)).await;
        assert_eq!(answer.end, End::Complete);
        took.push(answer.took);
    }
    took
}
