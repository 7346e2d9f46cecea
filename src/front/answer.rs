//! The future of a layer that either answers itself or passes on.

use bytes::Bytes;
use http::Response;
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// A response that is there already, or the inner service's.
    #[derive(Debug)]
    pub struct Answered<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Passed { #[pin] inner: F },
        Here { response: Option<Response<Bytes>> },
    }
}

impl<F> Answered<F> {
    /// The inner service answers.
    pub fn pass(inner: F) -> Self {
        Self { state: State::Passed { inner } }
    }

    /// The answer is this one.
    pub fn here(response: Response<Bytes>) -> Self {
        Self { state: State::Here { response: Some(response) } }
    }
}

impl<F, R, E> Future for Answered<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Either<Full<Bytes>, R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Passed { inner } => {
                Poll::Ready(ready!(inner.poll(cx)).map(|response| response.map(Either::Right)))
            }
            StateProj::Here { response } => {
                let response = response.take().expect("not polled after it was ready");
                Poll::Ready(Ok(response.map(|body| Either::Left(Full::new(body)))))
            }
        }
    }
}
