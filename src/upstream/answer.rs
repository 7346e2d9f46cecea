//! The answer of an upstream, read until it means something and handed on as this client reads it.

use super::{
    AnswerBody, BoxError, Permit,
    body::{Watch, join, reason},
    connect,
    exchange::{Exchange, names_usage},
    headers,
};
use crate::{
    dialect::{Framing, Usage},
    error::Error,
    front::decode::{self, Unpacked},
    record::now_ms,
    translate::{Flow, Pair},
    wire,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};

/// Bytes that may come before anything is said: comments, empty words. They are held until then.
const MAX_PREFACE: usize = wire::MAX_EVENT + 64 * 1024;

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

    /// Reads on until something meaningful has come; what that is worth is in the bytes returned.
    async fn peek(
        &self,
        mut body: Incoming,
        flow: &mut Flow,
    ) -> Result<(Bytes, Option<Incoming>), Error> {
        let upstream = &self.upstream.name;
        let mut ready = Vec::new();
        let mut rest = true;
        let mut came = 0;
        while !flow.state().meaningful && !flow.state().finished {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        came += data.len();
                        ready.push(flow.feed(data, now_ms()));
                    }
                }
                Some(Err(error)) => {
                    let why = reason(&error);
                    return Err(Error::Broken { upstream: upstream.clone(), why });
                }
                None => {
                    let tail = flow.end(upstream, now_ms());
                    if flow.state().fault.is_some() {
                        return Err(Error::Incomplete { upstream: upstream.clone() });
                    }
                    ready.push(tail);
                    rest = false;
                    break;
                }
            }
            if !flow.state().meaningful {
                if let Some(error) = flow.failure(upstream) {
                    return Err(error);
                }
                if came > MAX_PREFACE {
                    let why = format!("{MAX_PREFACE} bytes in which nothing is said");
                    return Err(Error::NotUnderstood { upstream: upstream.clone(), why });
                }
            }
        }
        self.first_byte();
        Ok((join(&mut ready), rest.then_some(body)))
    }

    /// An unstreamed answer: passes while it is read, unless it must be translated.
    async fn whole(
        &self,
        mut head: http::response::Parts,
        mut body: Incoming,
        pair: Pair,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        let upstream = &self.upstream.name;
        if !pair.same() || decode::is_packed(&head.headers) {
            let whole = self.collect(&mut head.headers, body).await?;
            let (translated, state) = pair.answer(upstream, &whole, &self.reply, now_ms())?;
            let bytes = if pair.same() { whole } else { translated };
            if pair.same() && !state.finished {
                return Err(Error::Incomplete { upstream: upstream.clone() });
            }
            self.first_byte();
            self.learnt(state.usage);
            return Ok(self.made(head, bytes, "application/json").map(|body| body.knowing(state)));
        }
        // Most answers are one frame. It is looked at before it passes: an early end may still be tried again.
        let first = match body.frame().await {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => {
                let why = reason(&error);
                return Err(Error::Broken { upstream: upstream.clone(), why });
            }
            None => return Err(Error::Incomplete { upstream: upstream.clone() }),
        };
        if body.is_end_stream() {
            let (_, state) = pair.answer(upstream, &first, &self.reply, now_ms())?;
            if !state.finished {
                return Err(Error::Incomplete { upstream: upstream.clone() });
            }
            self.first_byte();
            self.learnt(state.usage);
            head.headers.remove(http::header::CONTENT_LENGTH);
            let body = AnswerBody::whole(first, upstream.clone());
            return Ok(Response::from_parts(head, body));
        }
        self.first_byte();
        let came = first.len();
        let room = self.bounds.answer.saturating_sub(came);
        let watch =
            Watch::Whole { pair, reply: self.reply.clone(), seen: vec![first.clone()], room };
        let record = Some(self.record.clone());
        let answer = AnswerBody::new(first, Some(body), watch, upstream.clone(), record, permit);
        let answer = answer.bounded(self.bounds.stream.saturating_sub(came));
        let (idle, total) = (self.upstream.idle, self.upstream.total);
        Ok(Response::from_parts(head, answer.timed(idle, total, self.started)))
    }

    /// The upstream's own error: as it came in the same dialect, translated in another.
    async fn refused(
        &self,
        mut head: http::response::Parts,
        body: Incoming,
        pair: Pair,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        head.extensions.insert(Said(head.status));
        // Anthropic's own status for it, which nobody else's clients know.
        let overloaded = head.status.as_u16() == 529;
        if overloaded && !pair.same() {
            head.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        let busy = overloaded || head.status == StatusCode::SERVICE_UNAVAILABLE;
        if busy && !head.headers.contains_key(RETRY_AFTER) {
            head.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let collected = self.collect(&mut head.headers, body).await?;
        let (message, _) = pair.upstream.read_error(head.status, &collected);
        drop(permit);
        let unread =
            matches!(head.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY);
        if unread && self.tries_usage && names_usage(&message) {
            return Err(Error::Reported { upstream: self.upstream.name.clone(), message });
        }
        headers::incoming(&mut head.headers, false);
        // The upstream refused *our* key: that is no reason for the client to sign in anywhere.
        let key_refused = matches!(head.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let ours = key_refused && self.upstream.key.is_some();
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let page = is_page(kind.unwrap_or_default());
        if pair.same() && !ours && !page {
            self.record.refuse(message);
            let body = AnswerBody::whole(collected, self.upstream.name.clone());
            return Ok(Response::from_parts(head, body));
        }
        let (status, bytes) = match ours {
            true => pair.key_refused(&message),
            false if page => (head.status, pair.client.write_error(head.status, &message, None)),
            false => pair.error(head.status, &collected),
        };
        self.record.refuse(message);
        head.status = status;
        Ok(self.made(head, bytes, "application/json"))
    }

    /// The whole body; unpacked where it was compressed, though that was not wanted.
    async fn collect(&self, headers: &mut HeaderMap, body: Incoming) -> Result<Bytes, Error> {
        let (upstream, limit) = (&self.upstream.name, self.bounds.answer);
        let too_much = || {
            let setting = "server.max_answer_bytes";
            Error::TooMuch { upstream: upstream.clone(), limit, setting }
        };
        let whole = match Limited::new(body, limit).collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_much()),
            Err(error) => {
                let why = reason(&*error);
                return Err(Error::Broken { upstream: upstream.clone(), why });
            }
        };
        match decode::unpack(headers, whole, limit).await {
            Ok(whole) => Ok(whole),
            Err(Unpacked::TooLarge) => Err(too_much()),
            Err(Unpacked::Unreadable(why)) => {
                Err(Error::NotUnderstood { upstream: upstream.clone(), why })
            }
        }
    }

    /// A stream that is all here.
    fn unpacked(&self, body: Bytes, flow: &mut Flow) -> Result<Bytes, Error> {
        let upstream = &self.upstream.name;
        let mut ready = vec![flow.feed(body, now_ms())];
        ready.push(flow.end(upstream, now_ms()));
        match flow.state().fault.clone() {
            Some(_) if !flow.state().meaningful => {
                let incomplete = || Error::Incomplete { upstream: upstream.clone() };
                return Err(flow.failure(upstream).unwrap_or_else(incomplete));
            }
            Some(fault) => drop(self.record.fault.set(("upstream_error", fault))),
            None => {}
        }
        self.first_byte();
        Ok(join(&mut ready))
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
