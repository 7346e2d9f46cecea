//! Bodies that would take more memory than there is.

use crate::rig::{Act, Chaosd, End, Ledger, Row, Script, Setup, chat, note, until};
use serde_json::json;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

#[tokio::test]
async fn o4_a_body_that_finds_no_room_is_refused_before_it_is_read_and_room_comes_back() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup =
        Setup::ollama(&up).toml("[server]\nmax_buffered_mb = 1\nmax_body_bytes = 1048576\n");
    let row = Row::start("O4", setup).await;
    let head = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        )
    };
    let mut body = chat("m", 1, true).to_string();
    body.push_str(&" ".repeat(1_000_000 - body.len()));
    // It is told to go on once its body is asked for, and then has its room.
    let asks =
        head("/api/chat", body.len()).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    let mut first = row.raw(asks.as_bytes()).await.uncounted();
    first.read().await;
    assert_eq!(first.entry().status, 100, "{}", first.entry().head);
    for path in ["/api/chat", "/v1/chat/completions", "/v1/messages"] {
        let refused = row.raw(head(path, 60_000).as_bytes()).await.finish().await;
        assert_eq!(refused.status, 503, "{path}: {}", refused.head);
        assert_eq!(refused.header("retry-after"), "1", "{path}");
        assert!(refused.json().get("error").is_some(), "{path}: {}", refused.text());
    }
    let health = row.get("/health").await;
    assert_eq!(health.status, 200, "who asks how it is is told");
    let small = row.ask("/api/chat", &chat("m", 2, true)).await;
    assert_eq!(small.end, End::Complete, "what has room is served: {}", small.text());
    first.stream().write_all(body.as_bytes()).await.unwrap();
    assert!(first.until("\"done\":true").await);
    drop(first);
    let mut again = row.raw(head("/api/chat", body.len()).as_bytes()).await;
    again.stream().write_all(body.as_bytes()).await.unwrap();
    assert_eq!(again.finish().await.end, End::Complete, "the room is there again");
    const WHY: &str = "the ledger takes the leave to go on for the first one's answer";
    row.waive("I1", WHY).waive("I2", WHY).check().await;
}

/// A control group with a limit of memory; gone when dropped.
struct Group(PathBuf);

impl Group {
    /// `None` where none can be made.
    fn new(bytes: u64) -> Option<Self> {
        let name = format!("unigate-o4-{}", std::process::id());
        let one = Path::new("/sys/fs/cgroup/memory").join(&name);
        let two = Path::new("/sys/fs/cgroup").join(&name);
        for (folder, file) in [(one, "memory.limit_in_bytes"), (two, "memory.max")] {
            if folder.parent().is_some_and(Path::exists) && fs::create_dir(&folder).is_ok() {
                let group = Self(folder);
                if fs::write(group.0.join(file), bytes.to_string()).is_ok() {
                    return Some(group);
                }
            }
        }
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn o4_near_the_limit_of_its_group_requests_are_refused_and_the_kernel_ends_nothing() {
    note("O4", false, "did not get to its end");
    let Some(group) = Group::new(160 << 20) else {
        return note("O4", true, "no control group can be made here; the first test stands in");
    };
    let up = Chaosd::ollama(&["m"]).await;
    // Whoever is asked says nothing, so that bodies stay where they are.
    up.always(Script::just(Act::Stall));
    let setup =
        Setup::ollama(&up).toml("[server]\nmax_buffered_mb = 100000\n[log]\nlevel = \"info\"\n");
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.toml"), setup.text()).unwrap();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("echo $$ > \"$0/cgroup.procs\" && exec \"$1\" serve --config config.toml");
    command.arg(&group.0).arg(env!("CARGO_BIN_EXE_unigate"));
    command
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let addr: SocketAddr = loop {
        let line = timeout(Duration::from_secs(20), said.next_line()).await.unwrap().unwrap();
        let line = line.expect("it starts");
        if let Some(addr) = line.split("addr=").nth(1).and_then(|rest| rest.split(' ').next()) {
            break addr.parse().unwrap();
        }
    };
    let rest = tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
    let ledger = Ledger::default();
    let big =
        json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(4 << 20) }] });
    let mut waiting = Vec::new();
    let mut refused = 0;
    // Far more than there is, one after the other, as far as each is taken.
    for nth in 0..100 {
        let calls = up.calls().len();
        let mut open = ledger.open(addr, "/api/chat", &[], &big).await;
        let taken = async {
            until("it upstream", || up.calls().len() > calls).await;
        };
        let answered = async { while open.entry().status == 0 && open.read().await {} };
        tokio::select! {
            () = taken => waiting.push(open),
            () = answered => {
                assert_eq!(open.entry().status, 503, "{nth}: {}", open.entry().head);
                refused += 1;
            }
        }
        if refused == 20 {
            break;
        }
    }
    assert!(refused == 20 && waiting.len() >= 5, "{refused} refused, {} taken", waiting.len());
    assert!(child.try_wait().unwrap().is_none(), "it was ended");
    let health = ledger.get(addr, "/health", &[]).await;
    assert_eq!(health.status, 200);
    let taken = waiting.len();
    drop(waiting);
    up.sane();
    let begun = std::time::Instant::now();
    loop {
        let again = ledger.ask(addr, "/api/chat", &[], &chat("m", 1, true)).await;
        if again.end == End::Complete {
            break;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
        let rss = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(10), "it never recovers: {rss}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    note(
        "O4",
        true,
        &format!("160 MiB: {taken} bodies of 4 MiB taken, then {refused} refused; alive"),
    );
    child.kill().await.unwrap();
    rest.abort();
}
