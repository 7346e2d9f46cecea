use super::*;
use rusqlite::Connection;
use std::path::PathBuf;
use std::time::Instant;
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

// A table whose rows are what they are, and may come twice.
struct Named(&'static str);

impl Row for Named {
    const MIGRATIONS: &'static [&'static str] = &[
        "CREATE TABLE words (word TEXT PRIMARY KEY, ending TEXT NOT NULL);
         CREATE TABLE open (process INTEGER, ticket INTEGER, word TEXT, PRIMARY KEY (process, ticket))",
    ];
    const INSERT: &'static str = "INSERT OR REPLACE INTO words VALUES (?1, 'whole')";
    const OPEN: &'static str = "INSERT INTO open VALUES (?1, ?2, ?3)";
    const CLOSE: &'static str = "DELETE FROM open WHERE process = ?1 AND ticket = ?2";
    const RECOVER: &'static [&'static str] = &[
        "INSERT OR IGNORE INTO words SELECT word, 'lost' FROM open WHERE process <> ?1",
        "DELETE FROM open WHERE process <> ?1",
    ];

    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        values.add(&[&self.0])
    }
}

impl Begun for &'static str {
    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        values.add(&[self])
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn hold(other: &mut Connection) -> rusqlite::Transaction<'_> {
    other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap()
}

#[test]
fn in_an_outage_rows_are_safe_beside_the_file_and_come_in_after_it() {
    let (_folder, path) = place();
    let log = open(&path);
    log.push(Word("before"));
    assert!(log.flush(LONG));
    let mut other = Connection::open(&path).unwrap();
    let held = hold(&mut other);
    let (told, safe) = std::sync::mpsc::sync_channel(64);
    for _ in 0..20 {
        let told = told.clone();
        log.end(None, Word("during"), Some(Box::new(move |kept| told.send(kept).unwrap())));
    }
    for _ in 0..20 {
        assert!(safe.recv_timeout(LONG).unwrap(), "safe, though not in the file");
    }
    assert_eq!((log.state().spooled, log.waiting(), log.written()), (20, 0, 1));
    assert!(!log.flush(Duration::from_millis(1)), "which is what a flush is about");
    drop(held);
    assert!(log.flush(LONG));
    assert_eq!((log.state().spooled, log.written(), log.dropped()), (0, 21, 0));
    assert_eq!(words(&path), 21);
}

#[test]
fn what_was_spooled_when_the_log_ended_comes_in_at_the_next_start() {
    let (_folder, path) = place();
    let log = open(&path);
    let mut other = Connection::open(&path).unwrap();
    let held = hold(&mut other);
    log.push(Word("kept"));
    assert_eq!(log.close(LONG), 0);
    assert_eq!((log.state().spooled, log.written()), (1, 0));
    drop(held);
    let log = open(&path);
    until("the row", || log.written() == 1);
    assert_eq!((log.close(LONG), words(&path)), (0, 1));
}

#[test]
fn what_takes_long_stands_open_until_it_ends_and_is_lost_when_it_cannot() {
    let (_folder, path) = place();
    let log = SqliteLog::<Named>::open(&path, SqliteOptions::default()).unwrap();
    let quick = log.begin(Arc::new("quick"));
    log.end(Some(quick), Named("quick"), None);
    let begun: Arc<dyn Begun> = Arc::new("slow");
    let slow = log.begin(Arc::clone(&begun));
    let crashed: Arc<dyn Begun> = Arc::new("crashed");
    log.begin(Arc::clone(&crashed));
    let open = |path: &Path| count(path, "SELECT count(*) FROM open");
    until("two open rows", || open(&path) == 2);
    log.end(Some(slow), Named("slow"), None);
    assert!(log.flush(LONG));
    assert_eq!(open(&path), 1);
    // Another process finds the file as a crash would leave it.
    let copy = path.with_file_name("copy.db");
    Connection::open(&path).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    let next = SqliteLog::<Named>::open(&copy, SqliteOptions::default()).unwrap();
    let lost = "SELECT count(*) FROM words WHERE word = 'crashed' AND ending = 'lost'";
    until("the lost row", || count(&copy, lost) == 1);
    assert_eq!((open(&copy), count(&copy, "SELECT count(*) FROM words")), (0, 3));
    next.close(LONG);
}

#[test]
fn one_process_does_not_take_the_open_rows_of_another_that_lives() {
    let (_folder, path) = place();
    let one = SqliteLog::<Named>::open(&path, SqliteOptions::default()).unwrap();
    let begun: Arc<dyn Begun> = Arc::new("alive");
    one.begin(Arc::clone(&begun));
    until("an open row", || count(&path, "SELECT count(*) FROM open") == 1);
    let two = SqliteLog::<Named>::open(&path, SqliteOptions::default()).unwrap();
    two.push(Named("two"));
    assert!(two.flush(LONG));
    assert_eq!(count(&path, "SELECT count(*) FROM open"), 1);
}

#[test]
fn a_reader_that_does_not_end_does_not_let_the_wal_grow_beyond_its_size() {
    let (_folder, path) = place();
    let word: &'static str = "x".repeat(2000).leak();
    let options = SqliteOptions { wal_bytes: 200_000, ..SqliteOptions::default() };
    let log = SqliteLog::<Word>::open(&path, options).unwrap();
    log.push(Word(word));
    assert!(log.flush(LONG));
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM words;").unwrap();
    for _ in 0..40 {
        for _ in 0..20 {
            log.push(Word(word));
        }
        until("an empty queue", || log.waiting() == 0);
    }
    let wal = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    assert!(wal < 400_000 && log.state().spooled > 0, "{wal} {:?}", log.state());
    reader.execute_batch("COMMIT").unwrap();
    assert!(log.flush(LONG));
    assert_eq!((words(&path), log.dropped()), (801, 0));
}

#[test]
fn a_panic_in_the_writer_costs_no_row() {
    let (_folder, path) = place();
    let log = open(&path);
    log.end(None, Word("one"), Some(Box::new(|_| panic!("on purpose"))));
    log.push(Word("two"));
    assert!(log.flush(LONG));
    log.push(Word("three"));
    assert_eq!((log.close(LONG), log.written(), words(&path)), (0, 3, 3));
}

#[test]
fn waiting_rows_are_bounded_by_their_bytes_too() {
    let (_folder, path) = place();
    let options = SqliteOptions { queue_bytes: 1000, spool_bytes: 0, ..SqliteOptions::default() };
    let log = SqliteLog::<Word>::open(&path, options).unwrap();
    let mut other = Connection::open(&path).unwrap();
    let held = hold(&mut other);
    for _ in 0..100 {
        log.push(Word("one"));
    }
    let state = log.state();
    assert!(state.queued_bytes <= 1000 && state.overflowed > 0, "{state:?}");
    assert_eq!(state.queued + state.overflowed, 100);
    drop(held);
    assert_eq!(log.close(LONG), 0);
    assert_eq!(log.written(), state.queued);
}

#[test]
fn a_push_costs_far_less_than_what_it_is_about() {
    let (_folder, path) = place();
    let log = open(&path);
    let mut took: Vec<Duration> = (0..20_000)
        .map(|_| {
            let begun = Instant::now();
            log.push(Word("one"));
            let took = begun.elapsed();
            // About 20,000 rows a second.
            while begun.elapsed() < Duration::from_micros(50) {
                std::hint::spin_loop();
            }
            took
        })
        .collect();
    took.sort_unstable();
    let (p50, p99) = (took[10_000], took[19_800]);
    assert_eq!((log.close(LONG), log.dropped(), words(&path)), (0, 0, 20_000));
    eprintln!("push: p50 {p50:?}, p99 {p99:?}");
    // Unoptimised, on a machine that others use too.
    assert!(p99 < Duration::from_millis(1), "{p99:?}");
}
