//! Row O11: one process takes the place of another under load, on a socket that somebody else keeps.

use crate::rig::{Chaosd, End, Ledger, Setup, chat, ms, note, quantile, times};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(30);

/// Starts the program on this socket, as a service manager does: as descriptor 3, named by `LISTEN_FDS`.
async fn start(folder: &Path, socket: &TcpListener) -> Child {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --config config.toml 3<&0 0</dev/null",
    ]);
    command.arg(env!("CARGO_BIN_EXE_unigate")).current_dir(folder);
    command.env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin").kill_on_drop(true);
    let socket = OwnedFd::from(socket.try_clone().unwrap());
    command.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let listening = async {
        let mut before = String::new();
        while !before.contains("listening") {
            let read = said.read_line(&mut before).await.unwrap();
            assert!(read > 0, "it did not start: {before}");
        }
    };
    timeout(LIMIT, listening).await.expect("it starts");
    // What nobody reads would be dropped, but a pipe that is gone is an error.
    tokio::spawn(async move { said.read_to_end(&mut Vec::new()).await });
    child
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
}

fn rows(folder: &Path) -> usize {
    let path = folder.join(".local/share/unigate/requests.db");
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    db.busy_timeout(LIMIT).unwrap();
    let query = "SELECT count(*) FROM request_logs WHERE ending = 'complete'";
    db.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap() as usize
}

#[tokio::test]
async fn o11_restarts_under_load_refuse_nobody_and_fail_nothing() {
    note("O11", false, "did not get to its end");
    let up = Chaosd::ollama(&["m"]).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), Setup::ollama(&up).text()).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let mut child = start(folder.path(), &socket).await;
    let (over, ledger) = (Arc::new(AtomicBool::new(false)), Ledger::default());
    let load: Vec<_> = (0..6)
        .map(|worker| {
            let (over, ledger) = (over.clone(), ledger.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let body = chat("m", 1_000_000 * worker + took.len(), true);
                    // Each on a connection of its own; `connect` itself fails the test when it is refused.
                    let answer = ledger.ask(addr, "/v1/chat/completions", &[], &body).await;
                    assert_eq!(answer.end, End::Complete, "{} {}", answer.status, answer.text());
                    took.push(answer.took);
                }
                took
            })
        })
        .collect();
    let restarts = times(10, 500);
    for nth in 0..restarts {
        if nth % 2 == 0 {
            // One after the other, as a service manager does it.
            signal(&child, "TERM").await;
            let status = timeout(LIMIT, child.wait()).await.expect("it ends").unwrap();
            assert_eq!(status.code(), Some(0));
            child = start(folder.path(), &socket).await;
        } else {
            // The new one first.
            let mut old = std::mem::replace(&mut child, start(folder.path(), &socket).await);
            signal(&old, "TERM").await;
            let status = timeout(LIMIT, old.wait()).await.expect("it ends").unwrap();
            assert_eq!(status.code(), Some(0));
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for worker in load {
        took.extend(worker.await.unwrap());
    }
    signal(&child, "TERM").await;
    assert_eq!(timeout(LIMIT, child.wait()).await.unwrap().unwrap().code(), Some(0));
    assert_eq!(rows(folder.path()), took.len(), "a row for each");
    let (count, longest) = (took.len(), took.iter().max().copied().unwrap_or_default());
    let p50 = ms(quantile(&mut took, 0.5));
    note(
        "O11",
        true,
        &format!(
            "{restarts} restarts, {count} requests: 0 refused, 0 failed; p50 {p50}, longest {}",
            ms(longest)
        ),
    );
}

#[tokio::test]
async fn o11_a_socket_that_others_reach_needs_a_key_wherever_it_was_to_listen() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let socket = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], 0))).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_FDS=1 exec \"$0\" serve --config config.toml 3<&0 0</dev/null"]);
    command.arg(env!("CARGO_BIN_EXE_unigate")).current_dir(folder.path());
    command.env_clear().env("HOME", folder.path()).kill_on_drop(true);
    command.stdin(Stdio::from(OwnedFd::from(socket)));
    let output = timeout(LIMIT, command.output()).await.expect("it does not start").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("keys"), "{said}");
    note("O11", true, "a socket that others reach does not start without a key");
}
