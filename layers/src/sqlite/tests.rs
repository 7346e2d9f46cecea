use super::*;
use rusqlite::Connection;
use std::path::PathBuf;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(30);

struct Word(&'static str);

impl Row for Word {
    const MIGRATIONS: &'static [&'static str] = &[
        "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL CHECK (word <> 'bad'), ms INTEGER DEFAULT 1000)",
    ];
    const INSERT: &'static str = "INSERT INTO words (word) VALUES (?1)";
    const PRUNE_OLDER: &'static str =
        "DELETE FROM words WHERE id IN (SELECT id FROM words WHERE ms < ?1 LIMIT min(?2, 100))";
    const PRUNE_OLDEST: &'static str =
        "DELETE FROM words WHERE id IN (SELECT id FROM words ORDER BY id LIMIT ?1)";

    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        assert_ne!(self.0, "panic");
        values.add(&[&self.0])
    }
}

// The same table, one version on.
struct Louder(&'static str);

impl Row for Louder {
    const MIGRATIONS: &'static [&'static str] =
        &[Word::MIGRATIONS[0], "ALTER TABLE words ADD COLUMN loud INTEGER DEFAULT 0"];
    const INSERT: &'static str = "INSERT INTO words (word, loud) VALUES (?1, 1)";

    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        values.add(&[&self.0])
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    (folder, path)
}

fn open(path: &Path) -> SqliteLog<Word> {
    SqliteLog::open(path, SqliteOptions::default()).unwrap()
}

fn count(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn words(path: &Path) -> i64 {
    count(path, "SELECT count(*) FROM words")
}

#[test]
fn close_writes_everything_that_was_pushed() {
    let (_folder, path) = place();
    let log = open(&path);
    for _ in 0..5000 {
        log.push(Word("one"));
    }
    assert_eq!(log.close(LONG), 0);
    assert_eq!((log.written(), log.dropped()), (5000, 0));
    assert_eq!(words(&path), 5000);
}

#[test]
fn after_close_nothing_is_left_beside_the_file_and_rows_are_counted_as_dropped() {
    let (_folder, path) = place();
    let log = open(&path);
    log.push(Word("one"));
    log.close(LONG);
    let wal = std::fs::metadata(path.with_extension("db-wal")).map_or(0, |wal| wal.len());
    assert_eq!(wal, 0);
    log.push(Word("late"));
    assert_eq!(log.dropped(), 1);
    assert_eq!(log.close(LONG), 0, "a second close is harmless");
}

#[test]
fn dropping_the_last_handle_writes_what_is_queued() {
    let (_folder, path) = place();
    let log = open(&path);
    for _ in 0..100 {
        log.push(Word("one"));
    }
    let shared = Arc::clone(&log.handle.0);
    drop(log);
    assert!(shared.wait(LONG, |_, state| state.finished));
    assert_eq!(words(&path), 100);
}

#[test]
fn the_file_is_readable_while_the_log_is_open() {
    let (_folder, path) = place();
    let log = open(&path);
    log.push(Word("one"));
    assert!(log.flush(LONG));
    assert_eq!(words(&path), 1);
    log.push(Word("two"));
    assert!(log.flush(LONG));
    assert_eq!(words(&path), 2);
}

#[test]
fn a_full_queue_drops_and_counts_and_does_not_wait() {
    let (_folder, path) = place();
    let options = SqliteOptions { queue: 4, spool_bytes: 0, ..SqliteOptions::default() };
    let log = SqliteLog::<Word>::open(&path, options).unwrap();
    // Another writer holds the file, so nothing leaves the queue.
    let mut other = Connection::open(&path).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    for _ in 0..100 {
        log.push(Word("one"));
    }
    let dropped = log.dropped();
    assert_eq!(dropped, 96);
    held.commit().unwrap();
    assert_eq!(log.close(LONG), 0);
    assert!(log.shared().lock().finished, "a full queue must not hide that the log is closing");
    assert_eq!(log.written() + dropped, 100);
    assert_eq!(words(&path) as u64, log.written());
}

#[test]
fn a_deadline_that_passes_says_how_many_rows_are_lost() {
    let (_folder, path) = place();
    let options = SqliteOptions { spool_bytes: 0, ..SqliteOptions::default() };
    let log = SqliteLog::<Word>::open(&path, options).unwrap();
    let mut other = Connection::open(&path).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    for _ in 0..10 {
        log.push(Word("one"));
    }
    assert_eq!(log.close(Duration::from_millis(20)), 10);
    drop(held);
}

#[test]
fn a_row_that_the_table_refuses_is_left_out_and_counted() {
    let (_folder, path) = place();
    let log = open(&path);
    for word in ["one", "bad", "two", "panic", "three"] {
        log.push(Word(word));
    }
    assert_eq!(log.close(LONG), 0);
    assert_eq!((log.written(), log.dropped()), (3, 2));
    assert_eq!(words(&path), 3);
}

#[test]
fn an_outage_is_told_and_heals_without_losing_rows() {
    let (_folder, path) = place();
    let log = open(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("ALTER TABLE words RENAME TO away").unwrap();
    log.push(Word("one"));
    assert!(log.shared().wait(LONG, |_, state| state.failing.is_some()));
    assert!(log.failing().unwrap().contains("words"), "{:?}", log.failing());
    other.execute_batch("ALTER TABLE away RENAME TO words").unwrap();
    assert!(log.flush(LONG));
    assert_eq!(log.failing(), None);
    assert_eq!(words(&path), 1);
}

#[test]
fn a_file_of_an_older_version_is_brought_up_to_date_and_keeps_its_rows() {
    let (_folder, path) = place();
    let log = open(&path);
    log.push(Word("old"));
    log.close(LONG);
    let log = SqliteLog::open(&path, SqliteOptions::default()).unwrap();
    log.push(Louder("new"));
    log.close(LONG);
    assert_eq!(count(&path, "SELECT sum(loud) FROM words"), 1);
    assert_eq!(words(&path), 2);
    assert_eq!(count(&path, "PRAGMA user_version"), 2);
}

#[test]
fn a_file_of_a_newer_version_is_refused_with_a_reason() {
    let (_folder, path) = place();
    SqliteLog::<Louder>::open(&path, SqliteOptions::default()).unwrap().close(LONG);
    let error = SqliteLog::<Word>::open(&path, SqliteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("newer version: its schema is 2"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let (_folder, path) = place();
    let text = "this is a text file, and long enough to be looked at by SQLite".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let error = SqliteLog::<Word>::open(&path, SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, SqliteError::Open { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[cfg(unix)]
#[test]
fn a_new_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = place();
    let _log = open(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn rows_older_than_the_limit_go_when_the_log_is_opened() {
    let (_folder, path) = place();
    let log = open(&path);
    for _ in 0..250 {
        log.push(Word("old"));
    }
    log.close(LONG);
    let options = SqliteOptions { max_age: Some(Duration::from_secs(1)), ..Default::default() };
    SqliteLog::<Word>::open(&path, options).unwrap().close(LONG);
    assert_eq!(words(&path), 0);
}

#[test]
fn the_oldest_rows_go_when_the_file_is_too_large_and_the_file_shrinks() {
    let (_folder, path) = place();
    let word: &'static str = "x".repeat(1000).leak();
    let log = open(&path);
    for _ in 0..4000 {
        log.push(Word(word));
    }
    log.close(LONG);
    let before = std::fs::metadata(&path).unwrap().len();
    let options = SqliteOptions { max_bytes: Some(1_000_000), ..Default::default() };
    SqliteLog::<Word>::open(&path, options).unwrap().close(LONG);
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(before > 4_000_000 && after <= 1_000_000, "{before} {after}");
    assert!(words(&path) > 100);
    assert_eq!(count(&path, "SELECT max(id) FROM words"), 4000, "the newest stay");
}
