use super::*;
use crate::testing::Step::{Data, Error as Breaks, Pending};
use crate::testing::{Script, Seen, play};
use std::convert::Infallible;
use tower::{Service, ServiceExt, service_fn};

impl<B> Recorder<B> for Seen {
    type Exchange = Self;

    fn begin(&self, _: &mut Request<B>) -> Self {
        self.clone()
    }
}

impl Exchange for Seen {
    fn response(&mut self, head: &response::Parts) {
        self.data.lock().unwrap().extend_from_slice(head.status.as_str().as_bytes());
    }

    fn data(&mut self, data: &Bytes) {
        self.data.lock().unwrap().extend_from_slice(data);
    }

    fn end(self, ending: Ending) {
        Observer::end(self, ending);
    }
}

type Answer = Response<Watched<Script, Seen>>;

async fn send(seen: &Seen, request: Request<()>, answer: Response<Script>) -> Answer {
    let mut answer = Some(answer);
    let inner = service_fn(move |_| {
        let answer = answer.take().unwrap();
        async { Ok::<_, Infallible>(answer) }
    });
    LogLayer::new(seen.clone()).layer(inner).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn an_exchange_is_told_from_head_to_end() {
    let seen = Seen::default();
    let body = Script::new([Data("a"), Pending, Data("b")]);
    let answer = send(&seen, Request::new(()), Response::new(body)).await;
    assert_eq!(seen.endings(), []);
    assert_eq!(play(answer.into_body()), "a|b");
    assert_eq!((seen.text().as_str(), seen.endings()), ("200ab", vec![Ending::Complete]));
}

#[tokio::test]
async fn a_client_that_leaves_mid_stream_is_cancelled() {
    let seen = Seen::default();
    let body = Script::new([Data("a"), Data("b")]);
    drop(send(&seen, Request::new(()), Response::new(body)).await);
    assert_eq!(seen.endings(), [Ending::Cancelled]);
}

#[tokio::test]
async fn a_body_that_breaks_off_has_failed() {
    let seen = Seen::default();
    let answer = send(&seen, Request::new(()), Response::new(Script::new([Breaks]))).await;
    play(answer.into_body());
    assert_eq!(seen.endings(), [Ending::Failed]);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_cancelled() {
    let seen = Seen::default();
    let inner =
        service_fn(|_: Request<()>| std::future::pending::<Result<Response<Script>, Infallible>>());
    let future = LogLayer::new(seen.clone()).layer(inner).call(Request::new(()));
    assert_eq!(seen.endings(), []);
    drop(future);
    assert_eq!(seen.endings(), [Ending::Cancelled]);
}

#[tokio::test]
async fn an_error_of_the_service_has_failed_and_stays_its_error() {
    let seen = Seen::default();
    let inner = service_fn(|_: Request<()>| async { Err::<Response<Script>, _>("refused") });
    let error = LogLayer::new(seen.clone()).layer(inner).oneshot(Request::new(())).await;
    assert_eq!(error.unwrap_err(), "refused");
    assert_eq!(seen.endings(), [Ending::Failed]);
}

#[tokio::test]
async fn a_panic_of_the_service_has_failed() {
    let seen = Seen::default();
    let inner = service_fn(|_: Request<()>| async {
        std::panic::panic_any(());
        #[expect(unreachable_code, reason = "names the type")]
        Ok::<Response<Script>, Infallible>(Response::default())
    });
    let call = LogLayer::new(seen.clone()).layer(inner).oneshot(Request::new(()));
    assert!(tokio::spawn(call).await.is_err());
    assert_eq!(seen.endings(), [Ending::Failed]);
}

#[tokio::test]
async fn an_answer_that_has_no_body_is_complete_with_its_head() {
    let never_read = || Script::new([Data("never read")]);
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let seen = Seen::default();
        let request = Request::builder().method(method).body(()).unwrap();
        let answer = Response::builder().status(status).body(never_read()).unwrap();
        drop(send(&seen, request, answer).await);
        assert_eq!(seen.endings(), [Ending::Complete], "{method} {status}");
    }
}

#[tokio::test]
async fn a_reader_that_stops_at_content_length_has_it_all() {
    let seen = Seen::default();
    let answer = Response::builder().header(CONTENT_LENGTH, 3);
    let answer = answer.body(Script::new([Data("abc")])).unwrap();
    let mut answer = send(&seen, Request::new(()), answer).await;
    assert!(crate::testing::frame(answer.body_mut()).is_ready());
    drop(answer);
    assert_eq!(seen.endings(), [Ending::Complete]);
}

#[tokio::test]
async fn without_a_recorder_everything_passes() {
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Script::new([Data("a")])))
    });
    let answer = LogLayer::new(None::<Seen>).layer(inner).oneshot(Request::new(())).await;
    assert_eq!(play(answer.unwrap().into_body()), "a");
}

/// Holds the end of its answers until the test says so.
#[derive(Clone, Default)]
struct Strict {
    seen: Seen,
    safe: std::sync::Arc<tokio::sync::Notify>,
}

impl<B> Recorder<B> for Strict {
    type Exchange = Self;

    fn begin(&self, _: &mut Request<B>) -> Self {
        self.clone()
    }
}

impl Exchange for Strict {
    fn hold(&mut self) -> Option<Hold> {
        let safe = self.safe.clone();
        Some(Box::pin(async move { safe.notified().await }))
    }

    fn end(self, ending: Ending) {
        Observer::end(self.seen, ending);
    }
}

/// What of an answer goes out before its record is safe, and what after.
async fn held(body: Script, head: &[(&str, &str)], status: u16) -> (String, String) {
    let strict = Strict::default();
    let mut answer = Some({
        let mut answer = Response::builder().status(status);
        for (name, value) in head {
            answer = answer.header(*name, *value);
        }
        answer.body(body).unwrap()
    });
    let inner = service_fn(move |_| {
        let answer = answer.take().unwrap();
        async { Ok::<_, Infallible>(answer) }
    });
    let call = LogLayer::new(strict.clone()).layer(inner).oneshot(Request::new(()));
    let mut call = tokio_test(call);
    let Poll::Ready(answer) = call.poll() else {
        assert_eq!(strict.seen.endings().len(), 1, "it waits for nothing but its record");
        strict.safe.notify_one();
        assert!(call.poll().is_ready());
        return ("no head".into(), "head".into());
    };
    let mut body = answer.unwrap().into_body();
    let mut read = || {
        let mut text = String::new();
        for _ in 0..20 {
            match crate::testing::frame(&mut body) {
                Poll::Ready(Some(Ok(frame))) => {
                    text += std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
                }
                Poll::Ready(Some(Err(_))) => return text + "!",
                Poll::Ready(None) => return text + ".",
                Poll::Pending => {}
            }
        }
        text
    };
    let before = read();
    assert_eq!(strict.seen.endings().len(), 1, "the end has been told before it is passed on");
    strict.safe.notify_one();
    (before, read())
}

struct Polled<F>(Pin<Box<F>>);

fn tokio_test<F: Future>(future: F) -> Polled<F> {
    Polled(Box::pin(future))
}

impl<F: Future> Polled<F> {
    fn poll(&mut self) -> Poll<F::Output> {
        self.0.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
    }
}

#[tokio::test]
async fn the_last_piece_and_the_end_wait_until_the_record_is_safe() {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let body = Script::new([Data("a"), Pending, Data("b"), Data("c"), Data("end")]);
    assert_eq!(held(body, &[], 200).await, pair("abc", "end."));
    // The end is known from the length.
    let body = Script::new([Data("ab"), Data("cd"), Pending]);
    assert_eq!(held(body, &[("content-length", "4")], 200).await, pair("ab", "cd."));
    let body = Script::new([Data("a"), Breaks]);
    assert_eq!(held(body, &[], 200).await, pair("", "a!"));
    // Where there is a pause before the end, only the end is left to wait.
    let body = Script::new([Data("a"), Pending]);
    assert_eq!(held(body, &[], 200).await, pair("a", "."));
    assert_eq!(held(Script::new([]), &[], 204).await, pair("no head", "head"));
}
