//! S7, S8: others hold the file.

use super::full::{sample, says};
use crate::rig::{Chaosd, End, Row, Setup, chat, full, ms, times};
use rusqlite::Connection;
use std::time::{Duration, Instant};

#[tokio::test]
async fn s7_a_file_that_another_process_has_locked_delays_no_request_and_loses_no_row() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S7", Setup::ollama(&up)).await;
    let other = Connection::open(row.program.db()).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (begun, mut slowest, mut count) = (Instant::now(), Duration::ZERO, 0);
    let held = Duration::from_secs(if full() { 60 } else { 3 });
    while begun.elapsed() < held {
        let answer = row.ask("/api/chat", &chat("m", count, count % 2 == 0)).await;
        assert_eq!(answer.end, End::Complete);
        slowest = slowest.max(answer.took);
        count += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = row.metrics().await;
    assert_eq!(sample(&metrics, "unigate_log_failing"), 1.0);
    let spooled = sample(&metrics, "unigate_log_rows_spooled");
    assert!(spooled > 0.0, "rows are safe from a crash of ours meanwhile");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    says(&row, "unigate_log_rows_spooled", 0.0).await;
    says(&row, "unigate_log_failing", 0.0).await;
    row.figure(format!(
        "locked for {held:?}: {count} answers, slowest {}; {spooled} rows spooled, all there afterwards",
        ms(slowest)
    ));
    row.check().await;
}

#[tokio::test]
async fn s8_a_reader_that_does_not_end_delays_no_row_and_the_log_beside_the_file_is_emptied_after_it()
 {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S8", Setup::ollama(&up)).await;
    assert_eq!(row.ask("/api/chat", &chat("m", 0, true)).await.end, End::Complete);
    says(&row, "unigate_log_rows_waiting", 0.0).await;
    let reader = Connection::open(row.program.db()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = |reader: &Connection| -> i64 {
        reader.query_row("SELECT count(*) FROM request_logs", [], |row| row.get(0)).unwrap()
    };
    let at_first = count(&reader);
    let asked = times(150, 20_000);
    for nth in 1..=asked {
        assert_eq!(row.ask("/api/chat", &chat("m", nth, true)).await.end, End::Complete);
    }
    says(&row, "unigate_log_rows_waiting", 0.0).await;
    assert_eq!(count(&reader), at_first, "it reads what was there when it began");
    let other = Connection::open(row.program.db()).unwrap();
    assert!(count(&other) >= at_first + asked as i64, "and others what is there now");
    let wal = row.program.db().with_file_name("requests.db-wal");
    let size = || std::fs::metadata(&wal).map_or(0, |meta| meta.len());
    let grown = size();
    // What the writer allows it, and a batch.
    assert!(grown < 68 << 20, "{grown}");
    reader.execute_batch("COMMIT").unwrap();
    drop((reader, other));
    // Its beginning stays, so that no row has to wait for the disk.
    crate::rig::until("an empty log beside the file", || size() <= 16 << 10).await;
    row.figure(format!(
        "{asked} rows beside an open reader: {} KiB of WAL, emptied after it",
        grown >> 10
    ));
    row.check().await;
}
