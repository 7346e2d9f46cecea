//! One request to one upstream: sent as this upstream takes it, answered as this client reads it.

use super::{
    AnswerBody, Bounds, BoxError, Permit, Upstream,
    body::{Watch, join, reason},
    headers,
    upload::Upload,
};
use crate::{
    dialect::{Framing, Operation, Reply, ollama},
    error::Error,
    front::{Ask, Front},
    record::{Record, Served, now_ms},
    translate::{Flow, Pair},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    request,
    uri::PathAndQuery,
};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use std::time::Instant;
use unigate_layers::{body::Buffered, notes::Target};
use uuid::Uuid;

/// One request to one upstream.
pub(super) struct Exchange<'a, B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    upstream: &'a Upstream<B>,
    record: Record,
    ask: Option<Ask>,
    pair: Option<Pair>,
    reply: Reply,
    dropped: Vec<&'static str>,
    bounds: Bounds,
    started: Instant,
}

impl<'a, B> Exchange<'a, B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    pub(super) fn new(
        upstream: &'a Upstream<B>,
        head: &mut request::Parts,
        target: &Target,
        bounds: Bounds,
    ) -> Self {
        let front = Front::of(&head.extensions);
        let ask = head.extensions.get::<Ask>().cloned();
        let record = Record::of(&mut head.extensions);
        let pair = front.operation.map(|operation| Pair {
            client: front.dialect,
            upstream: upstream.provider.speaks(front.dialect, operation, upstream.chat),
            operation,
        });
        // An Ollama client compares the model in the answer with what it asked for; an OpenAI client wants the truth.
        let asked = ask.as_ref().and_then(|ask| ask.model.clone());
        let model = match front.dialect.name() {
            "ollama" => asked.or_else(|| target.model.clone()),
            _ => target.model.clone().or(asked),
        };
        let model = model.unwrap_or_else(|| "".into());
        let id = Uuid::new_v4().simple().to_string().into();
        let reply = Reply { id, created_ms: now_ms(), model, usage: false, base64: false };
        let dialect = pair.map_or("", |pair| pair.upstream.name());
        let served =
            Served { upstream: upstream.name.clone(), model: target.model.clone(), dialect };
        record.serve(served);
        let started = Instant::now();
        Self { upstream, record, ask, pair, reply, dropped: Vec::new(), bounds, started }
    }

    pub(super) async fn run(
        mut self,
        mut head: request::Parts,
        body: Buffered<B>,
        permit: Permit,
        via: &HeaderValue,
    ) -> Result<Response<AnswerBody>, Error> {
        let (body, strip_usage) = match self.outgoing(&mut head, body)? {
            Outgoing::Send { body, strip_usage } => (body, strip_usage),
            Outgoing::Answered(bytes) => return Ok(self.local(bytes)),
        };
        let upstream = self.upstream;
        headers::outgoing(&mut head.headers, upstream.forward_client_key, via);
        if let Some(key) = &upstream.key {
            head.headers.insert(AUTHORIZATION, key.clone());
        }
        let mut request = Request::new(Upload::new(body));
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.headers_mut() = head.headers;
        let answer = async {
            let response =
                upstream.http.request(request).await.map_err(|error| self.unreachable(&error))?;
            let mut response = self.incoming(response, strip_usage, permit).await?;
            self.warn(response.headers_mut());
            Ok(response)
        };
        // Only an answer of a dialect has a first event to wait for; an upload takes as long as it takes.
        if !self.is_translatable() {
            return answer.await;
        }
        // An unstreamed answer sends its head when it is complete: only the whole has a limit.
        let streamed = self.ask.as_ref().is_some_and(|ask| ask.stream);
        let waited = if streamed { upstream.first_byte } else { upstream.total };
        let name = upstream.name.clone();
        match tokio::time::timeout(waited, answer).await {
            Ok(result) => result,
            Err(_) if streamed => Err(Error::FirstByteTimeout { upstream: name, waited }),
            Err(_) => Err(Error::TotalTimeout { upstream: name, waited }),
        }
    }

    fn is_translatable(&self) -> bool {
        self.pair.is_some_and(|pair| {
            matches!(
                pair.operation,
                Operation::Chat | Operation::Generate | Operation::Embed | Operation::EmbedOne
            )
        })
    }

    /// Path, content type and bytes as this upstream takes them.
    fn outgoing(
        &mut self,
        head: &mut request::Parts,
        body: Buffered<B>,
    ) -> Result<Outgoing<B>, Error> {
        let pass = |body| Ok(Outgoing::Send { body, strip_usage: false });
        let Some(pair) = self.pair.filter(|_| self.is_translatable()) else {
            if self.pair.is_some_and(|pair| !pair.same()) {
                return Err(Error::Unsupported(format!(
                    "not supported by this gateway: {} does not speak {} for {}",
                    self.upstream.name,
                    Front::of(&head.extensions).dialect.name(),
                    head.uri.path()
                )));
            }
            self.address(head, None)?;
            return pass(body);
        };
        let Some(whole) = body.bytes().cloned() else {
            if !pair.same() {
                return Err(Error::TooLarge { limit: self.bounds.request });
            }
            self.address(head, None)?;
            return pass(body);
        };
        let (id, model) = (self.reply.id.clone(), self.reply.model.clone());
        self.reply = pair.reply(&whole, id, self.reply.created_ms, model);
        if !pair.same()
            && pair.client.name() == "ollama"
            && let Some(answer) = ollama::load_answer(pair.operation, &whole, &self.reply)?
        {
            return Ok(Outgoing::Answered(answer));
        }
        let translated = pair.request(&whole, self.upstream.quirks)?;
        let path = pair.upstream.path(translated.operation).filter(|_| !pair.same());
        self.dropped = translated.dropped;
        self.address(head, path)?;
        // Ollama's clients may send JSON as anything; nobody else reads it as that.
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        head.headers.remove(http::header::CONTENT_ENCODING);
        Ok(Outgoing::Send {
            body: Buffered::whole(translated.body),
            strip_usage: translated.strip_usage,
        })
    }

    /// The upstream's own path: its prefix before the client's path, or before the translated one.
    fn address(&self, head: &mut request::Parts, path: Option<&str>) -> Result<(), Error> {
        let prefix = &self.upstream.prefix;
        if prefix.is_empty() && path.is_none() {
            return Ok(());
        }
        let own = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = path.unwrap_or(own);
        // A prefix that does not end where `/v1` begins stands in its place (`/v1beta/openai`).
        let path =
            if prefix.contains("/v1") { path.strip_prefix("/v1").unwrap_or(path) } else { path };
        let mut parts = head.uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(format!("{prefix}{path}")).ok();
        head.uri = Uri::from_parts(parts)
            .map_err(|error| Error::Internal(format!("upstream path: {error}")))?;
        Ok(())
    }

    async fn incoming(
        &self,
        response: Response<Incoming>,
        strip_usage: bool,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        let (mut head, body) = response.into_parts();
        let upstream = self.upstream;
        if head.status == StatusCode::LOOP_DETECTED && head.headers.contains_key("x-request-id") {
            return Err(Error::Loop { upstream: upstream.name.clone() });
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
        if kind.starts_with("text/html") {
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
        if !streamed {
            return self.whole(head, body, pair, permit).await;
        }
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        head.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        if !is_stream {
            let body = self.collect(body).await?;
            let (bytes, state) =
                pair.whole_as_stream(&upstream.name, &body, &self.reply, now_ms())?;
            self.learnt(state.usage.prompt, state.usage.completion);
            return Ok(self.made(head, bytes, pair.client.framing().content_type()));
        }
        let mut flow = pair.flow(&self.reply, strip_usage);
        let (ready, rest) = self.peek(body, &mut flow).await?;
        if !pair.same() {
            let kind = pair.client.framing().content_type();
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        // Even bytes that pass as they are may be followed by an error of ours.
        head.headers.remove(http::header::CONTENT_LENGTH);
        if flow.state().finished {
            self.learnt(flow.state().usage.prompt, flow.state().usage.completion);
        }
        let answer = AnswerBody::new(
            ready,
            rest,
            Watch::Flow(Box::new(flow)),
            upstream.name.clone(),
            Some(self.record.clone()),
            permit,
        );
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
        while !flow.state().meaningful && !flow.state().finished {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
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
            if let Some(message) = flow.state().fault.clone()
                && !flow.state().meaningful
            {
                return Err(Error::Reported { upstream: upstream.clone(), message });
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
        if !pair.same() {
            let whole = self.collect(body).await?;
            let (bytes, state) = pair.answer(upstream, &whole, &self.reply, now_ms())?;
            self.first_byte();
            self.learnt(state.usage.prompt, state.usage.completion);
            return Ok(self.made(head, bytes, "application/json"));
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
            self.learnt(state.usage.prompt, state.usage.completion);
            head.headers.remove(http::header::CONTENT_LENGTH);
            let body = AnswerBody::whole(first, upstream.clone());
            return Ok(Response::from_parts(head, body));
        }
        self.first_byte();
        let room = self.bounds.answer.saturating_sub(first.len());
        let watch =
            Watch::Whole { pair, reply: self.reply.clone(), seen: vec![first.clone()], room };
        let record = Some(self.record.clone());
        let answer = AnswerBody::new(first, Some(body), watch, upstream.clone(), record, permit);
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
        let busy = head.status == StatusCode::SERVICE_UNAVAILABLE;
        if busy && !head.headers.contains_key(RETRY_AFTER) {
            head.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let collected = self.collect(body).await?;
        let (message, _) = pair.upstream.read_error(head.status, &collected);
        drop(permit);
        headers::incoming(&mut head.headers, false);
        // The upstream refused *our* key: that is no reason for the client to sign in anywhere.
        let key_refused = matches!(head.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let ours = key_refused && self.upstream.key.is_some();
        if pair.same() && !ours {
            self.record.refuse(message);
            let body = AnswerBody::whole(collected, self.upstream.name.clone());
            return Ok(Response::from_parts(head, body));
        }
        let (status, bytes) = match ours {
            true => pair.key_refused(&message),
            false => pair.error(head.status, &collected),
        };
        self.record.refuse(message);
        head.status = status;
        Ok(self.made(head, bytes, "application/json"))
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Error> {
        let upstream = &self.upstream.name;
        match Limited::new(body, self.bounds.answer).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) => {
                let why = reason(&*error);
                Err(Error::Broken { upstream: upstream.clone(), why })
            }
        }
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

    fn local(&self, bytes: Bytes) -> Response<AnswerBody> {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = StatusCode::OK;
        self.made(head, bytes, "application/json")
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Error {
        let upstream = self.upstream.name.clone();
        let why = reason(error);
        if error.is_connect() {
            let (at, advice) = (&self.upstream.at, self.upstream.provider.advice());
            return Error::Connect { upstream, why: format!("at {at} ({why}){advice}") };
        }
        Error::Broken { upstream, why }
    }

    /// What could not be told to this upstream is named, never dropped in silence.
    fn warn(&self, headers: &mut HeaderMap) {
        if self.dropped.is_empty() {
            return;
        }
        let warning = format!("{} does not take: {}", self.upstream.name, self.dropped.join(", "));
        if let Ok(warning) = HeaderValue::try_from(warning) {
            headers.insert("x-unigate-warning", warning);
        }
    }

    fn first_byte(&self) {
        let ms = self.record.started.elapsed().as_millis() as u64;
        let _ = self.record.first_byte_ms.set(ms);
    }

    fn learnt(&self, prompt: Option<u64>, completion: Option<u64>) {
        if prompt.is_some() || completion.is_some() {
            let _ = self.record.usage.set((prompt, completion));
        }
    }
}

/// What becomes of a request at the leaf.
enum Outgoing<B: Body<Data = Bytes>> {
    /// It goes upstream.
    Send { body: Buffered<B>, strip_usage: bool },
    /// It needs no upstream.
    Answered(Bytes),
}
