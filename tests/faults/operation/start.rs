//! Starts that cannot succeed.

use crate::rig::note;
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, process::Command, time::timeout};

#[tokio::test]
async fn o10_a_start_that_cannot_succeed_says_why_and_is_over_at_once() {
    note("O10", false, "did not get to its end");
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let mut slowest = Duration::ZERO;
    for (what, listen, config, code, words) in [
        ("a port in use", taken.as_str(), "", 1, "is in use"),
        // An address for documentation, RFC 5737, which is no machine's.
        (
            "an address of another machine",
            "192.0.2.1:0",
            "[server]\nkeys = [\"env:KEY\"]\n",
            1,
            "cannot listen on",
        ),
        ("no address", "nonsense", "", 64, "no address and port"),
        ("open to others without a key", "0.0.0.0:0", "", 64, "server.keys is empty"),
        ("half a file", "127.0.0.1:0", "[server\n", 64, "config.toml:1"),
        (
            "a key file that is missing",
            "127.0.0.1:0",
            "[server]\nkeys = [\"file:/no/such/folder/key\"]\n",
            64,
            "/no/such/folder/key",
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_unigate"));
        command.args(["serve", "--config", "config.toml", "--listen", listen]);
        command.current_dir(home.path()).env_clear().env("HOME", home.path()).env("KEY", "k");
        command.stdin(Stdio::null()).kill_on_drop(true);
        let begun = Instant::now();
        let run = timeout(Duration::from_secs(20), command.output());
        let run = run.await.unwrap_or_else(|_| panic!("{what}: it runs")).unwrap();
        slowest = slowest.max(begun.elapsed());
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{what}: {said}");
        assert!(said.contains(words), "{what}: {said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
    // A second, on a machine of its own.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    note("O10", true, &format!("the slowest after {slowest:?}"));
}

#[tokio::test]
async fn o10_a_file_that_is_not_there_is_told() {
    note("O10", false, "did not get to its end");
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_unigate"));
    command.args(["serve", "--config", "no/such/config.toml", "--listen", "127.0.0.1:0"]);
    command.current_dir(home.path()).env_clear().env("HOME", home.path());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let run = timeout(Duration::from_secs(20), command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_ne!(run.status.code(), Some(0), "{said}");
    assert!(said.contains("no/such/config.toml"), "{said}");
    note("O10", true, "");
}
