//! The command line: what each command prints, and the status it ends with.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use rusqlite::Connection;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A user with an empty home directory and an empty environment.
pub(crate) struct Home(TempDir);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unigate"));
        let home = self.0.path();
        command.args(args).current_dir(home).env_clear().env("HOME", home).env("TZ", "UTC");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        let output = self.command(args).envs(env.iter().copied()).output().unwrap();
        Run {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A request log with three rows of 2026-11-23, as the gateway writes it.
    fn log(&self) -> Connection {
        let log = Connection::open(self.path("requests.db")).unwrap();
        log.pragma_update(None, "journal_mode", "wal").unwrap();
        log.execute_batch(SCHEMA).unwrap();
        log.execute_batch(ROWS).unwrap();
        log
    }

    fn on_log(&self, args: &[&str]) -> Run {
        self.run(&[args, &["--db", "requests.db"]].concat())
    }
}

const SCHEMA: &str = "
CREATE TABLE request_logs (
  id TEXT PRIMARY KEY, timestamp TEXT NOT NULL, started_ms INTEGER NOT NULL, client TEXT, client_request_id TEXT,
  key_id TEXT, dialect TEXT, operation TEXT, method TEXT NOT NULL, path TEXT NOT NULL, model_requested TEXT,
  model_used TEXT, provider TEXT, upstream_dialect TEXT, route TEXT, route_reason TEXT, streamed INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0, attempts_detail TEXT, fallback_used INTEGER NOT NULL DEFAULT 0, cache TEXT,
  status_code INTEGER, ending TEXT NOT NULL, error_code TEXT, error_message TEXT, first_byte_ms INTEGER,
  latency_ms INTEGER NOT NULL, bytes_in INTEGER, bytes_out INTEGER NOT NULL DEFAULT 0, prompt_tokens INTEGER,
  completion_tokens INTEGER, total_tokens INTEGER, prompt TEXT, answer TEXT
) STRICT;";

const ROWS: &str = "
INSERT INTO request_logs (id, timestamp, started_ms, client, method, path, model_requested, model_used, route,
  streamed, cache, status_code, ending, first_byte_ms, latency_ms, prompt_tokens, completion_tokens, fallback_used,
  error_message)
VALUES
 ('01990000-0000-7000-8000-0000aaaaaaa1', '2026-11-23T12:04:31.000Z', 1795435471000, 'openai-python/3.54', 'POST',
  '/v1/chat/completions', 'auto', 'qwen2.5-coder:7b', 'code', 1, 'miss', 200, 'complete', 412, 7152, 1200, 310, 0, NULL),
 ('01990000-0000-7000-8000-0000aaaaaab2', '2026-11-23T12:04:40.000Z', 1795435480000, 'open-webui', 'POST',
  '/api/chat', 'auto', 'gemma3:4b', 'short', 1, 'hit', 200, 'complete', 5, 20, 38, 12, 0, NULL),
 ('01990000-0000-7000-8000-0000aaaaaac3', '2026-11-23T12:05:02.000Z', 1795435502000, 'open-webui', 'POST',
  '/api/chat', 'llama3.1:8b', NULL, NULL, 1, 'miss', 502, 'failed', NULL, 30000, NULL, NULL, 1,
  'timed out' || char(27) || '[2J');
";

// --- help and arguments ------------------------------------------------------------------------

#[test]
fn help_and_version_end_with_0_and_bad_arguments_with_64() {
    let home = Home::new();
    let help = home.run(&["--help"]);
    assert_eq!(help.status, 0);
    for command in ["serve", "demo", "check", "init", "config", "route", "logs", "stats", "show"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{}", help.out);
    }
    assert_eq!(home.run(&["--version"]).status, 0);
    let slip = home.run(&["lgs"]);
    assert_eq!((slip.status, slip.out.as_str()), (64, ""));
    assert!(slip.err.contains("'logs'"), "{}", slip.err);
    assert_eq!(home.run(&["logs", "-n", "many"]).status, 64);
    assert_eq!(home.run(&["logs", "--since", "yesterday", "--db", "x"]).status, 64);
}

// --- check, init -------------------------------------------------------------------------------

#[test]
fn check_shows_what_would_run_without_any_upstream() {
    let home = Home::new();
    let run = home.run_with(&["check"], &[("OLLAMA_HOST", "127.0.0.1:11435")]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    for part in [
        "listen    127.0.0.1:11435  this machine only, no key",
        "upstream  ollama  http://127.0.0.1:11434  default",
        "auto  ->  code     coder (picked from what is installed)",
        "cache     memory, 256 MiB, 1 h",
        "note      OLLAMA_HOST ignored: it points to this gateway",
    ] {
        assert!(run.out.contains(part), "no {part:?} in\n{}", run.out);
    }
}

#[test]
fn check_finds_a_secret_that_is_not_there() {
    let home = Home::new();
    home.write("config.toml", "[upstream.openai]\nkey = \"env:NO_SUCH_KEY\"\n");
    let run = home.run(&["check"]);
    assert_eq!(run.status, 64);
    assert!(
        run.err.contains("upstream.openai.key: ") && run.err.contains("NO_SUCH_KEY"),
        "{run:?}"
    );
}

#[test]
fn init_writes_the_reference_and_never_over_a_file_of_yours() {
    let home = Home::new();
    assert_eq!(home.run(&["init"]).status, 0);
    let reference = include_str!("../../config.toml");
    assert_eq!(fs::read_to_string(home.path("config.toml")).unwrap(), reference);
    assert_eq!(home.run(&["check"]).status, 0);

    home.write("config.toml", "# mine\n");
    let run = home.run(&["init"]);
    assert_eq!(run.status, 1);
    assert!(run.err.contains("--force"), "{}", run.err);
    assert_eq!(fs::read_to_string(home.path("config.toml")).unwrap(), "# mine\n");
    assert_eq!(home.run(&["init", "--force"]).status, 0);
    assert_eq!(fs::read_to_string(home.path("config.toml")).unwrap(), reference);
    assert_eq!(home.run(&["init", "new/place.toml"]).status, 0);
    assert_eq!(fs::read_to_string(home.path("new/place.toml")).unwrap(), reference);
    assert_eq!(home.run(&["init", "-"]).out, reference);
}

// --- logs --------------------------------------------------------------------------------------

#[test]
fn without_a_log_the_commands_say_so_and_end_with_0() {
    let home = Home::new();
    for args in [&["logs"][..], &["stats"], &["show", "01"]] {
        let run = home.run(args);
        assert_eq!(run.status, 0);
        let path = home.path(".local/share/unigate/requests.db");
        assert_eq!(run.out, format!("no requests logged yet in {}\n", path.display()));
    }
    home.write("requests.db", "");
    assert!(home.on_log(&["logs"]).out.starts_with("no requests logged yet in "));
    assert_eq!(home.on_log(&["logs", "--json"]).out, "");
    home.write(
        "requests.db",
        "this is a text, and quite long enough for a header of a database file, is it not? It is.",
    );
    let run = home.on_log(&["logs"]);
    assert_eq!(run.status, 1);
    assert!(run.err.contains("cannot read the request log requests.db"), "{}", run.err);
}

#[test]
fn logs_are_aligned_and_the_newest_is_last() {
    let home = Home::new();
    let _log = home.log();
    let run = home.on_log(&["logs"]);
    assert_eq!(run.err, "");
    let expected = "\
11-23 12:04:31  200  auto -> qwen2.5-coder:7b  code      1.2k in   310 out  ttft 412ms   46 tok/s   7.2s  miss  aaaaaaa1  openai-python/3.54
11-23 12:04:40  200  auto -> gemma3:4b         short       38 in    12 out    ttft 5ms  800 tok/s   20ms  HIT   aaaaaab2  open-webui
11-23 12:05:02  502  llama3.1:8b                                                                   30.0s  miss  aaaaaac3  timed out\u{fffd}[2J
";
    // The date stands there only on other days, and this test may run on that one.
    let dated = |line: &str| {
        if line.starts_with("11-23 ") { line.to_owned() } else { format!("11-23 {line}") }
    };
    let out: String = run.out.lines().map(|line| dated(line) + "\n").collect();
    assert_eq!(out, expected);
}

#[test]
fn logs_are_filtered() {
    let home = Home::new();
    let _log = home.log();
    let ids = |args: &[&str]| -> Vec<char> {
        let run = home.on_log(&[&["logs", "--json"], args].concat());
        let rows =
            run.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|row| row["id"].as_str().unwrap().chars().rev().nth(1).unwrap()).collect()
    };
    assert_eq!(ids(&[]), ['a', 'b', 'c']);
    assert_eq!(ids(&["-n", "2"]), ['b', 'c']);
    assert_eq!(ids(&["--errors"]), ['c']);
    assert_eq!(ids(&["--model", "Qwen"]), ['a']);
    assert_eq!(ids(&["--since", "2026-11-23T12:04:35Z"]), ['b', 'c']);
    assert_eq!(ids(&["--since", "2026-11-23T12:04:35", "--model", "auto"]), ['b']);
    assert!(home.on_log(&["logs", "--model", "nobody"]).out.starts_with("no request in "));
}

#[test]
fn a_row_in_json_has_every_column_with_its_type() {
    let home = Home::new();
    let _log = home.log();
    let out = home.on_log(&["logs", "--json", "-n", "1"]).out;
    assert!(
        out.starts_with("{\"id\":\"01990000-0000-7000-8000-0000aaaaaac3\",\"timestamp\":"),
        "{out}"
    );
    let row: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(row.as_object().unwrap().len(), 34);
    assert_eq!(row["streamed"], true);
    assert_eq!(row["latency_ms"], 30000);
    assert_eq!(row["prompt_tokens"], serde_json::Value::Null);
}

/// A running `logs -f`, ended when it is dropped.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn following_shows_rows_as_they_are_written_even_of_a_log_that_begins_later() {
    let home = Home::new();
    let mut command = home.command(&["logs", "-f", "--json", "--errors", "--db", "requests.db"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut follower = Follower(child);
    let mut told = String::new();
    let mut err = BufReader::new(follower.0.stderr.take().unwrap());
    err.read_line(&mut told).unwrap();
    assert_eq!(told, "no requests logged yet in requests.db; waiting\n");
    let log = home.log();
    let mut out = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    assert!(out.next().unwrap().unwrap().contains("0000aaaaaac3"));
    for id in ["new1", "new2"] {
        log.execute(
            "INSERT INTO request_logs (id, timestamp, started_ms, method, path, ending, latency_ms) \
             VALUES (?1, '', 0, 'GET', '/', 'failed', 1)",
            [id],
        )
        .unwrap();
        assert!(out.next().unwrap().unwrap().contains(id));
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let home = Home::new();
    let log = home.log();
    // More than a pipe holds, so that writing meets the closed end.
    log.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
         INSERT INTO request_logs (id, timestamp, started_ms, method, path, ending, latency_ms) \
         SELECT 'row' || i, '', 0, 'GET', '/', 'complete', 1 FROM n",
    )
    .unwrap();
    let args = ["logs", "--json", "-n", "3000", "--db", "requests.db"];
    let mut child =
        home.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

// --- stats, show -------------------------------------------------------------------------------

#[test]
fn stats_add_up() {
    let home = Home::new();
    let _log = home.log();
    let expected = "\
requests    3
errors      1
cancelled   0
fallbacks   1
cache hits  1 (33%)
tokens      1.2k in, 322 out
first byte  5ms p50, 412ms p95
total       20ms p50, 7.2s p95
";
    assert_eq!(home.on_log(&["stats"]).out, expected);
    let by = home.on_log(&["stats", "--by", "client"]).out;
    let lines: Vec<Vec<&str>> = by.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0][0], "client");
    assert_eq!(lines[1][..4], ["open-webui", "2", "1", "0"]);
    assert_eq!(lines[2][..4], ["openai-python", "1", "0", "0"]);
    let widths: Vec<usize> = by.lines().map(str::len).collect();
    assert!(widths.windows(2).all(|w| w[0] == w[1]), "{by}");
    let json = home.on_log(&["stats", "--by", "route", "--json"]).out;
    let rows: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    let code = rows.iter().find(|row| row["route"] == "code").unwrap();
    assert_eq!((&code["requests"], &code["total_p95_ms"]), (&1.into(), &7152.into()));
    assert!(home.on_log(&["stats", "--since", "1s"]).out.starts_with("no requests since then"));
}

#[test]
fn show_takes_a_part_of_an_id_that_is_unique() {
    let home = Home::new();
    let _log = home.log();
    let whole = home.on_log(&["show", "01990000-0000-7000-8000-0000aaaaaac3"]).out;
    assert!(whole.contains("status_code      502\n"), "{whole}");
    assert!(whole.contains("timed out\u{fffd}[2J"), "{whole}");
    for part in ["01990000-0000-7000-8000-0000aaaaaac", "aaaaaac3", "C3", "..aac3"] {
        assert_eq!(home.on_log(&["show", part]).out, whole, "{part}");
    }
    let json = home.on_log(&["show", "aac3", "--json"]).out;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["status_code"], 502);
    let several = home.on_log(&["show", "01990000"]);
    assert_eq!(several.status, 1);
    assert_eq!(several.err.lines().count(), 4, "{}", several.err);
    assert_eq!(home.on_log(&["show", "ffff"]).status, 1);
}

#[test]
fn the_log_can_be_read_after_its_writer_has_gone() {
    let home = Home::new();
    drop(home.log());
    assert!(!Path::exists(&home.path("requests.db-wal")));
    assert_eq!(home.on_log(&["logs", "--json"]).out.lines().count(), 3);
}
