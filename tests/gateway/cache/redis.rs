//! One cache for several gateways, in a Redis that is really there, or is not, or dies.

use super::{sampled, says, status, text};
use crate::support::{Gateway, Upstream, config};
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use unigate::config::SecretUrl;

/// A `redis-server` on a socket in a folder of its own: no port to collide with.
struct Redis {
    child: Child,
    folder: TempDir,
}

/// Tries of something that a loaded machine may be slow to do.
const TRIES: usize = 1000;

impl Redis {
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let started = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.path().join("redis.sock"))
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            assert!(std::env::var("CI").is_err(), "CI needs redis-server in PATH");
            writeln!(std::io::stderr(), "SKIPPED: redis-server is not in PATH").unwrap();
            return None;
        };
        let redis = Self { child, folder };
        for _ in 0..TRIES {
            if redis.entries().is_some() {
                return Some(redis);
            }
            pause().await;
        }
        panic!("redis-server does not answer");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// How many entries there are. Source: the inline commands of the Redis protocol.
    fn entries(&self) -> Option<usize> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.write_all(b"DBSIZE\r\n").ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        line.trim().strip_prefix(':')?.parse().ok()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Between two looks at something outside this process.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

async fn before(upstream: &Upstream, url: &str) -> Gateway {
    let mut config = config(&[("ollama", "ollama", upstream)]);
    config.cache.store = "redis".into();
    config.cache.redis = Some(SecretUrl::parse(url).unwrap());
    Gateway::start(config).await
}

#[tokio::test]
async fn two_gateways_share_what_one_of_them_was_told() {
    let Some(redis) = Redis::start().await else { return };
    let (one, other) =
        (Upstream::start(&["m"], says("one")).await, Upstream::start(&["m"], says("other")).await);
    let (first, second) = (before(&one, &redis.url()).await, before(&other, &redis.url()).await);
    let new = first.client().with("cache-control", "no-cache");
    // A look-up gives up soon, so that no client waits for Redis; a busy machine may need some tries.
    for _ in 0..TRIES {
        assert_eq!(text(&new.post("/api/chat", &sampled(false)).await), "one");
        for _ in 0..TRIES {
            if redis.entries() == Some(1) {
                break;
            }
            pause().await;
        }
        let answer = second.client().post("/api/chat", &sampled(false)).await;
        if (status(&answer), text(&answer).as_str()) == ("HIT", "one") {
            assert_eq!(answer.header("x-unigate-upstream"), "ollama");
            return;
        }
        pause().await;
    }
    panic!("the second gateway never saw the first one's answer");
}

#[tokio::test]
async fn a_redis_that_dies_under_load_fails_no_request() {
    let Some(mut redis) = Redis::start().await else { return };
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let gateway = before(&upstream, &redis.url()).await;
    let mut asking = tokio::task::JoinSet::new();
    for at in 0..60 {
        if at == 20 {
            redis.kill();
        }
        let client = gateway.client();
        let mut body = sampled(at % 2 == 0);
        // Some are asked again and some are new, before and after.
        body["options"] = serde_json::json!({ "seed": at % 10 });
        asking.spawn(async move { client.post("/api/chat", &body).await });
        if at % 5 == 0 {
            pause().await;
        }
    }
    while let Some(answer) = asking.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status.as_u16(), answer.whole), (200, true));
        assert_eq!(text(&answer), "hi");
    }
    let rows = gateway.stop().await;
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|row| row["ending"] == "complete"), "{rows:?}");
}

#[tokio::test]
async fn without_a_redis_at_the_start_requests_flow() {
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let gateway = before(&upstream, "redis+unix:///nowhere/redis.sock").await;
    for _ in 0..10 {
        let answer = gateway.client().post("/api/chat", &sampled(false)).await;
        assert_eq!((status(&answer), text(&answer).as_str()), ("MISS", "hi"));
    }
    assert_eq!(upstream.seen().len(), 10);
}
