use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn refused() -> Error {
    Error::Connect { upstream: "x".into(), why: "at http://x (connection refused)".into() }
}

fn vital(kind: Kind) -> Arc<Vital> {
    Health::default().of("x", "http://x", kind)
}

async fn enter(vital: &Arc<Vital>) -> Result<Leave, Error> {
    vital.enter(true, || async { Err("nobody there".to_owned()) }).await
}

async fn after(vital: &Arc<Vital>, times: usize, result: Result<u16, Error>) -> State {
    for _ in 0..times {
        let status = |code: &u16| StatusCode::from_u16(*code).unwrap();
        enter(vital).await.unwrap().heard(result.as_ref().map(status));
    }
    vital.breaker.state()
}

#[tokio::test(start_paused = true)]
async fn a_cloud_is_left_alone_after_five_failures_in_a_row() {
    let waited = Duration::from_secs(1);
    let upstream = || Arc::<str>::from("x");
    for failure in [
        Ok(500),
        Ok(502),
        Ok(503),
        Ok(504),
        Ok(529),
        Err(refused()),
        Err(Error::ConnectTimeout { upstream: upstream(), why: "at x".into() }),
        Err(Error::Broken { upstream: upstream(), why: "reset".into() }),
        Err(Error::Incomplete { upstream: upstream() }),
        Err(Error::FirstByteTimeout { upstream: upstream(), waited }),
    ] {
        let cloud = vital(Kind::Cloud);
        assert_eq!(after(&cloud, 4, failure.clone()).await, State::Closed, "{failure:?}");
        assert!(matches!(after(&cloud, 1, failure).await, State::Open { .. }));
        let error = enter(&cloud).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.code()), (503, "upstream_left_alone"));
        let left = error.retry_after().unwrap();
        assert!(left <= Duration::from_secs(5) && left >= Duration::from_secs(4));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_left_alone_for_what_the_client_did_or_for_being_busy() {
    let overloaded = Error::Overloaded {
        upstream: "x".into(),
        limit: 1,
        queued: 0,
        waited: Duration::ZERO,
        after: Duration::ZERO,
    };
    for kind in [Kind::Cloud, Kind::Local] {
        for fine in [Ok(200), Ok(400), Ok(401), Ok(404), Ok(413), Ok(422), Ok(429), Ok(501)] {
            assert_eq!(after(&vital(kind), 50, fine).await, State::Closed);
        }
        let vital = vital(kind);
        for _ in 0..9 {
            enter(&vital).await.unwrap().heard(Err(&overloaded));
            enter(&vital).await.unwrap().heard(Err(&Error::BadRequest("x".into())));
            drop(enter(&vital).await.unwrap());
        }
        assert_eq!(vital.breaker.state(), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_one_is_left_alone_only_when_nobody_answers() {
    let waited = Duration::from_secs(600);
    for fine in [
        Ok(500),
        Ok(503),
        Err(Error::Broken { upstream: "x".into(), why: "reset".into() }),
        Err(Error::Incomplete { upstream: "x".into() }),
        Err(Error::FirstByteTimeout { upstream: "x".into(), waited }),
    ] {
        assert_eq!(after(&vital(Kind::Local), 50, fine).await, State::Closed);
    }
    let gone = vital(Kind::Local);
    assert_eq!(after(&gone, 2, Err(refused())).await, State::Closed);
    assert!(matches!(after(&gone, 1, Err(refused())).await, State::Open { .. }));
    let frozen = vital(Kind::Local);
    let dead = Error::Dead { upstream: "x".into(), waited };
    assert!(matches!(after(&frozen, 1, Err(dead)).await, State::Open { .. }));
    let error = enter(&frozen).await.unwrap_err().to_string();
    assert!(error.contains("x keeps failing") && error.contains("nobody there"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_always_asked_is_always_asked() {
    assert_eq!(after(&vital(Kind::Off), 50, Err(refused())).await, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn who_can_go_elsewhere_asks_every_two_seconds_and_who_cannot_at_once() {
    let local = vital(Kind::Local);
    after(&local, 3, Err(refused())).await;
    let knocks = AtomicUsize::new(0);
    let knock = || async {
        knocks.fetch_add(1, Ordering::SeqCst);
        Err("nobody".to_owned())
    };
    for _ in 0..10 {
        assert!(local.enter(true, knock).await.is_err());
    }
    assert_eq!(knocks.load(Ordering::SeqCst), 1);
    tokio::time::advance(PAUSE).await;
    assert!(local.enter(true, knock).await.is_err());
    assert_eq!(knocks.load(Ordering::SeqCst), 2);
    tokio::time::advance(MOMENT).await;
    assert!(local.enter(false, knock).await.is_err());
    assert_eq!(knocks.load(Ordering::SeqCst), 3);
    tokio::time::advance(MOMENT).await;
    // The user started it a moment ago.
    assert!(local.enter(false, || async { Ok(()) }).await.is_ok());
    assert_eq!(local.breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_without_anywhere_else_asks_once_and_hears_the_same() {
    for back in [true, false] {
        let local = vital(Kind::Local);
        after(&local, 3, Err(refused())).await;
        let knocks = Arc::new(AtomicUsize::new(0));
        let crowd: Vec<_> = (0..100)
            .map(|_| {
                let (local, knocks) = (local.clone(), knocks.clone());
                tokio::spawn(async move {
                    let knock = || async {
                        knocks.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(900)).await;
                        back.then_some(()).ok_or_else(|| "frozen".to_owned())
                    };
                    local.enter(false, knock).await.is_ok()
                })
            })
            .collect();
        let begun = Instant::now();
        for one in crowd {
            assert_eq!(one.await.unwrap(), back);
        }
        assert_eq!(knocks.load(Ordering::SeqCst), 1);
        assert!(begun.elapsed() <= Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_and_leaves_is_followed_by_the_next() {
    let local = vital(Kind::Local);
    after(&local, 3, Err(refused())).await;
    let asking = {
        let local = local.clone();
        tokio::spawn(async move { local.enter(false, std::future::pending).await.is_ok() })
    };
    tokio::task::yield_now().await;
    assert!(enter(&local).await.is_err(), "somebody asks already");
    asking.abort();
    assert!(asking.await.is_err());
    assert!(local.enter(false, || async { Ok(()) }).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_known_stays_known_for_as_long_as_the_upstream_stays_where_it_is() {
    let health = Health::default();
    let before = health.of("x", "http://x", Kind::Local);
    after(&before, 3, Err(refused())).await;
    let again = health.of("x", "http://x", Kind::Local);
    assert_ne!(again.breaker.state(), State::Closed);
    assert_eq!(health.failing("x").unwrap().0, "open");
    health.of("x", "http://elsewhere", Kind::Local);
    assert!(health.failing("x").is_none());
    health.retain(|_| false);
    assert!(health.conditions().is_empty());
}
