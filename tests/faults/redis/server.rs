//! A `redis-server` of the row's own, which can be hurt.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Killed when dropped.
pub(super) struct Redis {
    child: Option<Child>,
    folder: TempDir,
    /// Where it listens besides its socket.
    pub(super) tcp: SocketAddr,
}

/// What Redis said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Text(Vec<u8>),
    Number(i64),
    Nothing,
    List(Vec<Self>),
    Error(String),
}

/// So many looks at something outside this process, some milliseconds apart.
const LOOKS: usize = 3000;

impl Redis {
    /// `None` where there is no `redis-server`, which CI must have.
    pub(super) async fn start() -> Option<Self> {
        let mut redis = Self::stopped();
        if let Err(error) = redis.try_up(&[]) {
            assert!(std::env::var_os("CI").is_none(), "CI needs redis-server in PATH: {error}");
            // Not `eprintln!`, which the harness keeps to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: redis-server is not in PATH");
            return None;
        }
        redis.answers().await;
        Some(redis)
    }

    /// A place for one that does not run yet.
    pub(super) fn stopped() -> Self {
        // Freed at once: only this server will be told of it.
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { child: None, folder: tempfile::tempdir().unwrap(), tcp }
    }

    /// Starts it, again or for the first time, with more settings, and waits until it answers.
    pub(super) async fn up(&mut self, settings: &[&str]) {
        self.begin(settings);
        self.answers().await;
    }

    /// Starts it, and does not wait.
    pub(super) fn begin(&mut self, settings: &[&str]) {
        self.try_up(settings).unwrap();
    }

    fn try_up(&mut self, settings: &[&str]) -> std::io::Result<()> {
        assert!(self.child.is_none(), "it runs");
        let child = Command::new("redis-server")
            .args(["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"])
            .args(["--bind", "127.0.0.1", "--port", &self.tcp.port().to_string()])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .args(settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    async fn answers(&self) {
        for _ in 0..LOOKS {
            if self.try_say(&[b"PING"]).is_ok_and(|said| said == Said::Text(b"PONG".to_vec())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        panic!("redis-server does not answer");
    }

    /// `SIGKILL`.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `STOP` or `CONT`.
    pub(super) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(super) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Says a command that must not fail.
    pub(super) fn say(&self, words: &[&str]) -> Said {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.say_bytes(&words)
    }

    /// The same in bytes.
    pub(super) fn say_bytes(&self, words: &[&[u8]]) -> Said {
        match self.try_say(words).unwrap() {
            Said::Error(error) => panic!("{error}"),
            said => said,
        }
    }

    /// Makes it do nothing for a while; to be called where waiting is allowed.
    pub(super) fn sleeper(&self, time: Duration) -> impl FnOnce() + Send + use<> {
        let socket = self.socket();
        move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            let _ = write!(stream, "DEBUG SLEEP {}\r\n", time.as_secs_f64());
            let _ = stream.read(&mut [0; 16]);
        }
    }

    fn try_say(&self, words: &[&[u8]]) -> std::io::Result<Said> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write(&mut stream, words)?;
        read(&mut BufReader::new(stream))
    }

    /// The same for one who must say a password first.
    pub(super) fn say_as(&self, password: &str, words: &[&str]) -> Said {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        write(&mut stream, &[b"AUTH", password.as_bytes()]).unwrap();
        assert_eq!(read(&mut answers).unwrap(), Said::Text(b"OK".to_vec()));
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        write(&mut stream, &words).unwrap();
        read(&mut answers).unwrap()
    }

    /// The names of everything in it.
    pub(super) fn names(&self) -> Vec<String> {
        let Said::List(names) = self.say(&["KEYS", "*"]) else { panic!("no list") };
        let text = |said| match said {
            Said::Text(name) => String::from_utf8(name).unwrap(),
            other => panic!("{other:?}"),
        };
        names.into_iter().map(text).collect()
    }

    pub(super) fn value(&self, name: &str) -> Option<Vec<u8>> {
        match self.say(&["GET", name]) {
            Said::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Waits until there are so many entries.
    pub(super) async fn has(&self, count: i64) {
        for _ in 0..LOOKS {
            if self.say(&["DBSIZE"]) == Said::Number(count) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        panic!("there are never {count} entries: {:?}", self.names());
    }

    /// Waits until something else stands there: what was asked for again was written again. A write may come to nothing
    /// on a loaded machine; then what is there stays.
    pub(super) async fn heals(&self, name: &str, value: &[u8]) {
        for _ in 0..200 {
            if self.value(name).is_some_and(|now| now != value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A number of `INFO`.
    pub(super) fn info(&self, section: &str, name: &str) -> u64 {
        self.info_text(section, name).parse().unwrap()
    }

    /// Waits until `INFO` says this.
    pub(super) async fn info_is(&self, section: &str, name: &str, value: &str) {
        for _ in 0..LOOKS {
            if self.info_text(section, name) == value {
                return;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        panic!("{name} never is {value}");
    }

    fn info_text(&self, section: &str, name: &str) -> String {
        let Said::Text(info) = self.say(&["INFO", section]) else { panic!("no text") };
        let info = String::from_utf8(info).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

// Source: the Redis serialization protocol specification, RESP2.
fn write(to: &mut impl Write, words: &[&[u8]]) -> std::io::Result<()> {
    let mut command = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        command.extend_from_slice(word);
        command.extend_from_slice(b"\r\n");
    }
    to.write_all(&command)
}

fn read(from: &mut impl BufRead) -> std::io::Result<Said> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let bad = || std::io::Error::other("not Redis");
    let text = line.trim_end().get(1..).ok_or_else(bad)?;
    let number = || text.parse::<i64>().map_err(|_| bad());
    Ok(match line.as_bytes()[0] {
        b'+' => Said::Text(text.as_bytes().to_vec()),
        b'-' => Said::Error(text.to_owned()),
        b':' => Said::Number(number()?),
        b'$' if number()? < 0 => Said::Nothing,
        b'$' => {
            let mut value = vec![0; number()? as usize + 2];
            from.read_exact(&mut value)?;
            value.truncate(value.len() - 2);
            Said::Text(value)
        }
        b'*' => Said::List((0..number()?).map(|_| read(from)).collect::<Result<_, _>>()?),
        _ => return Err(bad()),
    })
}
