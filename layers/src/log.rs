//! Watches every exchange from its first byte to its end, and says how it ended exactly once.

use crate::body::{Ending, Observer, Tee};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode, response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// Shows every exchange to a [`Recorder`].
#[derive(Clone, Debug)]
pub struct LogLayer<R> {
    recorder: R,
}

/// The service of [`LogLayer`].
#[derive(Clone, Debug)]
pub struct Log<S, R> {
    inner: S,
    recorder: R,
}

pin_project! {
    /// The future of [`Log`]. Dropped before it has the head, it ends the exchange as cancelled.
    #[derive(Debug)]
    pub struct ResponseFuture<F, X>
    where
        X: Exchange,
    {
        #[pin]
        inner: F,
        watch: Watch<X>,
        head_only: bool,
    }
}

/// An exchange under way, as the observer of its response body; ends it when dropped.
#[derive(Debug)]
pub struct Watch<X: Exchange> {
    // Taken when the end has been told.
    exchange: Option<X>,
}

/// Begins a record for each request.
///
/// `Option<Recorder>` is one too: `None` records nothing.
pub trait Recorder<B> {
    /// What is kept while the exchange is under way.
    type Exchange: Exchange;

    /// A request came in. It may pin a note to the request, so that layers below can write into it.
    fn begin(&self, request: &mut Request<B>) -> Self::Exchange;
}

/// One request with its response, while it is under way.
///
/// The methods run on the exchange's own path: they must not block and must not wait.
pub trait Exchange {
    /// The head of the response, with the notes that layers below pinned to it (`extensions`).
    fn response(&mut self, head: &response::Parts) {
        let _ = head;
    }

    /// A piece of the response body, in order.
    fn data(&mut self, data: &Bytes) {
        let _ = data;
    }

    /// The end, exactly once, whatever happens: [`Ending::Failed`] when the service answered with an error
    /// or the body broke off, [`Ending::Cancelled`] when the client left, be it before there was a response.
    fn end(self, ending: Ending);
}

// === impl LogLayer ===

impl<R> LogLayer<R> {
    /// Shows every exchange to this recorder.
    pub fn new(recorder: R) -> Self {
        Self { recorder }
    }
}

impl<S, R: Clone> Layer<S> for LogLayer<R> {
    type Service = Log<S, R>;

    fn layer(&self, inner: S) -> Log<S, R> {
        Log { inner, recorder: self.recorder.clone() }
    }
}

// === impl Log ===

impl<S, R, B, O> Service<Request<B>> for Log<S, R>
where
    S: Service<Request<B>, Response = Response<O>>,
    R: Recorder<B>,
    O: Body<Data = Bytes>,
{
    type Response = Response<Tee<O, Watch<R::Exchange>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R::Exchange>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Before the inner call: if that panics, the exchange ends all the same.
        let watch = Watch { exchange: Some(self.recorder.begin(&mut request)) };
        let head_only = request.method() == Method::HEAD;
        ResponseFuture { inner: self.inner.call(request), watch, head_only }
    }
}

// === impl ResponseFuture ===

impl<F, X, O, E> Future for ResponseFuture<F, X>
where
    F: Future<Output = Result<Response<O>, E>>,
    X: Exchange,
    O: Body<Data = Bytes>,
{
    type Output = Result<Response<Tee<O, Watch<X>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let mut watch = Watch { exchange: this.watch.exchange.take() };
        Poll::Ready(match result {
            Err(error) => {
                watch.end(Ending::Failed);
                Err(error)
            }
            Ok(response) => {
                let (head, body) = response.into_parts();
                if let Some(exchange) = &mut watch.exchange {
                    exchange.response(&head);
                }
                let declared = declared(&head, *this.head_only);
                Ok(Response::from_parts(head, Tee::with_length(body, watch, declared)))
            }
        })
    }
}

// Source: RFC 9112 section 6.3 (which responses have no body, whatever their headers say).
fn declared(head: &response::Parts, head_only: bool) -> Option<u64> {
    if head_only || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(0);
    }
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

// === impl Watch ===

impl<X: Exchange> Observer for Watch<X> {
    fn data(&mut self, data: &Bytes) {
        if let Some(exchange) = &mut self.exchange {
            exchange.data(data);
        }
    }

    fn end(mut self, ending: Ending) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end(ending);
        }
    }
}

impl<X: Exchange> Drop for Watch<X> {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end(Ending::dropped());
        }
    }
}

// === impl Recorder and Exchange for Option ===

impl<B, R: Recorder<B>> Recorder<B> for Option<R> {
    type Exchange = Option<R::Exchange>;

    fn begin(&self, request: &mut Request<B>) -> Self::Exchange {
        self.as_ref().map(|recorder| recorder.begin(request))
    }
}

impl<X: Exchange> Exchange for Option<X> {
    fn response(&mut self, head: &response::Parts) {
        if let Some(exchange) = self {
            exchange.response(head);
        }
    }

    fn data(&mut self, data: &Bytes) {
        if let Some(exchange) = self {
            exchange.data(data);
        }
    }

    fn end(self, ending: Ending) {
        if let Some(exchange) = self {
            exchange.end(ending);
        }
    }
}

#[cfg(test)]
mod tests {
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
        let inner = service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<Script>, Infallible>>()
        });
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
}
