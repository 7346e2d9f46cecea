//! One request to one upstream: sent as this upstream takes it, answered as this client reads it.

use super::{AnswerBody, Bounds, BoxError, Permit, Upstream, Upstreams, headers, upload::Upload};
use crate::{
    dialect::{Reply, ollama},
    error::Error,
    front::{Ask, Front},
    record::{Record, Served, now_ms},
    translate::{Aim, Pair},
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request,
    uri::PathAndQuery,
};
use hyper::body::Body;
use std::time::Instant;
use unigate_layers::{body::Buffered, notes::Target};
use uuid::Uuid;

/// One request to one upstream.
pub(super) struct Exchange<'a, B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    pub(super) upstream: &'a Upstream<B>,
    pub(super) record: Record,
    pub(super) ask: Option<Ask>,
    pub(super) pair: Option<Pair>,
    pub(super) reply: Reply,
    pub(super) dropped: Vec<&'static str>,
    pub(super) bounds: Bounds,
    pub(super) started: Instant,
    aim: Aim,
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
        let aim = Aim {
            quirks: upstream.quirks,
            model: known.unwrap_or_default(),
            strict: upstreams.strict,
            native: headers::native(&head.headers),
        };
        let (bounds, started) = (upstreams.bounds, Instant::now());
        Self { upstream, record, ask, pair, reply, dropped: Vec::new(), bounds, started, aim }
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
        // The client's own credential, where it may travel and there is one, stands in place of ours.
        if let Some(key) = &upstream.key
            && !head.headers.contains_key(AUTHORIZATION)
        {
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

    pub(super) fn is_translatable(&self) -> bool {
        self.pair.is_some_and(|pair| pair.operation.asks_a_model())
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
        let translated = pair.request(&whole, &self.aim)?;
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

/// What becomes of a request at the leaf.
enum Outgoing<B: Body<Data = Bytes>> {
    /// It goes upstream.
    Send { body: Buffered<B>, strip_usage: bool },
    /// It needs no upstream.
    Answered(Bytes),
}
