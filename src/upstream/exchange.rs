//! One request to one upstream: sent as this upstream takes it, answered as this client reads it.

use super::{
    AnswerBody, Bounds, BoxError, Permit, Upstream, Upstreams, admission, headers, images::Images,
    loads, outgoing::Outgoing, upload::Upload,
};
use crate::{
    dialect::{Reply, StreamUsage, ollama::Making},
    error::Error,
    front::{Ask, Encoded, Front},
    record::{Record, Served, now_ms},
    translate::{Aim, Pair},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION, request};
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
    /// When the upstream's time to answer began.
    pub(super) started: Instant,
    /// When it began to wait for anything at all.
    asked: Instant,
    pub(super) images: Option<Images>,
    /// Whether usage was asked for without knowing whether that is understood.
    pub(super) tries_usage: bool,
    pub(super) aim: Aim,
    /// The model that the upstream is asked for.
    model: Option<Arc<str>>,
    /// Who answers, told to the record as soon as somebody is asked.
    served: Option<Served>,
    /// What the upstream must have in memory, where that is known.
    making: Option<Making>,
    /// Kept for a second attempt.
    place: Permit,
    /// How this process signs what it sends.
    via: HeaderValue,
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
        let sent = target.model.clone().or(ask.as_ref().and_then(|ask| ask.model.clone()));
        let known = sent.as_ref().and_then(|model| (upstreams.knows)(&upstream.name, model));
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
            asked: Instant::now(),
            images: upstreams.images.clone(),
            tries_usage: false,
            aim,
            model: sent,
            served: Some(served),
            making: None,
            place: None,
            via: upstreams.instance.clone(),
        }
    }

    /// Sends it; once more, where the upstream does not understand that usage is asked for, which it will be asked
    /// for no more.
    pub(super) async fn run(
        mut self,
        head: request::Parts,
        body: Buffered<B>,
    ) -> Result<Response<AnswerBody>, Error> {
        let streamed = self.ask.as_ref().is_some_and(|ask| ask.stream);
        let unsure = streamed && self.aim.quirks.usage == StreamUsage::Tried;
        let again = unsure.then(|| Some((head.clone(), body.replay()?))).flatten();
        match (self.attempt(head, body).await, again) {
            (Err(Error::Reported { message, .. }), Some((head, body)))
                if self.tries_usage && names_usage(&message) =>
            {
                self.upstream.unasked.store(true, Ordering::Relaxed);
                self.aim.quirks.usage = StreamUsage::Unasked;
                self.tries_usage = false;
                self.attempt(head, body).await
            }
            (answer, _) => answer,
        }
    }

    async fn attempt(
        &mut self,
        mut head: request::Parts,
        body: Buffered<B>,
    ) -> Result<Response<AnswerBody>, Error> {
        let client = admission::client(head.extensions.get(), &head.headers);
        let sent = self.outgoing(&mut head, body).await.inspect_err(|_| self.serve())?;
        let place = match &sent {
            Outgoing::Answered(_) | Outgoing::Estimated(_) => None,
            Outgoing::Send { body, .. } => {
                let body = body.bytes().cloned();
                self.place(body, client).await?
            }
            Outgoing::Several(bodies) => {
                let body = bodies.first().cloned();
                self.place(body, client).await?
            }
        };
        self.serve();
        let upstream = &*self.upstream;
        headers::outgoing(&mut head.headers, upstream.forward_client_key, &self.via);
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
                self.send(head, body, strip_usage, place).await
            }
            Outgoing::Several(bodies) => self.several(head, bodies, place).await,
        }
    }

    /// Tells the record once who is asked.
    fn serve(&mut self) {
        if let Some(served) = self.served.take() {
            self.record.serve(served);
        }
    }

    /// Waits for a place to ask a model, and for the model; what asks none goes through.
    async fn place(&mut self, body: Option<Bytes>, client: u64) -> Result<Permit, Error> {
        if self.place.is_some() {
            return Ok(self.place.clone());
        }
        let Some(pair) = self.pair.filter(|pair| pair.operation.works_a_model()) else {
            return Ok(None);
        };
        let model = self.model.clone().unwrap_or_default();
        let body = body.filter(|_| pair.upstream.name() == "ollama" && self.is_translatable());
        let making = body.as_ref().map(|body| Making::of(pair.operation, &model, body));
        self.making = making;
        let group = self.group();
        let upstream = &self.upstream;
        let ready = async {
            let name = &upstream.name;
            let place = upstream.admission.enter(name, group, client, &self.record).await?;
            if let (Some(making), Some(body)) = (&self.making, &body)
                && self.aim.model.loads
                && !pair.upstream.is_load(pair.operation, body)
            {
                loads::ready(upstream, making, &place, &self.via).await;
            }
            Ok(place)
        };
        let name = upstream.name.clone();
        let place = tokio::select! {
            biased;
            place = ready => place?,
            // Nobody waits in a queue for one that has stopped answering.
            () = upstream.stops(self.asked) => {
                return Err(Error::Dead { upstream: name, waited: self.asked.elapsed() });
            }
        };
        // Waiting for a place or a model is no part of the upstream's time to answer.
        self.started = Instant::now();
        self.place = Some(place);
        Ok(self.place.clone())
    }

    /// The requests that this one counts among: those that need the same in memory.
    pub(super) fn group(&self) -> Arc<str> {
        let model = || self.model.as_deref().unwrap_or_default().to_lowercase().into();
        self.making.as_ref().map_or_else(model, |making| making.key.clone())
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
            asked: self.asked,
            images: None,
            tries_usage: false,
            aim: Aim::default(),
            model: self.model.clone(),
            served: None,
            making: self.making.clone(),
            place: None,
            via: self.via.clone(),
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
            if let Some(making) = &self.making
                && response.status().is_success()
            {
                loads::answered(&self.upstream, making, &self.via);
            }
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
        tokio::select! {
            biased;
            answer = tokio::time::timeout(waited, answer) => match answer {
                Ok(result) => result,
                Err(_) if waited < upstream.total => {
                    Err(Error::FirstByteTimeout { upstream: name, waited })
                }
                Err(_) => Err(Error::TotalTimeout { upstream: name, waited }),
            },
            // What loads a model is waited for, what has stopped answering is not.
            () = upstream.stops(self.asked) => {
                Err(Error::Dead { upstream: name, waited: self.asked.elapsed() })
            }
        }
    }

    pub(super) fn is_translatable(&self) -> bool {
        self.pair.is_some_and(|pair| pair.operation.asks_a_model())
    }
}

/// Whether an upstream complains of being asked for usage.
pub(super) fn names_usage(message: &str) -> bool {
    message.contains("stream_options") || message.contains("include_usage")
}
