//! One request to one upstream: sent as this upstream takes it, answered as this client reads it.

use super::{
    AnswerBody, Bounds, BoxError, Permit, Upstream, Upstreams, headers, images::Images,
    upload::Upload,
};
use crate::{
    dialect::{Operation, Reply, StreamUsage, anthropic, ollama},
    error::Error,
    front::{Ask, Encoded, Front},
    record::{Record, Served, now_ms},
    translate::{self, Aim, Pair},
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request,
    uri::PathAndQuery,
};
use hyper::body::Body;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};
use unigate_layers::{
    body::{Buffered, Replay},
    notes::Target,
};
use uuid::Uuid;

/// One request to one upstream.
pub(super) struct Exchange<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    pub(super) upstream: Arc<Upstream<B>>,
    pub(super) record: Record,
    pub(super) ask: Option<Ask>,
    pub(super) pair: Option<Pair>,
    pub(super) reply: Reply,
    /// What the client is warned of, in one line; `None` where there is nothing.
    pub(super) warning: Option<Arc<str>>,
    pub(super) bounds: Bounds,
    pub(super) started: Instant,
    images: Option<Images>,
    /// Whether usage was asked for without knowing whether that is understood.
    pub(super) tries_usage: bool,
    aim: Aim,
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    pub(super) fn new(
        upstream: Arc<Upstream<B>>,
        head: &mut request::Parts,
        target: &Target,
        upstreams: &Upstreams<B>,
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
        let reply = Reply::new(id, now_ms(), model);
        let dialect = pair.map_or("", |pair| pair.upstream.name());
        let served =
            Served { upstream: upstream.name.clone(), model: target.model.clone(), dialect };
        record.serve(served);
        let known = target.model.as_ref().or(ask.as_ref().and_then(|ask| ask.model.as_ref()));
        let known = known.and_then(|model| (upstreams.knows)(&upstream.name, model));
        let mut quirks = upstream.quirks;
        if upstream.unasked.load(Ordering::Relaxed) {
            quirks.usage = StreamUsage::Unasked;
        }
        let aim = Aim {
            quirks,
            model: known.unwrap_or_default(),
            strict: upstreams.strict,
            max_image_bytes: upstreams.max_image_bytes,
            native: headers::native(&head.headers),
        };
        Self {
            upstream,
            record,
            ask,
            pair,
            reply,
            warning: None,
            bounds: upstreams.bounds,
            started: Instant::now(),
            images: upstreams.images.clone(),
            tries_usage: false,
            aim,
        }
    }

    /// Sends it; once more, where the upstream does not understand that usage is asked for, which it will be asked
    /// for no more.
    pub(super) async fn run(
        mut self,
        head: request::Parts,
        body: Buffered<B>,
        permit: Permit,
        via: &HeaderValue,
    ) -> Result<Response<AnswerBody>, Error> {
        let streamed = self.ask.as_ref().is_some_and(|ask| ask.stream);
        let unsure = streamed && self.aim.quirks.usage == StreamUsage::Tried;
        let again = unsure.then(|| Some((head.clone(), body.replay()?))).flatten();
        match (self.attempt(head, body, permit, via).await, again) {
            (Err(Error::Reported { message, .. }), Some((head, body)))
                if self.tries_usage && names_usage(&message) =>
            {
                self.upstream.unasked.store(true, Ordering::Relaxed);
                self.aim.quirks.usage = StreamUsage::Unasked;
                self.tries_usage = false;
                let permit = self.upstream.enter()?;
                self.attempt(head, body, permit, via).await
            }
            (answer, _) => answer,
        }
    }

    async fn attempt(
        &mut self,
        mut head: request::Parts,
        body: Buffered<B>,
        permit: Permit,
        via: &HeaderValue,
    ) -> Result<Response<AnswerBody>, Error> {
        let sent = self.outgoing(&mut head, body).await?;
        let upstream = &*self.upstream;
        headers::outgoing(&mut head.headers, upstream.forward_client_key, via);
        let client = Front::of(&head.extensions).dialect.name();
        let spoken = self.pair.map_or(upstream.provider.dialect, |pair| pair.upstream).name();
        headers::suit(&mut head.headers, upstream.provider, client, spoken);
        // The client's own credential, where it may travel and there is one, stands in place of ours.
        if let Some((name, key)) = &upstream.key
            && !head.headers.contains_key(AUTHORIZATION)
            && !head.headers.contains_key(name)
        {
            head.headers.insert(name, key.clone());
        }
        match sent {
            Outgoing::Answered(bytes) => Ok(self.local(bytes)),
            Outgoing::Estimated(bytes) => Ok(self.estimated(bytes)),
            Outgoing::Send { mut body, strip_usage } => {
                // What nothing had to change goes on as it came, compressed.
                if let Some(encoded) = head.extensions.get::<Encoded>() {
                    encoded.restore(&mut head.headers, &mut body);
                }
                self.send(head, body, strip_usage, permit).await
            }
            Outgoing::Several(bodies) => self.several(head, bodies, permit).await,
        }
    }

    fn estimated(&self, bytes: Bytes) -> Response<AnswerBody> {
        const WARNING: &str = "input_tokens is an estimate";
        let mut response = self.local(bytes);
        let warning = HeaderValue::from_static(WARNING);
        response.headers_mut().insert("x-unigate-warning", warning);
        self.record.warn(Some(WARNING.into()));
        response
    }

    /// The same for one of several answers.
    pub(super) fn choice(&self, choice: usize) -> Self {
        Self {
            upstream: self.upstream.clone(),
            record: self.record.clone(),
            ask: self.ask.clone(),
            pair: self.pair,
            reply: Reply { choice: Some(choice), ..self.reply.clone() },
            warning: self.warning.clone(),
            bounds: self.bounds,
            started: self.started,
            images: None,
            tries_usage: false,
            aim: Aim::default(),
        }
    }

    /// Sends what is suited to this upstream, and waits until its answer means something.
    pub(super) async fn send(
        &self,
        head: request::Parts,
        body: Buffered<B>,
        strip_usage: bool,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        let upstream = &*self.upstream;
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

    pub(super) fn is_translatable(&self) -> bool {
        self.pair.is_some_and(|pair| pair.operation.asks_a_model())
    }

    /// Path, content type and bytes as this upstream takes them.
    async fn outgoing(
        &mut self,
        head: &mut request::Parts,
        body: Buffered<B>,
    ) -> Result<Outgoing<B>, Error> {
        let pass = |body| Ok(Outgoing::Send { body, strip_usage: false });
        if let Some(pair) = self.pair
            && pair.operation == Operation::Count
            && !pair.same()
        {
            let too_large = Error::TooLarge { limit: self.bounds.request };
            return anthropic::estimate(body.bytes().ok_or(too_large)?).map(Outgoing::Estimated);
        }
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
        let (translated, more) = if pair.same() {
            (pair.pass(&whole, &self.aim), Vec::new())
        } else {
            self.translated(pair, &whole).await?
        };
        let path = pair.upstream.path(translated.operation).filter(|_| !pair.same());
        self.reply.calls_as_text = translated.calls_as_text;
        self.warning = self.worded(&translated);
        let asks = translated.strip_usage || !pair.same() && pair.upstream.name() == "openai";
        self.tries_usage = asks && self.aim.quirks.usage == StreamUsage::Tried;
        self.address(head, path)?;
        // Ollama's clients may send JSON as anything; nobody else reads it as that.
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !pair.same() {
            head.headers.remove(http::header::CONTENT_ENCODING);
        }
        if !more.is_empty() {
            return Ok(Outgoing::Several([vec![translated.body], more].concat()));
        }
        Ok(Outgoing::Send {
            body: Buffered::whole(translated.body),
            strip_usage: translated.strip_usage,
        })
    }

    /// What could not be told to this upstream, which is named and never dropped in silence, and what else there is.
    fn worded(&self, translated: &translate::Outgoing) -> Option<Arc<str>> {
        let dropped = translated.dropped.join(", ");
        let dropped = (!dropped.is_empty())
            .then(|| format!("{} does not take: {dropped}", self.upstream.name));
        let all: Vec<String> =
            dropped.into_iter().chain(translated.warnings.iter().cloned()).collect();
        (!all.is_empty()).then(|| all.join("; ").into())
    }

    /// The request in the upstream's dialect, and once more for each further answer that the client wants.
    async fn translated(
        &self,
        pair: Pair,
        whole: &Bytes,
    ) -> Result<(translate::Outgoing, Vec<Bytes>), Error> {
        let mut request = pair.read_request(whole)?;
        if let Some(images) = self.images.as_ref().filter(|_| !pair.upstream.fetches()) {
            images.fill(&mut request, self.bounds.request).await?;
        }
        let count = request.choices;
        if count <= 1 {
            return Ok((pair.write(request, &self.aim)?, Vec::new()));
        }
        let first = pair.write(Pair::choice(&request, 0), &self.aim)?;
        let more = 1..first.choices;
        let more =
            more.map(|choice| Ok(pair.write(Pair::choice(&request, choice), &self.aim)?.body));
        Ok((first, more.collect::<Result<_, Error>>()?))
    }

    /// The upstream's own path: its prefix before the client's path, or before the translated one.
    fn address(&self, head: &mut request::Parts, path: Option<&str>) -> Result<(), Error> {
        let own = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = self.upstream.address.path(path.unwrap_or(own));
        if path == own {
            return Ok(());
        }
        let mut parts = head.uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(path).ok();
        head.uri = Uri::from_parts(parts)
            .map_err(|error| Error::Internal(format!("upstream path: {error}")))?;
        Ok(())
    }
}

/// Whether an upstream complains of being asked for usage.
pub(super) fn names_usage(message: &str) -> bool {
    message.contains("stream_options") || message.contains("include_usage")
}

/// What becomes of a request at the leaf.
enum Outgoing<B: Body<Data = Bytes>> {
    /// It goes upstream.
    Send { body: Buffered<B>, strip_usage: bool },
    /// So many times, a choice of the answer each.
    Several(Vec<Bytes>),
    /// It needs no upstream.
    Answered(Bytes),
    /// The upstream does not count tokens; this is about right.
    Estimated(Bytes),
}
