//! S9: the file is deleted, read-only, or corrupt.

use super::{disk, full::says};
use crate::rig::{Chaosd, End, Row, Setup, chat};
use std::{
    fs,
    io::{Seek, SeekFrom, Write},
};

#[tokio::test]
async fn s9_a_file_that_is_deleted_while_it_is_open_is_begun_anew_and_told() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S9", Setup::ollama(&up)).await.waive(
        "I1",
        "the rows before the deletion were deleted by whoever did it; those after it are counted here",
    );
    assert_eq!(row.ask("/api/chat", &chat("m", 0, true)).await.end, End::Complete);
    says(&row, "unigate_log_rows_waiting", 0.0).await;
    let db = row.program.db();
    for file in ["requests.db", "requests.db-wal", "requests.db-shm"] {
        let _ = fs::remove_file(db.with_file_name(file));
    }
    for nth in 1..=5 {
        assert_eq!(row.ask("/api/chat", &chat("m", nth, true)).await.end, End::Complete);
    }
    row.program.says("deleted or replaced").await;
    assert_eq!(row.program.stop().await, Some(0), "{}", row.program.said());
    let rows = row.program.rows();
    let found = rows.iter().filter(|line| line["path"] == "/api/chat").count();
    assert_eq!(found, 5, "{}", row.program.said());
    row.figure("deleted while open: noticed at the next row, 5 of 5 rows in the new file");
    row.check().await;
}

#[tokio::test]
async fn s9_a_file_that_is_corrupt_at_the_start_is_set_aside_and_told() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S9", Setup::ollama(&up)).await.waive(
        "I1",
        "the rows of the corrupt file stay in it, which is set aside; those after it are counted here",
    );
    assert_eq!(row.ask("/api/chat", &chat("m", 0, true)).await.end, End::Complete);
    assert_eq!(row.program.stop().await, Some(0));
    let db = row.program.db();
    let mut file = fs::OpenOptions::new().write(true).open(&db).unwrap();
    file.seek(SeekFrom::Start(16)).unwrap();
    file.write_all(&[0xAA; 4000]).unwrap();
    drop(file);
    row.program.restart().await;
    for nth in 1..=5 {
        assert_eq!(row.ask("/api/chat", &chat("m", nth, true)).await.end, End::Complete);
    }
    row.program.says("the log is corrupt: it was set aside").await;
    assert_eq!(row.program.stop().await, Some(0), "{}", row.program.said());
    let aside = fs::read_dir(db.parent().unwrap()).unwrap().flatten();
    let aside = aside.filter(|file| file.file_name().to_string_lossy().contains(".corrupt-"));
    assert_eq!(aside.count(), 1);
    let found = row.program.rows().iter().filter(|line| line["path"] == "/api/chat").count();
    assert_eq!(found, 5);
    row.figure("corrupt at the start: set aside, 5 of 5 rows in the new file");
    row.check().await;
}

#[tokio::test]
async fn s9_a_read_only_file_is_told_and_its_rows_come_when_it_can_be_written() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("S9", Setup::ollama(&up)).await;
    let Some(disk) = disk::under(&mut row, "S9", 4).await else { return };
    assert_eq!(row.program.stop().await, Some(0));
    disk.read_only(true);
    row.program.restart().await;
    for nth in 0..20 {
        assert_eq!(row.ask("/api/chat", &chat("m", nth, nth % 2 == 0)).await.end, End::Complete);
    }
    says(&row, "unigate_log_failing", 1.0).await;
    assert!(row.get("/readyz").await.text().contains("log"));
    row.program.says("the log cannot be written").await;
    disk.read_only(false);
    says(&row, "unigate_log_failing", 0.0).await;
    assert_eq!(row.program.stop().await, Some(0), "{}", row.program.said());
    disk.take_away();
    row.figure("read-only from the start: told, and all rows there once it was not");
    row.check().await;
}
