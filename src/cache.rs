//! What of the traffic of language models may be cached, under which key, and how an entry answers.
//!
//! The mechanism is [`unigate_layers::cache`]; this is the judgement. The layer stands above the route: the key is
//! what was asked, not what was chosen. One entry serves streamed and unstreamed askers. Only complete, error-free
//! answers are kept.
//!
//! Which answers: every unstreamed one, and of the streamed ones those that are deterministic (temperature 0 or a
//! seed) or that the client asks to be kept. A person who watches a stream and asks again wants another answer; a
//! program that sends the same request twice wants the same one.

mod canonical;
mod kept;
mod wishes;

use self::{
    kept::{Meta, convert, tell},
    wishes::Wishes,
};
use crate::{
    dialect::Operation,
    front::{Ask, Client, Front},
    record::Record,
    translate,
};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
    response,
};
use std::{fmt, sync::Arc, time::Duration};
use unigate_layers::{
    body::Replay,
    cache::{Entry, Fill, Key, Plan, Policy},
};

/// The policy: a key for chats, completions and embeddings, and the conditions of keeping their answers.
#[derive(Clone)]
pub struct ChatKey {
    revision: Arc<[u8]>,
    standing: Option<Arc<Standing>>,
    headers: Arc<[HeaderName]>,
    by_credential: bool,
    ttl: Duration,
    sampled_streams: bool,
    fallbacks: bool,
}

/// What stands behind a model's name now; `None` while that is not known for certain.
pub type Standing = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// What an answer must be to be kept; one for each request that may fill the cache.
#[derive(Debug)]
pub struct ChatFill {
    front: Front,
    operation: Operation,
    ask: Ask,
    usage: bool,
    record: Record,
    fallbacks: bool,
}

/// Headers that change what is answered, whatever the rules look at.
static TELLING: [HeaderName; 2] =
    [HeaderName::from_static("x-unigate-num-ctx"), HeaderName::from_static("anthropic-version")];

/// Where a client's own credential stands.
static CREDENTIALS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

// === impl ChatKey ===

impl Default for ChatKey {
    /// One hour, no routing configuration.
    fn default() -> Self {
        Self::new(Duration::from_secs(3600))
    }
}

impl ChatKey {
    /// Entries that live for `ttl`, unless the request says otherwise in `x-unigate-cache-ttl` (seconds).
    pub fn new(ttl: Duration) -> Self {
        Self {
            revision: Arc::default(),
            standing: None,
            headers: Arc::default(),
            by_credential: false,
            ttl,
            sampled_streams: false,
            fallbacks: false,
        }
    }

    /// The revision of whatever decides where requests go, and the request headers it looks at. Default: none.
    #[must_use]
    pub fn routing(mut self, revision: &[u8], headers: Vec<HeaderName>) -> Self {
        self.revision = revision.into();
        self.headers = headers.into();
        self
    }

    /// Keeps the answers of one credential from another, for where the client's own travels upstream. Default no: who may
    /// come in is one circle, or told apart by the key that let them in.
    #[must_use]
    pub fn by_credential(mut self, apart: bool) -> Self {
        self.by_credential = apart;
        self
    }

    /// How to tell whether the model behind a name is still the same one; no answer outlives its model then, and
    /// nothing is cached while that is not known. Default: names are taken for what they name.
    #[must_use]
    pub fn standing(
        mut self,
        standing: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.standing = Some(Arc::new(standing));
        self
    }

    /// Whether streamed answers with chance in them are kept without being asked for. Default: no.
    #[must_use]
    pub fn sampled_streams(mut self, keep: bool) -> Self {
        self.sampled_streams = keep;
        self
    }

    /// Whether an answer that a fallback gave is kept under the first choice's key. Default: no.
    #[must_use]
    pub fn fallbacks(mut self, keep: bool) -> Self {
        self.fallbacks = keep;
        self
    }

    /// The key of a request; `None` for one that is not cached whatever its headers say.
    pub fn key<B: Replay>(&self, request: &Request<B>) -> Option<Key> {
        let front = Front::of(request.extensions());
        let operation = front.operation.filter(|operation| operation.asks_a_model())?;
        let ask = request.extensions().get::<Ask>()?;
        let body = request.body().bytes()?;
        let model = ask.model.as_deref()?.to_lowercase();
        let model = model.strip_suffix(":latest").unwrap_or(&model);
        // An empty conversation loads or unloads the model: an act, not a question. There are others.
        if front.dialect.acts(operation, body) {
            return None;
        }
        let mut dropped = front.dialect.transport_fields().to_vec();
        dropped.push("model");
        let canonical = canonical::canonical(body, &dropped)?;
        let standing = match &self.standing {
            Some(standing) => standing(model)?,
            None => Vec::new(),
        };
        let client = request.extensions().get::<Client>();
        let scope: &[u8] = client.map_or(&[], |client| &client.0);
        let operation = format!("{operation:?}");
        let mut parts: Vec<&[u8]> = vec![
            b"1",
            scope,
            front.dialect.name().as_bytes(),
            operation.as_bytes(),
            model.as_bytes(),
            &canonical,
            &self.revision,
            &standing,
        ];
        let header = |name| request.headers().get(name).map_or(&b""[..], HeaderValue::as_bytes);
        parts.extend(self.headers.iter().map(header));
        parts.extend(TELLING.iter().map(header));
        if self.by_credential {
            parts.extend(CREDENTIALS.iter().map(header));
        }
        // What Anthropic's clients try out they name in this header, in as many lines as they like.
        let betas = request.headers().get_all("anthropic-beta");
        parts.extend(betas.iter().map(HeaderValue::as_bytes));
        Some(Key::of(&parts))
    }
}

impl fmt::Debug for ChatKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatKey").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl<B: Replay> Policy<B> for ChatKey {
    type Fill = ChatFill;

    fn plan(&self, request: &Request<B>) -> Option<Plan> {
        let wishes = Wishes::read(request.headers());
        if wishes.no_store {
            return None;
        }
        let ask = request.extensions().get::<Ask>()?;
        let front = Front::of(request.extensions());
        let asked_for = wishes.max_age.is_some() || wishes.ttl.is_some() || wishes.no_cache;
        if ask.stream && !self.sampled_streams && !asked_for {
            let body = request.body().bytes()?;
            if !front.dialect.deterministic(front.operation?, body) {
                return None;
            }
        }
        Some(Plan {
            key: self.key(request)?,
            read: !wishes.no_cache,
            write: true,
            ttl: wishes.ttl.unwrap_or(self.ttl),
            max_age: wishes.max_age,
        })
    }

    fn fill(&self, request: &Request<B>) -> ChatFill {
        let front = Front::of(request.extensions());
        let extensions = request.extensions();
        ChatFill {
            front,
            operation: front.operation.unwrap_or(Operation::Other),
            ask: extensions.get().cloned().unwrap_or_default(),
            usage: front
                .operation
                .zip(request.body().bytes())
                .is_some_and(|(operation, body)| front.dialect.wishes(operation, body).usage),
            record: Record::of(&mut extensions.clone()),
            fallbacks: self.fallbacks,
        }
    }

    fn replay(&self, request: &Request<B>, entry: &Entry, _: Duration) -> Option<Response<Bytes>> {
        let front = Front::of(request.extensions());
        let ask = request.extensions().get::<Ask>()?;
        let meta: Meta = serde_json::from_str(&entry.meta).ok()?;
        let wishes = front.dialect.wishes(front.operation?, request.body().bytes()?);
        let body = if ask.stream == meta.streamed && (!ask.stream || wishes.usage == meta.usage) {
            entry.body.clone()
        } else {
            convert(front, ask, wishes, &meta, &entry.body)?
        };
        if let Some(record) = request.extensions().get::<Record>() {
            tell(record, &meta);
        }
        let kind =
            if ask.stream { front.dialect.framing().content_type() } else { "application/json" };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if ask.stream {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        Some(response)
    }
}

// === impl ChatFill ===

impl Fill for ChatFill {
    fn worth(&mut self, head: &response::Parts) -> bool {
        head.status == http::StatusCode::OK && (self.fallbacks || !self.record.fell_back())
    }

    fn keep(self, body: Bytes) -> Option<(Bytes, Arc<str>)> {
        if self.record.fault.get().is_some() {
            return None;
        }
        let streamed = self.ask.stream;
        let seen = translate::complete(self.front.dialect, self.operation, streamed, &body)?;
        let tokens = self.record.usage.get().copied().unwrap_or(seen);
        let served = self.record.served();
        let served = served.as_ref();
        let route = self.record.route.get();
        let meta = Meta {
            streamed,
            usage: self.usage,
            tokens,
            upstream: served.map_or_else(String::new, |s| s.upstream.to_string()),
            model: served.and_then(|s| s.model.as_deref().map(str::to_owned)),
            dialect: served.map_or_else(String::new, |s| s.dialect.to_owned()),
            rule: route.map_or_else(String::new, |r| r.rule.to_string()),
            why: route.map_or_else(String::new, |r| r.why.to_string()),
        };
        Some((body, serde_json::to_string(&meta).ok()?.into()))
    }
}

#[cfg(test)]
mod tests;
