use super::answer::tell;
use super::*;
use crate::body::Ending;
use crate::testing::Step::{Data, Error as Breaks, Pending};
use crate::testing::{Script, play};
use http::{HeaderMap, StatusCode, response};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::{Service, ServiceExt, service_fn};

#[derive(Clone, Debug, Default)]
struct Shelf {
    entries: Arc<Mutex<HashMap<Key, Entry>>>,
}

impl Store for Shelf {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>> {
        let entry = self.entries.lock().unwrap().get(key).cloned();
        Box::pin(std::future::ready(entry))
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()> {
        self.entries.lock().unwrap().insert(key, entry);
        Box::pin(std::future::ready(()))
    }
}

impl Shelf {
    // Writes are tasks on this test's only thread: each yield lets them go on.
    async fn len(&self) -> usize {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.entries.lock().unwrap().len()
    }
}

/// The key is the path; the query says what to do.
#[derive(Clone, Debug)]
struct ByPath;

#[derive(Debug)]
struct Ok200;

impl<B> Policy<B> for ByPath {
    type Fill = Ok200;

    fn plan(&self, request: &Request<B>) -> Option<Plan> {
        let query = request.uri().query().unwrap_or_default();
        (query != "bypass").then(|| Plan {
            key: Key::of(&[request.uri().path().as_bytes()]),
            read: query != "refresh",
            write: query != "no-store",
            ttl: Duration::from_secs(60),
            max_age: (query == "new").then_some(Duration::from_secs(5)),
        })
    }

    fn fill(&self, _: &Request<B>) -> Ok200 {
        Ok200
    }

    fn replay(&self, _: &Request<B>, entry: &Entry, _: Duration) -> Option<Response<Bytes>> {
        Some(Response::new(entry.body.clone()))
    }
}

impl Fill for Ok200 {
    fn worth(&mut self, head: &response::Parts) -> bool {
        head.status == StatusCode::OK
    }

    fn keep(self, body: Bytes) -> Option<(Bytes, Arc<str>)> {
        (!body.starts_with(b"error")).then(|| (body, "meta".into()))
    }
}

type Answer = Response<Cached<Script, Filler<Shelf, Ok200>>>;

struct House {
    layer: CacheLayer<Shelf, ByPath>,
    shelf: Shelf,
    calls: Arc<AtomicUsize>,
}

fn house() -> House {
    let shelf = Shelf::default();
    let layer = CacheLayer::new(shelf.clone(), ByPath).max_entry_bytes(10);
    House { layer, shelf, calls: Arc::default() }
}

impl House {
    async fn send(&self, uri: &str, status: u16, script: Vec<crate::testing::Step>) -> Answer {
        let script = Arc::new(Mutex::new(Some(script)));
        let calls = Arc::clone(&self.calls);
        let inner = service_fn(move |_: Request<()>| {
            calls.fetch_add(1, Ordering::Relaxed);
            let script = Script::new(script.lock().unwrap().take().unwrap());
            let answer = Response::builder().status(status).header("content-type", "text/plain");
            async move { Ok::<_, Infallible>(answer.body(script).unwrap()) }
        });
        let request = Request::get(uri).body(()).unwrap();
        self.layer.layer(inner).oneshot(request).await.unwrap()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn told(answer: &Answer) -> (&'static str, &str) {
    let header = answer.headers().get("cache-status").map_or("", |value| value.to_str().unwrap());
    (CacheStatus::of(answer).unwrap().as_str(), header)
}

#[tokio::test]
async fn a_miss_is_filled_while_it_streams_and_then_is_a_hit() {
    let house = house();
    let answer = house.send("/a", 200, vec![Data("he"), Pending, Data("llo")]).await;
    assert_eq!(told(&answer), ("miss", "unigate; fwd=miss; stored"));
    assert_eq!(CacheStatus::of(&answer), Some(CacheStatus::Miss { stored: true }));
    assert_eq!(play(answer.into_body()), "he|llo", "frames pass as they come");
    assert_eq!(house.shelf.len().await, 1);

    let answer = house.send("/a", 200, vec![Data("other")]).await;
    assert_eq!(told(&answer).0, "hit");
    assert!(told(&answer).1.starts_with("unigate; hit; ttl="), "{:?}", told(&answer));
    assert_eq!(answer.headers()["age"], "0");
    assert_eq!(answer.body().size_hint().exact(), Some(5));
    assert_eq!(play(answer.into_body()), "hello");
    assert_eq!(house.calls(), 1);
}

#[tokio::test]
async fn a_kept_entry_has_status_type_times_and_meta() {
    let house = house();
    play(house.send("/a", 200, vec![Data("x")]).await.into_body());
    assert_eq!(house.shelf.len().await, 1);
    let entry = house.shelf.get(&Key::of(&[b"/a"])).await.unwrap();
    assert_eq!((entry.status, entry.ttl_ms, &*entry.meta), (200, 60_000, "meta"));
    assert_eq!(entry.content_type.as_deref(), Some("text/plain"));
    assert!(now_ms() - entry.stored_at_ms < 60_000);
}

#[tokio::test]
async fn what_broke_off_was_abandoned_or_holds_an_error_is_not_kept() {
    let house = house();
    play(house.send("/a", 200, vec![Data("a"), Breaks]).await.into_body());
    drop(house.send("/b", 200, vec![Data("a"), Data("b")]).await);
    play(house.send("/c", 200, vec![Data("error")]).await.into_body());
    assert_eq!(house.shelf.len().await, 0);
}

#[tokio::test]
async fn an_answer_not_worth_it_passes_and_says_so() {
    let house = house();
    let answer = house.send("/a", 500, vec![Data("a")]).await;
    assert_eq!(told(&answer), ("miss", "unigate; fwd=miss"));
    assert_eq!(play(answer.into_body()), "a");
    assert_eq!(house.shelf.len().await, 0);
}

#[tokio::test]
async fn past_the_cap_remembering_stops_and_forwarding_does_not() {
    let house = house();
    let answer = house.send("/a", 200, vec![Data("1234567"), Data("8901"), Data("2")]).await;
    assert_eq!(play(answer.into_body()), "1234567|8901|2");
    assert_eq!(house.shelf.len().await, 0);
}

#[tokio::test]
async fn a_refresh_does_not_look_and_replaces_the_entry() {
    let house = house();
    play(house.send("/a", 200, vec![Data("old")]).await.into_body());
    assert_eq!(house.shelf.len().await, 1);
    let answer = house.send("/a?refresh", 200, vec![Data("new")]).await;
    assert_eq!(told(&answer), ("refresh", "unigate; fwd=request; stored"));
    play(answer.into_body());
    house.shelf.len().await;
    assert_eq!(play(house.send("/a", 200, vec![]).await.into_body()), "new");
}

#[tokio::test]
async fn without_write_nothing_is_kept() {
    let house = house();
    let answer = house.send("/a?no-store", 200, vec![Data("a")]).await;
    assert_eq!(told(&answer), ("miss", "unigate; fwd=miss"));
    play(answer.into_body());
    assert_eq!(house.shelf.len().await, 0);
}

#[tokio::test]
async fn a_request_without_a_plan_passes_by() {
    let house = house();
    let answer = house.send("/a?bypass", 200, vec![Data("a")]).await;
    assert_eq!(told(&answer), ("bypass", "unigate; fwd=bypass"));
    assert_eq!(play(answer.into_body()), "a");
}

fn entry(age_ms: u64, ttl_ms: u64) -> Entry {
    Entry {
        status: 200,
        content_type: None,
        body: Bytes::from_static(b"kept"),
        stored_at_ms: now_ms() - age_ms,
        ttl_ms,
        meta: "".into(),
    }
}

#[tokio::test]
async fn an_entry_past_its_time_or_older_than_asked_for_is_a_miss() {
    let house = house();
    house.shelf.put(Key::of(&[b"/a"]), entry(10_000, 9_000)).await;
    house.shelf.put(Key::of(&[b"/b"]), entry(10_000, 60_000)).await;
    assert_eq!(told(&house.send("/a", 200, vec![]).await).0, "miss");
    assert_eq!(told(&house.send("/b?new", 200, vec![]).await).0, "miss");
    let answer = house.send("/b", 200, vec![]).await;
    assert_eq!(answer.headers()["age"], "10");
    assert!(matches!(CacheStatus::of(&answer), Some(CacheStatus::Hit { ttl, .. })
        if (49..=50).contains(&ttl.as_secs())));
}

#[tokio::test]
async fn without_a_store_or_a_policy_everything_passes() {
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Script::new([Data("a")])))
    });
    let off = CacheLayer::new(None::<Shelf>, ByPath).layer(inner);
    let answer = off.oneshot(Request::new(())).await.unwrap();
    assert_eq!(CacheStatus::of(&answer), Some(CacheStatus::Off));
    assert!(answer.headers().is_empty());
    let bypass = CacheLayer::new(AnyStore::new(Shelf::default()), None::<ByPath>).layer(inner);
    let answer = bypass.oneshot(Request::new(())).await.unwrap();
    assert_eq!(CacheStatus::of(&answer), Some(CacheStatus::Bypass));
}

#[tokio::test]
async fn the_service_that_was_ready_is_the_one_that_is_called() {
    // Called without being ready, this service panics; its clones are not ready.
    let (mock, mut handle) = tower_test::mock::pair::<Request<()>, Response<Script>>();
    let mut cache = CacheLayer::new(Shelf::default(), ByPath).layer(mock);
    handle.allow(1);
    let answer = cache.ready().await.unwrap().call(Request::new(()));
    let serve = async {
        handle.next_request().await.unwrap().1.send_response(Response::default());
    };
    assert!(tokio::join!(answer, serve).0.is_ok());
}

#[test]
fn a_key_depends_on_every_part_and_where_it_ends() {
    let keys = [
        Key::of(&[b"ab", b"c"]),
        Key::of(&[b"a", b"bc"]),
        Key::of(&[b"abc"]),
        Key::of(&[b"abc", b""]),
        Key::of(&[b"c", b"ab"]),
    ];
    for (n, key) in keys.iter().enumerate() {
        assert!(keys[..n].iter().all(|other| other != key), "{n}");
    }
    assert_eq!(keys[0].to_string().len(), 64);
    assert_eq!(keys[0], Key::of(&[b"ab", b"c"]));
}

#[test]
fn an_entry_survives_being_written_down() {
    for content_type in [None, Some(""), Some("application/json")] {
        let entry = Entry { content_type: content_type.map(Arc::from), ..entry(5, 7) };
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
    }
}

#[test]
fn garbage_is_no_entry_and_never_a_panic() {
    let good = Entry { content_type: Some("text/plain".into()), ..entry(5, 7) }.encode();
    for cut in 0..good.len() {
        assert_eq!(Entry::decode(&good.slice(..cut)), None, "{cut}");
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bad = good.to_vec();
            bad[at] = value;
            let _ = Entry::decode(&bad.into());
        }
    }
    assert_eq!(Entry::decode(&Bytes::from_static(b"UGC\x01 another version of this layout")), None);
}

#[test]
fn a_name_that_is_no_token_is_quoted() {
    let mut headers = HeaderMap::new();
    tell(&mut headers, "my \"cache\"", "hit");
    assert_eq!(headers["cache-status"], r#""my \"cache\""; hit"#);
}

#[test]
fn outside_a_runtime_nothing_is_kept_and_nothing_breaks() {
    let plan = Policy::plan(&ByPath, &Request::get("/a").body(()).unwrap()).unwrap();
    let rules = CacheLayer::new(Shelf::default(), ByPath).rules;
    let (head, ()) = Response::new(()).into_parts();
    let filler = Filler::new(Ok200, Shelf::default(), &plan, &head, &rules);
    crate::body::Observer::end(filler, Ending::Complete);
}
