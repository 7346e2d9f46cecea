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
        let mut it = cmd(command[0]);
        it.arg(&command[1..]);
        self.send(&it)
    }

    fn set(&self, name: &str, value: &[u8]) {
        self.send(cmd("SET").arg(name).arg(value));
    }

    fn send(&self, command: &::redis::Cmd) -> ::redis::Value {
        let mut connection = Client::open(self.url.as_str()).unwrap().get_connection().unwrap();
        command.query(&mut connection).unwrap()
    }

    async fn is_gone(&self, name: &str) {
        for _ in 0..1000 {
            if self.run(&["EXISTS", name]) == ::redis::Value::Int(0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{name} is still there");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
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
    let counts = RedisHealth { hits: 1, misses: 2, written: 1, ..RedisHealth::default() };
    assert_eq!(store.health(), counts);
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
async fn what_was_not_written_under_its_key_is_a_miss_and_is_removed() {
    let Some(server) = Server::start().await else { return };
    let (store, a, b) = (server.store(), Key::of(&[b"a"]), Key::of(&[b"b"]));
    let (name, other) = (format!("unigate:{a}"), format!("unigate:{b}"));
    store.put(b, entry(60_000)).await;
    let good: Vec<u8> = ::redis::from_redis_value(server.run(&["GET", &other])).unwrap();
    let old = [a.as_bytes().as_slice(), b"UGC\x01", &[0; 60]].concat();
    let mut turned = good.clone();
    turned[90] ^= 4;
    let huge = vec![7; 3 << 20];
    for (what, value) in [
        ("nonsense", b"nonsense".as_slice()),
        ("another's", &good),
        ("an old layout", &old),
        ("a bit turned", &turned),
        ("cut", &good[..good.len() - 1]),
        ("huge", &huge),
    ] {
        let before = store.health().garbage;
        server.set(&name, value);
        assert_eq!(store.get(&a).await, None, "{what}");
        assert_eq!(store.health().garbage, before + 1, "{what}");
        server.is_gone(&name).await;
    }
    server.run(&["RPUSH", &name, "a list"]);
    for _ in 0..FEW {
        assert_eq!(store.get(&a).await, None);
    }
    server.is_gone(&name).await;
    assert!(!store.health().failing, "what stands under one key is no outage");
    assert!(store.get(&b).await.is_some());
}

#[tokio::test]
async fn no_more_of_a_value_is_fetched_than_would_have_been_written() {
    let Some(server) = Server::start().await else { return };
    let (store, key) = (server.store(), Key::of(&[b"a"]));
    server.set(&format!("unigate:{key}"), &vec![7; 64 << 20]);
    server.run(&["CONFIG", "RESETSTAT"]);
    assert_eq!(store.get(&key).await, None);
    let info: String = ::redis::from_redis_value(server.run(&["INFO", "stats"])).unwrap();
    let sent = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    let sent: u64 = sent.unwrap().trim().parse().unwrap();
    assert!(sent < 2 << 20, "{sent}");
}

#[tokio::test]
async fn with_a_secret_only_who_knows_it_is_believed() {
    let Some(server) = Server::start().await else { return };
    let key = Key::of(&[b"a"]);
    let sealed = |secret: &[u8]| server.store().sealed(Seal::new(secret));
    server.store().put(key, entry(60_000)).await;
    assert_eq!(sealed(b"ours").get(&key).await, None);
    sealed(b"ours").put(key, entry(60_000)).await;
    assert!(sealed(b"ours").get(&key).await.is_some());
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
    let before = store.health();
    assert!(before.failing);
    assert_eq!(store.get(&key).await, None);
    assert_eq!(store.health().skipped, before.skipped + 1, "nothing is sent during an outage");
    assert_eq!(store.health().failures, before.failures);

    let socket = server.url.trim_start_matches("redis+unix://").to_owned();
    server.child = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket", &socket])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until(async || {
        drop(store.get(&key).await);
        !store.health().failing
    })
    .await;
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
    let health = store.health();
    assert!(health.failing);
    assert!(health.failures + health.timeouts <= 5);
}

#[test]
fn an_address_that_is_none_is_an_error() {
    assert!(RedisStore::new("not an address", RedisOptions::default()).is_err());
}

#[tokio::test]
async fn a_server_that_is_frozen_costs_three_waits_and_then_nothing() {
    let Some(server) = Server::start().await else { return };
    let (store, key) = (server.store_with(Duration::from_millis(100)), Key::of(&[b"a"]));
    server.store().put(key, entry(60_000)).await;
    server.signal("-STOP");
    for _ in 0..FEW {
        assert_eq!(store.get(&key).await, None);
    }
    let health = store.health();
    assert_eq!((health.failing, health.timeouts, health.skipped), (true, 3, FEW as u64 - 3));
    server.signal("-CONT");
    until(async || store.get(&key).await.is_some()).await;
    assert!(!store.health().failing);
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_still_read() {
    let Some(server) = Server::start().await else { return };
    let kept = Key::of(&[b"kept"]);
    for (refuse, allow) in [
        (&["REPLICAOF", "127.0.0.1", "1"][..], &["REPLICAOF", "NO", "ONE"][..]),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (&["ACL", "SETUSER", "default", "-set"], &["ACL", "SETUSER", "default", "+set"]),
    ] {
        let store = server.store();
        store.put(kept, entry(60_000)).await;
        server.run(refuse);
        for n in 0..FEW {
            store.put(Key::of(&[b"new", &[n as u8]]), entry(60_000)).await;
            assert!(store.get(&kept).await.is_some(), "{refuse:?}");
        }
        let health = store.health();
        let seen = (health.failing, health.read_only, health.failures, health.skipped);
        assert_eq!(seen, (false, true, 3, FEW as u64 - 3), "{refuse:?}");
        server.run(allow);
        until(async || {
            store.put(Key::of(&[b"later"]), entry(60_000)).await;
            !store.health().read_only
        })
        .await;
        assert!(store.get(&Key::of(&[b"later"])).await.is_some(), "{refuse:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_not_asked_again_and_again() {
    let Some(server) = Server::start().await else { return };
    let key = Key::of(&[b"a"]);
    for (deny, allow) in [
        // Whoever may only say `PING` is no better off.
        (
            &["ACL", "SETUSER", "default", "-getrange"][..],
            &["ACL", "SETUSER", "default", "+getrange"][..],
        ),
        (
            &["ACL", "SETUSER", "default", "resetkeys", "~other:*"],
            &["ACL", "SETUSER", "default", "~*"],
        ),
    ] {
        let store = server.store();
        store.put(key, entry(60_000)).await;
        server.run(deny);
        for _ in 0..FEW {
            assert_eq!(store.get(&key).await, None, "{deny:?}");
        }
        let health = store.health();
        assert_eq!((health.failing, health.failures), (true, 5), "{deny:?}");
        server.run(allow);
        until(async || store.get(&key).await.is_some()).await;
    }
    server.run(&["CONFIG", "SET", "requirepass", "sesame"]);
    let store = server.store();
    for _ in 0..FEW {
        assert_eq!(store.get(&key).await, None);
    }
    assert!(store.health().failing);
}

#[tokio::test]
async fn look_ups_that_are_given_up_never_give_their_answer_to_another() {
    let Some(server) = Server::start().await else { return };
    let store = server.store();
    let body = |n: usize| Bytes::from(format!("answer {n}").repeat(1 + n % 50));
    for n in 0..KEYS {
        store.put(numbered(n), Entry { body: body(n), ..entry(60_000) }).await;
    }
    let mut storm = tokio::task::JoinSet::new();
    for worker in 0..16_usize {
        let store = store.clone();
        storm.spawn(async move {
            let mut answered = 0;
            for turn in 0..STORM / 16 {
                let n = (worker * 31 + turn * 7) % KEYS;
                let key = numbered(n);
                let get = store.get(&key);
                // Every second one is dropped at another moment of its life.
                let patience = Duration::from_micros(((turn * 13 + worker * 29) % 400) as u64);
                let found = if turn % 2 == 0 {
                    tokio::time::timeout(patience, get).await.ok().flatten()
                } else {
                    get.await
                };
                if let Some(entry) = found {
                    assert_eq!(entry.body, body(n));
                    answered += 1;
                }
            }
            answered
        });
    }
    let answered: usize = storm.join_all().await.into_iter().sum();
    assert!(answered >= STORM / 2, "{answered}");
    assert_eq!(store.health().garbage, 0);
}

const KEYS: usize = 64;
const STORM: usize = 10_000;

fn numbered(n: usize) -> Key {
    Key::of(&[&n.to_be_bytes()])
}

// The clock of the breaker is real here: pauses of a second pass.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(60), async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}
