use super::*;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

struct Server {
    child: Child,
    _folder: tempfile::TempDir,
    url: String,
}

impl Server {
    // On a socket in a folder of its own: no port to collide with.
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let started = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            assert!(std::env::var("CI").is_err(), "CI needs redis-server in PATH");
            writeln!(std::io::stderr(), "SKIPPED: redis-server is not in PATH").unwrap();
            return None;
        };
        let url = format!("redis+unix://{}", socket.display());
        let server = Self { child, _folder: folder, url };
        let client = Client::open(server.url.as_str()).unwrap();
        for _ in 0..1000 {
            if client.get_connection().is_ok() {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("redis-server does not answer");
    }

    // A loaded machine is no outage.
    fn store(&self) -> RedisStore {
        self.store_with(Duration::from_secs(10))
    }

    fn store_with(&self, patient: Duration) -> RedisStore {
        let options =
            RedisOptions { get_timeout: patient, put_timeout: patient, ..RedisOptions::default() };
        RedisStore::new(&self.url, options).unwrap()
    }

    fn run(&self, command: &[&str]) -> ::redis::Value {
        let mut connection = Client::open(self.url.as_str()).unwrap().get_connection().unwrap();
        let mut it = cmd(command[0]);
        it.arg(&command[1..]);
        it.query(&mut connection).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn entry(ttl_ms: u64) -> Entry {
    Entry {
        status: 200,
        content_type: Some("application/json".into()),
        body: Bytes::from_static(b"{\"hello\":1}"),
        stored_at_ms: crate::cache::now_ms(),
        ttl_ms,
        meta: "m".into(),
    }
}

#[tokio::test]
async fn an_entry_goes_to_redis_and_back() {
    let Some(server) = Server::start().await else { return };
    let (store, key) = (server.store(), Key::of(&[b"a"]));
    assert_eq!(store.get(&key).await, None);
    store.put(key, entry(60_000)).await;
    assert_eq!(store.get(&key).await.unwrap().body, entry(1).body);
    assert_eq!(store.get(&Key::of(&[b"b"])).await, None);
    assert_eq!(store.counts(), RedisCounts::default());
}

#[tokio::test]
async fn an_entry_has_a_time_to_live_in_redis_and_the_prefix_in_its_name() {
    let Some(server) = Server::start().await else { return };
    let (store, key) = (server.store(), Key::of(&[b"a"]));
    store.put(key, entry(60_000)).await;
    let ttl: i64 =
        ::redis::from_redis_value(server.run(&["PTTL", &format!("unigate:{key}")])).unwrap();
    assert!((1..=60_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn garbage_and_the_value_of_another_key_are_misses() {
    let Some(server) = Server::start().await else { return };
    let (store, a, b) = (server.store(), Key::of(&[b"a"]), Key::of(&[b"b"]));
    server.run(&["SET", &format!("unigate:{a}"), "nonsense"]);
    assert_eq!(store.get(&a).await, None);
    store.put(b, entry(60_000)).await;
    server.run(&["COPY", &format!("unigate:{b}"), &format!("unigate:{a}"), "REPLACE"]);
    assert_eq!(store.get(&a).await, None);
    assert_eq!(store.counts().garbage, 2);
}

#[tokio::test]
async fn a_value_over_the_cap_is_not_written() {
    let Some(server) = Server::start().await else { return };
    let options = RedisOptions { max_value_bytes: 20, ..RedisOptions::default() };
    let store = RedisStore::new(&server.url, options).unwrap();
    store.put(Key::of(&[b"a"]), entry(60_000)).await;
    let keys: i64 = ::redis::from_redis_value(server.run(&["DBSIZE"])).unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_noticed_without_an_error() {
    let Some(mut server) = Server::start().await else { return };
    let (store, key) = (server.store_with(Duration::from_millis(300)), Key::of(&[b"a"]));
    store.put(key, entry(60_000)).await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    for _ in 0..FEW {
        assert_eq!(store.get(&key).await, None);
    }
    assert!(store.is_failing());
    let before = store.counts();
    assert_eq!(store.get(&key).await, None);
    assert_eq!(store.counts().skipped, before.skipped + 1, "nothing is sent during an outage");
    assert_eq!(store.counts().failures, before.failures);

    let socket = server.url.trim_start_matches("redis+unix://").to_owned();
    server.child = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket", &socket])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The clock of the breaker is the test's; the socket's is real.
    tokio::time::timeout(Duration::from_secs(60), async {
        while store.is_failing() {
            drop(store.get(&key).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    store.put(key, entry(60_000)).await;
    assert!(store.get(&key).await.is_some());
}

const FEW: usize = 8;

#[tokio::test]
async fn a_start_without_redis_works_and_every_look_up_is_a_miss() {
    let store = RedisStore::new("redis+unix:///nonexistent/redis.sock", RedisOptions::default());
    let store = store.unwrap();
    for n in 0..FEW {
        assert_eq!(store.get(&Key::of(&[&[n as u8]])).await, None);
        store.put(Key::of(&[b"x"]), entry(60_000)).await;
    }
    assert!(store.is_failing());
    assert!(store.counts().failures + store.counts().timeouts <= 5);
}

#[test]
fn an_address_that_is_none_is_an_error() {
    assert!(RedisStore::new("not an address", RedisOptions::default()).is_err());
}
