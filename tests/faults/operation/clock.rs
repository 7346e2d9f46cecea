//! Row O7: the wall clock jumps. The machine's own is not touched: what reads it is given other times.

use crate::rig::note;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tower::{Layer, ServiceExt, service_fn};
use unigate::record::Record;
use unigate_layers::{
    cache::{CacheLayer, Entry, Fill, Key, Plan, Policy, Store},
    memory::MemoryStore,
};

const DAY: Duration = Duration::from_secs(86_400);

/// The nanoseconds that an `i64` holds end in 2262.
const YEAR_2262: Duration = Duration::from_nanos(i64::MAX as u64);

#[test]
fn o7_rows_keep_their_order_whatever_the_clock_says() {
    note("O7", false, "did not get to its end");
    let now = SystemTime::now();
    let jumps = [
        now,
        now + DAY,
        now - DAY,
        UNIX_EPOCH,
        UNIX_EPOCH - DAY,
        UNIX_EPOCH + YEAR_2262,
        UNIX_EPOCH + YEAR_2262 + DAY,
        now,
    ];
    let records: Vec<Record> = jumps.iter().map(|time| Record::at(*time)).collect();
    let ids: Vec<&str> = records.iter().map(|record| &*record.id).collect();
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    let stamps: Vec<u64> = records.iter().map(|record| record.started_ms).collect();
    assert_eq!((stamps[3], stamps[4]), (0, 0), "before 1970 it is 1970");
    assert_eq!(stamps[5], YEAR_2262.as_millis() as u64);
    note("O7", true, "8 jumps between 1969 and 2262: ids in order, no panic");
}

/// Answers from entries as they are, and keeps nothing.
#[derive(Clone)]
struct Kept;

impl<B> Policy<B> for Kept {
    type Fill = Self;

    fn plan(&self, request: &Request<B>) -> Option<Plan> {
        let key = Key::of(&[request.uri().path().as_bytes()]);
        let (read, write) = (true, false);
        Some(Plan { key, read, write, ttl: Duration::from_secs(60), max_age: None })
    }

    fn fill(&self, _: &Request<B>) -> Self {
        Self
    }

    fn replay(&self, _: &Request<B>, entry: &Entry, _: Duration) -> Option<Response<Bytes>> {
        Some(Response::new(entry.body.clone()))
    }
}

impl Fill for Kept {
    fn worth(&mut self, _: &http::response::Parts) -> bool {
        false
    }

    fn keep(self, _: Bytes) -> Option<(Bytes, std::sync::Arc<str>)> {
        None
    }
}

#[tokio::test]
async fn o7_an_entry_of_another_time_is_fresh_or_a_miss_and_never_a_panic() {
    let store = MemoryStore::new(1 << 20);
    let year = YEAR_2262.as_millis() as u64;
    // Stored before the clock was set back, and before it was set forward.
    let entries =
        [("/future", u64::MAX), ("/2262", year), ("/1970", 0), ("/1970-01-02", 86_400_000)];
    for (path, stored_at_ms) in entries {
        let entry = Entry {
            status: 200,
            content_type: None,
            body: Bytes::from_static(b"kept"),
            stored_at_ms,
            ttl_ms: 60_000,
            meta: "".into(),
        };
        store.put(Key::of(&[path.as_bytes()]), entry).await;
    }
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"new"))))
    });
    let service = CacheLayer::new(store, Kept).layer(service);
    for (path, expected, age) in [
        ("/future", "kept", Some("0")),
        ("/2262", "kept", Some("0")),
        ("/1970", "new", None),
        ("/1970-01-02", "new", None),
    ] {
        let request = Request::get(path).body(()).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        let found = answer.headers().get("age").map(|age| age.to_str().unwrap().to_owned());
        assert_eq!(found.as_deref(), age, "{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expected, "{path}");
    }
}
