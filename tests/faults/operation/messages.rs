//! Row O9: nobody reads what the program says.

use crate::rig::{Chaosd, End, Ledger, Setup, chat, ms, note, quantile};
use std::{fs, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::timeout,
};

#[tokio::test]
async fn o9_requests_flow_while_nobody_reads_its_messages_and_it_stops_in_time() {
    note("O9", false, "did not get to its end");
    let up = Chaosd::ollama(&["m"]).await;
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::ollama(&up).toml("[log]\nlevel = \"trace\"\n");
    fs::write(folder.path().join("config.toml"), setup.text()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_unigate"));
    command.args(["serve", "--config", "config.toml"]).current_dir(folder.path());
    command.env_clear().env("HOME", folder.path()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Kept, and read no further than this.
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let addr = loop {
        let line = said.next_line().await.unwrap().expect("it starts");
        if line.contains("listening") {
            let addr = line.split("addr=").nth(1).and_then(|rest| rest.split(' ').next());
            break addr.unwrap().parse().unwrap();
        }
    };
    let ledger = Ledger::default();
    let dropped = async || {
        let text = ledger.get(addr, "/metrics", &[]).await.text();
        let line =
            text.lines().find_map(|line| line.strip_prefix("unigate_messages_dropped_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let (mut took, mut nth) = (Vec::new(), 0);
    while dropped().await == 0 {
        // Each of these is worth a few lines.
        for _ in 0..100 {
            let mut noise = TcpStream::connect(addr).await.unwrap();
            let _ = noise.write_all(b"NOISE\r\n\r\n").await;
        }
        let answer = ledger.ask(addr, "/api/chat", &[], &chat("m", nth, true)).await;
        assert_eq!(answer.end, End::Complete);
        nth += 1;
        assert!(nth < 500, "it says too little for this test");
    }
    for more in 0..50 {
        let answer = ledger.ask(addr, "/api/chat", &[], &chat("m", nth + more, true)).await;
        assert_eq!(answer.end, End::Complete, "with a full pipe");
        took.push(answer.took);
    }
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
    let status = timeout(Duration::from_secs(20), child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
    let p99 = ms(quantile(&mut took, 0.99));
    note("O9", true, &format!("pipe full, messages dropped: 50 answers, p99 {p99}"));
    drop(said);
}
