//! Names the dialect and the operation on the way down, and signs the answer on the way up.
//!
//! It stands right below the log: everything else may refuse, and a refusal must already know its dialect.
//! Every answer says who made it and why: `x-request-id`, `x-unigate-route`, `x-unigate-model`,
//! `x-unigate-upstream`, `x-unigate-attempts`, `x-unigate-fallback`, `x-unigate-cache`, `Server-Timing`; and one that had to
//! wait for a place in `x-unigate-queue`, as `3; waited=1200`: the place in the queue on arrival, and milliseconds.

use super::{Front, path};
use crate::record::{Record, attempt_words};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::X_CONTENT_TYPE_OPTIONS};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;
use unigate_layers::notes::CacheStatus;

/// Pins a [`Front`] and a [`Record`] to each request, and signs each answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameLayer;

/// The service of [`NameLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Naming<S> {
    inner: S,
}

pin_project! {
    /// The future of [`Naming`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        record: Record,
        // Anthropic's clients look for the id under another name.
        anthropic: bool,
    }
}

// === impl NameLayer ===

impl<S> Layer<S> for NameLayer {
    type Service = Naming<S>;

    fn layer(&self, inner: S) -> Naming<S> {
        Naming { inner }
    }
}

// === impl Naming ===

impl<S, B, R> Service<Request<B>> for Naming<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // What is decided below is decided by the path as it is meant, and that is what an upstream gets.
        if let Some(uri) = path::tidy(request.method(), request.uri(), request.headers()) {
            *request.uri_mut() = uri;
        }
        let front = Front::name(request.method(), request.uri().path(), request.headers());
        request.extensions_mut().insert(front);
        let record = Record::of(request.extensions_mut());
        let anthropic = front.dialect.name() == "anthropic";
        ResponseFuture { inner: self.inner.call(request), record, anthropic }
    }
}

// === impl ResponseFuture ===

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut result = ready!(this.inner.poll(cx));
        if let Ok(response) = &mut result {
            let cache = response.extensions().get::<CacheStatus>().cloned();
            sign(this.record, cache.as_ref(), response.headers_mut());
            if *this.anthropic {
                // Source: anthropic-python _response.py.
                put(response.headers_mut(), "request-id", &this.record.id);
            }
        }
        Poll::Ready(result)
    }
}

fn sign(record: &Record, cache: Option<&CacheStatus>, headers: &mut HeaderMap) {
    put(headers, "x-request-id", &record.id);
    // Whatever a client or a model wrote: no browser takes it for a page of ours.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(decision) = record.route.get() {
        put(
            headers,
            "x-unigate-route",
            &format!("{}; why=\"{}\"", decision.rule, decision.why.replace('"', "'")),
        );
    }
    if let Some(served) = record.served() {
        put(headers, "x-unigate-upstream", &served.upstream);
        if let Some(model) = &served.model {
            put(headers, "x-unigate-model", model);
        }
    }
    if let Some(status) = cache {
        let word = match status {
            CacheStatus::Hit { .. } => "HIT",
            CacheStatus::Miss { .. } => "MISS",
            CacheStatus::Refresh => "REFRESH",
            CacheStatus::Bypass => "BYPASS",
            CacheStatus::Off => "OFF",
        };
        headers.insert("x-unigate-cache", HeaderValue::from_static(word));
    }
    let attempts = record.attempts();
    if !attempts.is_empty() {
        headers.insert("x-unigate-attempts", HeaderValue::from(attempts.len()));
    }
    if attempts.len() > 1 {
        put(headers, "x-unigate-fallback", &attempts_line(&attempts));
    }
    if let Some(queued) = record.queued() {
        let line = format!("{}; waited={}", queued.position, queued.waited_ms);
        put(headers, "x-unigate-queue", &line);
    }
    let total = record.started.elapsed().as_secs_f64() * 1000.0;
    put(headers, "server-timing", &format!("total;dur={total:.2}"));
}

/// Attempts in one line: `ollama/llama3.1:8b 503, openai/gpt-4o-mini 200`.
pub(crate) fn attempts_line(attempts: &[unigate_layers::notes::Attempt]) -> String {
    attempts.iter().map(|attempt| attempt_words(attempt, "")).collect::<Vec<_>>().join(", ")
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Model names come from clients and upstreams: what cannot stand in a header is replaced, never dropped.
    let safe: String =
        value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if let Ok(value) = HeaderValue::try_from(safe) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
