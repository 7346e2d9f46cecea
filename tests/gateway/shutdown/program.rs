//! The program itself, as its users start and stop it.

use super::ask;
use crate::{
    streaming::next,
    support::{Client, Script, Step, Upstream},
};
use http::Method;
use std::{
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStderr, Command},
    sync::Notify,
    time::timeout,
};

/// Longer than anything here takes, so that a test that would hang fails.
const LIMIT: Duration = Duration::from_secs(30);

/// A running program with a home of its own; killed when dropped.
pub(crate) struct Program {
    pub(super) addr: SocketAddr,
    pub(super) home: TempDir,
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Program {
    /// Starts with this configuration on a free port, and waits until it listens.
    pub(super) async fn start(config: &str) -> Self {
        Self::start_in(config, &[]).await
    }

    /// The same, with these variables in its environment.
    pub(crate) async fn start_in(config: &str, env: &[(&str, &str)]) -> Self {
        let mut all = vec![("UNIGATE_LISTEN", "127.0.0.1:0")];
        all.extend_from_slice(env);
        Self::start_listening(config, &all).await
    }

    /// The same, listening where the configuration says.
    pub(super) async fn start_listening(config: &str, env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let mut child = command(&home).envs(env.iter().copied()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut program = Self { addr, home, child, said };
        let line = program.says("listening").await;
        let addr = line.split("addr=").nth(1).unwrap().split(' ').next().unwrap();
        let addr: SocketAddr = addr.parse().unwrap();
        program.addr = SocketAddr::from(([127, 0, 0, 1], addr.port()));
        program
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(self.addr)
    }

    /// The next line on stderr with these words.
    pub(super) async fn says(&mut self, words: &str) -> String {
        let mut before = String::new();
        let line = async {
            while let Some(line) = self.said.next_line().await.unwrap() {
                if line.contains(words) {
                    return line;
                }
                before.push_str(&line);
                before.push('\n');
            }
            panic!("it ended without saying {words:?}: {before}");
        };
        timeout(LIMIT, line).await.unwrap_or_else(|_| panic!("never said {words:?}"))
    }

    pub(super) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    async fn ended(&mut self) -> ExitStatus {
        timeout(LIMIT, self.child.wait()).await.expect("it ends").unwrap()
    }
}

fn command(home: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unigate"));
    let path = home.path();
    command.current_dir(path).env_clear().env("HOME", path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A configuration with this one Ollama.
pub(super) fn before(upstream: &Upstream) -> String {
    format!("[upstream.ollama]\nurl = \"http://{}\"\n", upstream.addr)
}

#[tokio::test]
async fn a_term_and_an_interrupt_end_it_with_status_0() {
    for signal in ["TERM", "INT"] {
        let upstream = Upstream::always(&["m"], Script::chat(&["hi"])).await;
        let mut program = Program::start(&before(&upstream)).await;
        program.signal(signal).await;
        assert_eq!(program.ended().await.code(), Some(0), "{signal}, right after the start");

        let mut program = Program::start(&before(&upstream)).await;
        let answer = program.client().post("/api/chat", &ask()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        program.signal(signal).await;
        assert_eq!(program.ended().await.code(), Some(0), "{signal}");
        let db = program.home.path().join(".local/share/unigate/requests.db");
        let db = rusqlite::Connection::open(db).unwrap();
        let count = "SELECT count(*) FROM request_logs WHERE path = '/api/chat'";
        let rows: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1, "the last rows are written");
    }
}

#[tokio::test]
async fn a_term_lets_a_stream_finish_and_a_second_one_is_quick() {
    for patient in [true, false] {
        let go = Arc::new(Notify::new());
        let mut script = Script::chat(&["one", "two"]);
        script.steps.insert(1, Step::Wait(go.clone()));
        let upstream = Upstream::always(&["m"], script).await;
        let mut program = Program::start(&before(&upstream)).await;
        let mut answer = program.client().open(Method::POST, "/api/chat", ask().to_string()).await;
        next(&mut answer).await.unwrap();
        program.signal("TERM").await;
        program.says("draining").await;
        if patient {
            go.notify_one();
            let mut rest = Vec::new();
            while let Some(data) = next(&mut answer).await {
                rest.extend(data);
            }
            assert!(String::from_utf8(rest).unwrap().contains("\"done\":true"));
        } else {
            program.signal("TERM").await;
            program.says("ending requests").await;
        }
        assert_eq!(program.ended().await.code(), Some(0), "patient: {patient}");
    }
}

#[tokio::test]
async fn an_address_in_use_ends_it_with_status_1_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let home = tempfile::tempdir().unwrap();
    let output = timeout(LIMIT, command(&home).env("UNIGATE_LISTEN", &addr).output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{addr} is in use")) && said.contains("--listen"), "{said}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_ends_it_with_status_64() {
    for (config, expected) in [
        ("[server\n", "config.toml:1"),
        ("[models]\ndefualt = \"x\"\n", "did you mean \"default\"?"),
        ("[server]\nkeys = [\"env:NO_SUCH_KEY\"]\n", "NO_SUCH_KEY"),
        ("[upstream.x]\nurl = \"ftp://x\"\nprovider = \"openai\"\n", "upstream.x"),
    ] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let output = timeout(LIMIT, command(&home).env("UNIGATE_LISTEN", "127.0.0.1:0").output())
            .await
            .unwrap()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{config}: {said}");
        assert!(said.contains(expected), "{config}: {said}");
    }
}
