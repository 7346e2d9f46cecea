//! The program itself, as its users start and stop it, and what can be seen of it from outside.

use super::{LIMIT, setup::Setup, until};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

/// One row of `request_logs`: its columns by name.
pub(crate) type LogLine = serde_json::Map<String, Value>;

/// A running program in a folder of its own; killed when dropped.
pub(crate) struct Program {
    pub(crate) addr: SocketAddr,
    pub(crate) folder: TempDir,
    env: Vec<(String, String)>,
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    /// What was said before the last start.
    before: usize,
}

impl Program {
    /// Starts it on a free port, and waits until it listens.
    pub(crate) async fn start(setup: &Setup) -> Self {
        Self::start_with(&setup.text(), &setup.env).await
    }

    /// The same with a file's text.
    pub(crate) async fn start_with(config: &str, env: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        let child = spawn(&folder, env, &said);
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut program = Self { addr, folder, env: env.to_vec(), child, said, before: 0 };
        program.listening().await;
        program
    }

    /// Starts it again in the same folder, on another port. It must be over.
    pub(crate) async fn restart(&mut self) {
        assert!(self.is_over(), "it is still running");
        self.before = self.said.lock().unwrap().len();
        self.child = spawn(&self.folder, &self.env, &self.said);
        self.listening().await;
    }

    async fn listening(&mut self) {
        let begun = std::time::Instant::now();
        loop {
            let said = self.said();
            let said = said.get(self.before..).unwrap_or_default();
            if let Some(line) = said.lines().find(|line| line.contains("listening")) {
                let addr = line.split("addr=").nth(1).and_then(|rest| rest.split(' ').next());
                self.addr = addr.unwrap().parse().unwrap();
                return;
            }
            assert!(!self.is_over() && begun.elapsed() < LIMIT, "it did not start: {said}");
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("a program that runs")
    }

    /// Whether it has ended, by itself or not.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// All that it said on stdout and stderr, over all its starts.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Waits until it has said these words.
    pub(crate) async fn says(&self, words: &str) {
        until(words, || self.said().contains(words)).await;
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`, `STOP`, `CONT`, `KILL`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(LIMIT * 2, self.child.wait()).await.expect("a program that ends").unwrap()
    }

    /// `SIGTERM`, and its exit code.
    pub(crate) async fn stop(&mut self) -> Option<i32> {
        self.signal("TERM").await;
        self.ended().await.code()
    }

    /// `SIGKILL`, at once.
    pub(crate) async fn kill9(&mut self) {
        self.child.start_kill().unwrap();
        self.ended().await;
    }

    /// Where its log is.
    pub(crate) fn db(&self) -> PathBuf {
        self.folder.path().join("home/.local/share/unigate/requests.db")
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The rows of its log in their order.
    pub(crate) fn rows(&self) -> Vec<LogLine> {
        if !self.db().exists() {
            return Vec::new();
        }
        let db = Connection::open_with_flags(self.db(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        db.busy_timeout(LIMIT).unwrap();
        let mut query = db.prepare("SELECT * FROM request_logs ORDER BY rowid").unwrap();
        let names: Vec<String> = query.column_names().map(str::to_owned).collect();
        let rows = query.query_map([], |row| {
            let cell = |at: usize| {
                row.get_ref(at).map(|cell| match cell {
                    ValueRef::Integer(number) => number.into(),
                    ValueRef::Real(number) => number.into(),
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
                    ValueRef::Null | ValueRef::Blob(_) => Value::Null,
                })
            };
            names.iter().enumerate().map(|(at, name)| Ok((name.clone(), cell(at)?))).collect()
        });
        rows.unwrap().map(|row: Result<LogLine, _>| row.unwrap()).collect()
    }

    /// What SQLite says of the file: `ok`, if it is. Also when there is none.
    pub(crate) fn integrity(&self) -> String {
        if !self.db().exists() {
            return "ok".to_owned();
        }
        let db = Connection::open(self.db()).unwrap();
        db.busy_timeout(LIMIT).unwrap();
        db.query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap_or_else(|e| e.to_string())
    }

    /// Every byte of every file that it wrote.
    pub(crate) fn written(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut folders = vec![self.folder.path().join("home")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = fs::read(&path) {
                    files.push((path, bytes));
                }
            }
        }
        files
    }

    /// Open file descriptors.
    pub(crate) fn fds(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

fn spawn(folder: &TempDir, env: &[(String, String)], said: &Arc<Mutex<Vec<u8>>>) -> Child {
    let home = folder.path().join("home");
    fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_unigate"));
    command.args(["serve", "--config", "config.toml"]).current_dir(folder.path());
    command.env_clear().env("HOME", home).envs(env.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    tokio::spawn(listen(child.stdout.take().unwrap(), said.clone()));
    tokio::spawn(listen(child.stderr.take().unwrap(), said.clone()));
    child
}

async fn listen(mut from: impl AsyncRead + Unpin, said: Arc<Mutex<Vec<u8>>>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        said.lock().unwrap().extend_from_slice(&piece[..count]);
    }
}
