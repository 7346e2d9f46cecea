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

type Answer = Response<Tee<Script, Watch<Seen>>>;

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
