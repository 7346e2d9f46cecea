//! The answer of an upstream, read until it means something and handed on as this client reads it.

mod peek;
mod refused;
mod whole;

use super::{
    AnswerBody, BoxError, Permit,
    body::{Watch, reason},
    connect,
    exchange::Exchange,
    headers,
};
use crate::{
    dialect::{Framing, Usage},
    error::Error,
    front::decode,
    record::now_ms,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, TRANSFER_ENCODING},
};
use hyper::body::{Body, Incoming};

/// Whether this is what a web server or a proxy says to people.
fn is_page(kind: &str) -> bool {
    const PAGE: &str = "text/html";
    kind.get(..PAGE.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(PAGE))
}

/// The status as the upstream said it, on an answer that tells another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said(pub(super) StatusCode);

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    pub(super) async fn incoming(
        &self,
        response: Response<Incoming>,
        strip_usage: bool,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        let (mut head, body) = response.into_parts();
        let upstream = &*self.upstream;
        if head.status == StatusCode::LOOP_DETECTED && head.headers.contains_key("x-request-id") {
            return Err(Error::Loop { upstream: upstream.name.clone() });
        }
        if let Some(coding) = head.headers.get(TRANSFER_ENCODING)
            && !coding.as_bytes().eq_ignore_ascii_case(b"chunked")
        {
            let why = format!("a Transfer-Encoding of {coding:?}");
            return Err(Error::NotUnderstood { upstream: upstream.name.clone(), why });
        }
        let translatable = self.pair.filter(|_| self.is_translatable());
        let Some(pair) = translatable else {
            headers::incoming(&mut head.headers, true);
            return Ok(self.pass(head, body, Watch::Nothing, permit));
        };
        if head.status.is_client_error() || head.status.is_server_error() {
            return self.refused(head, body, pair, permit).await;
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if is_page(kind) {
            let why = format!("an HTML page with status {}", head.status.as_u16());
            return Err(Error::NotUnderstood { upstream: upstream.name.clone(), why });
        }
        let streamed = self.ask.as_ref().is_some_and(|ask| ask.stream);
        let is_stream = match pair.upstream.framing() {
            Framing::Events => kind.starts_with("text/event-stream"),
            // Ollama answers a load with one plain object, whatever was asked.
            Framing::Lines => kind.starts_with("application/x-ndjson") || pair.same(),
        };
        headers::incoming(&mut head.headers, pair.same());
        let packed = decode::is_packed(&head.headers);
        if !streamed {
            return self.whole(head, body, pair, permit).await;
        }
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        head.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        if !is_stream {
            let body = self.collect(&mut head.headers, body).await?;
            let (bytes, state) =
                pair.whole_as_stream(&upstream.name, &body, &self.reply, now_ms())?;
            self.learnt(state.usage);
            let kind = pair.client.framing().content_type();
            return Ok(self.made(head, bytes, kind).map(|body| body.knowing(state)));
        }
        let mut flow = pair.flow(&self.reply, strip_usage);
        let (ready, rest) = if packed {
            let body = self.collect(&mut head.headers, body).await?;
            (self.unpacked(body, &mut flow)?, None)
        } else {
            self.peek(body, &mut flow).await?
        };
        if !pair.same() {
            let kind = pair.client.framing().content_type();
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        // Even bytes that pass as they are may be followed by an error of ours.
        head.headers.remove(http::header::CONTENT_LENGTH);
        if flow.state().finished {
            self.learnt(flow.state().usage);
        }
        let answer = AnswerBody::new(
            ready,
            rest,
            Watch::Flow(Box::new(flow)),
            upstream.name.clone(),
            // What several choices come to is noted when all have ended.
            self.reply.choice.is_none().then(|| self.record.clone()),
            permit,
        );
        let answer = answer.bounded(self.bounds.stream);
        Ok(Response::from_parts(head, answer.timed(upstream.idle, upstream.total, self.started)))
    }

    fn pass(
        &self,
        head: http::response::Parts,
        body: Incoming,
        watch: Watch,
        permit: Permit,
    ) -> Response<AnswerBody> {
        let upstream = self.upstream.name.clone();
        let record = Some(self.record.clone());
        let body = AnswerBody::new(Bytes::new(), Some(body), watch, upstream, record, permit);
        Response::from_parts(head, body)
    }

    /// An answer whose bytes are ours.
    fn made(
        &self,
        mut head: http::response::Parts,
        bytes: Bytes,
        kind: &'static str,
    ) -> Response<AnswerBody> {
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        head.headers.remove(http::header::CONTENT_ENCODING);
        head.headers.remove(http::header::CONTENT_LENGTH);
        Response::from_parts(head, AnswerBody::whole(bytes, self.upstream.name.clone()))
    }

    pub(super) fn local(&self, bytes: Bytes) -> Response<AnswerBody> {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = StatusCode::OK;
        self.made(head, bytes, "application/json")
    }

    pub(super) fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Error {
        let upstream = self.upstream.name.clone();
        let why = reason(error);
        if error.is_connect() {
            let (at, advice) = (&self.upstream.address, self.upstream.provider.advice());
            let why = format!("at {at} ({why}){advice}");
            if connect::timed_out(error) {
                return Error::ConnectTimeout { upstream, why };
            }
            return Error::Connect { upstream, why };
        }
        Error::Broken { upstream, why }
    }

    /// The warning goes to the client and into the log.
    pub(super) fn warn(&self, headers: &mut HeaderMap) {
        self.record.warn(self.warning.clone());
        let warning = self.warning.as_deref().map(HeaderValue::try_from);
        if let Some(Ok(warning)) = warning {
            headers.insert("x-unigate-warning", warning);
        }
    }

    fn first_byte(&self) {
        let ms = self.record.started.elapsed().as_millis() as u64;
        let _ = self.record.first_byte_ms.set(ms);
    }

    fn learnt(&self, usage: Usage) {
        if usage.is_known() && self.reply.choice.is_none() {
            let _ = self.record.usage.set(usage);
        }
    }
}
