use super::*;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tower::{ServiceExt, service_fn};

/// Says why, and after what.
#[derive(Debug)]
struct Words {
    path: String,
    streamed: bool,
}

impl Farewell for Words {
    fn begun(&mut self, head: &response::Parts) {
        self.streamed = head.headers.contains_key("streamed");
    }

    fn respond(self, why: Why) -> Response<Bytes> {
        Response::builder().status(500).body(format!("{} {why:?}", self.path).into()).unwrap()
    }

    fn end(self, why: Why, tail: &[u8]) -> Option<Bytes> {
        let tail = String::from_utf8_lossy(tail);
        self.streamed.then(|| format!("[{why:?} after {tail}]").into())
    }
}

fn words(request: &Request<()>) -> Words {
    Words { path: request.uri().path().to_owned(), streamed: false }
}

fn request() -> Request<()> {
    Request::get("/a").body(()).unwrap()
}

/// A body of what comes through a channel, which panics on a word, and holds a permit.
struct Spoken {
    frames: mpsc::Receiver<&'static str>,
    exact: Option<u64>,
    _permit: OwnedSemaphorePermit,
}

impl Body for Spoken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.poll_recv(cx).map(|word| match word? {
            "panic" => panic!("in a body"),
            word => Some(Ok(Frame::data(Bytes::from(word)))),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// One permit, a service that answers with a channel's words under it, and the channel.
fn spoken(
    streamed: bool,
    exact: Option<u64>,
) -> (
    Arc<Semaphore>,
    mpsc::Sender<&'static str>,
    impl Service<Request<()>, Response = Response<Spoken>, Error = Infallible, Future: Send>,
) {
    let places = Arc::new(Semaphore::new(1));
    let (sender, frames) = mpsc::channel(8);
    let body = Spoken { frames, exact, _permit: places.clone().try_acquire_owned().unwrap() };
    let mut body = Some(body);
    let service = service_fn(move |_: Request<()>| {
        let mut response = Response::new(body.take().unwrap());
        if streamed {
            response.headers_mut().insert("streamed", http::HeaderValue::from_static("yes"));
        }
        async move { Ok(response) }
    });
    (places, sender, service)
}

async fn text<B: Body<Data = Bytes, Error: std::fmt::Debug>>(response: Response<B>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_panic_of_the_service_is_an_answer_and_the_next_request_is_served() {
    for in_the_call in [true, false] {
        let calls = AtomicUsize::new(0);
        let mut service = CatchLayer::new(words, Stop::new()).layer(service_fn(|_: Request<()>| {
            let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
            assert!(!(first && in_the_call), "in the call");
            async move {
                assert!(!first, "in the future");
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("fine"))))
            }
        }));
        let answer = service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(answer.status(), 500);
        assert_eq!(text(answer).await, "/a Panicked");
        let answer = service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(text(answer).await, "fine");
    }
}

#[tokio::test]
async fn a_panic_of_a_body_ends_it_in_words_and_gives_back_what_it_held() {
    let (places, sender, service) = spoken(true, None);
    let answer = CatchLayer::new(words, Stop::new()).layer(service).oneshot(request()).await;
    for word in ["one", "panic", "two"] {
        sender.send(word).await.unwrap();
    }
    let mut body = answer.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    let last = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(last, "[Panicked after ne]");
    assert_eq!(places.available_permits(), 1, "at once, not when the body is dropped");
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none(), "nothing comes after the last word");
}

#[tokio::test]
async fn a_body_that_has_no_words_breaks_off() {
    // Neither does one whose length the client may know.
    for (streamed, exact) in [(false, None), (true, Some(10))] {
        let (places, sender, service) = spoken(streamed, exact);
        let answer = CatchLayer::new(words, Stop::new()).layer(service).oneshot(request()).await;
        sender.send("panic").await.unwrap();
        let error = answer.unwrap().into_body().collect().await.unwrap_err();
        assert_eq!(error.to_string(), "the answer broke off: an internal error");
        assert_eq!(places.available_permits(), 1);
    }
}

#[tokio::test]
async fn a_stop_ends_what_waits_before_the_head_and_after_it() {
    let stop = Stop::new();
    let silent = service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let catch = CatchLayer::new(words, stop.clone());
    let silent = catch.clone().layer(silent);
    let waiting = tokio::spawn(silent.oneshot(request()));
    let (places, sender, service) = spoken(true, None);
    let speaking = tokio::spawn(async move {
        let answer = catch.layer(service).oneshot(request()).await.unwrap();
        text(answer).await
    });
    sender.send("one").await.unwrap();
    // Until both wait for more.
    while sender.capacity() < 8 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    stop.stop();
    assert_eq!(text(waiting.await.unwrap().unwrap()).await, "/a Stopped");
    assert_eq!(speaking.await.unwrap(), "one[Stopped after ne]");
    assert_eq!(places.available_permits(), 1);
}

#[tokio::test]
async fn what_need_not_wait_is_served_after_a_stop_too() {
    let stop = Stop::new();
    stop.stop();
    let quick = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("fine"))))
    });
    let answer = CatchLayer::new(words, stop.clone()).layer(quick).oneshot(request()).await;
    assert_eq!(text(answer.unwrap()).await, "fine");
    // What would have to wait is ended although the stop was before it.
    let silent = service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let answer = CatchLayer::new(words, stop).layer(silent).oneshot(request()).await;
    assert_eq!(text(answer.unwrap()).await, "/a Stopped");
}
