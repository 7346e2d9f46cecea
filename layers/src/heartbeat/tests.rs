use super::*;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tower::{ServiceExt, service_fn};

#[derive(Clone)]
struct Ticks;

impl Policy<bool> for Ticks {
    type Pulse = Self;

    fn pulse(&self, request: &Request<bool>) -> Option<Self> {
        request.body().then_some(Self)
    }
}

impl Pulse for Ticks {
    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn head(&self) -> Response<()> {
        Response::builder().header("x-begun", "early").body(()).unwrap()
    }

    fn beat(&mut self) -> Bytes {
        "tick ".into()
    }

    fn refused(&mut self, head: &response::Parts, body: Bytes) -> Bytes {
        format!("{} {}", head.status.as_u16(), String::from_utf8_lossy(&body)).into()
    }
}

/// Answers after this many seconds, with this status.
async fn told(beats: bool, after: u64, status: u16) -> (StatusCode, bool, String) {
    let inner = service_fn(move |_: Request<bool>| async move {
        tokio::time::sleep(Duration::from_secs(after)).await;
        let response = Response::builder().status(status);
        Ok::<_, std::io::Error>(response.body(Full::<Bytes>::from("answer")).unwrap())
    });
    let response = HeartbeatLayer::new(Ticks).layer(inner).oneshot(Request::new(beats)).await;
    let (head, body) = response.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let early = head.headers.contains_key("x-begun");
    (head.status, early, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_passes_as_it_is() {
    assert_eq!(told(true, 9, 200).await, (StatusCode::OK, false, "answer".into()));
    assert_eq!(told(true, 9, 503).await, (StatusCode::SERVICE_UNAVAILABLE, false, "answer".into()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_longer_hears_signs_and_then_the_answer() {
    assert_eq!(told(true, 25, 200).await, (StatusCode::OK, true, "tick tick answer".into()));
}

#[tokio::test(start_paused = true)]
async fn a_late_refusal_is_told_in_the_stream() {
    assert_eq!(told(true, 25, 503).await, (StatusCode::OK, true, "tick tick 503 answer".into()));
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_pulse_waits_in_silence() {
    assert_eq!(told(false, 25, 200).await, (StatusCode::OK, false, "answer".into()));
}

#[tokio::test(start_paused = true)]
async fn a_late_error_breaks_the_body() {
    let inner = service_fn(|_: Request<bool>| async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        Err::<Response<Full<Bytes>>, _>(std::io::Error::other("broke"))
    });
    let response = HeartbeatLayer::new(Ticks).layer(inner).oneshot(Request::new(true)).await;
    let error = response.unwrap().into_body().collect().await.unwrap_err();
    assert_eq!(error.to_string(), "broke");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_takes_the_call_with_him() {
    struct Left(Arc<AtomicBool>);
    impl Drop for Left {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let left = Arc::new(AtomicBool::new(false));
    let guard = left.clone();
    let inner = service_fn(move |_: Request<bool>| {
        let guard = Left(guard.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<Response<Full<Bytes>>, std::io::Error>>().await
        }
    });
    let response = HeartbeatLayer::new(Ticks).layer(inner).oneshot(Request::new(true)).await;
    let mut body = response.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    assert!(!left.load(Ordering::SeqCst));
    drop(body);
    assert!(left.load(Ordering::SeqCst));
}
