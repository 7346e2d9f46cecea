//! What the gateway answers itself, because no single upstream could: lists over all of them, virtual models, its own health.
//!
//! It stands below the route, which decides what is answered here (the target named [`SELF`]), and above the
//! retries, since there is nothing to try again.

mod own;

use self::own::Own;
use crate::{
    catalog::{Catalog, Listing, Source, State},
    dialect::Operation,
    discovery::{Change, Discovery},
    error::Error,
    front::{Ask, Front, render},
    health::Health,
    metrics::Metrics,
    models::{self, Auto},
    pick,
    readiness::Readiness,
    record::Record,
    route::{SELF, virtual_rule},
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
    request,
};
use http_body::Body;
use http_body_util::{Either, Full};
use serde_json::json;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;
use unigate_layers::{
    body::{Ending, Observer, Tee},
    notes::Target,
};

/// Answers what targets the gateway itself; passes on everything else.
#[derive(Clone, Debug)]
pub struct LocalLayer {
    desk: Arc<Desk>,
}

/// The service of [`LocalLayer`].
#[derive(Clone, Debug)]
pub struct Local<S> {
    inner: S,
    desk: Arc<Desk>,
}

#[derive(Clone, Debug)]
struct Desk {
    discovery: Discovery,
    auto: Auto,
    tagged_home: bool,
    own: Own,
}

/// The version told where no Ollama tells one: the newest whose routes are served.
const VERSION: &str = "0.24.0";

/// Holds a [`Change`] until the answer that tells of it has ended.
#[derive(Debug)]
pub struct Settle(Option<Change>);

// === impl LocalLayer ===

impl LocalLayer {
    /// `tagged_home` says whether the default upstream is an Ollama.
    pub fn new(discovery: Discovery, auto: Auto, tagged_home: bool) -> Self {
        Self { desk: Arc::new(Desk { discovery, auto, tagged_home, own: Own::default() }) }
    }

    /// Says at `/readyz` how the upstreams fare. Default: nothing is known of that.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        Arc::make_mut(&mut self.desk).own.health = health;
        self
    }

    /// Shows these counters at `/metrics`. Default: nothing is there.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        Arc::make_mut(&mut self.desk).own.metrics = Some(metrics);
        self
    }

    /// Tells this at `/readyz`, beside which upstreams answer. Default: nothing is known to be wrong.
    #[must_use]
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        Arc::make_mut(&mut self.desk).own.readiness = readiness;
        self
    }
}

impl<S> Layer<S> for LocalLayer {
    type Service = Local<S>;

    fn layer(&self, inner: S) -> Local<S> {
        Local { inner, desk: self.desk.clone() }
    }
}

// === impl Local ===

impl<S, B, R> Service<Request<B>> for Local<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Body<Data = Bytes> + 'static,
{
    type Response = Response<Either<Full<Bytes>, Tee<R, Settle>>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let here = Target::of(&request).is_some_and(|target| &*target.upstream == SELF);
        let desk = self.desk.clone();
        if !here {
            let changes = Front::of(request.extensions()).operation;
            let changes = matches!(changes, Some(Operation::Pull | Operation::Manage));
            let change = Settle(changes.then(|| desk.discovery.change()));
            let answer = self.inner.call(request);
            return Box::pin(async move {
                let answer = answer.await;
                // What the catalogue says may be out of date: a model that is gone, an upstream that is.
                let status = answer.as_ref().map_or(StatusCode::BAD_GATEWAY, Response::status);
                if matches!(status.as_u16(), 404 | 502 | 503) {
                    desk.discovery.hurry();
                }
                Ok(answer?.map(|body| Either::Right(Tee::new(body, change))))
            });
        }
        let (mut head, _) = request.into_parts();
        Box::pin(async move {
            let response = match desk.answer(&head).await {
                Ok(response) => response,
                Err(error) => {
                    let record = Record::of(&mut head.extensions);
                    render(Front::of(&head.extensions), Some(&record), &error)
                }
            };
            Ok(response.map(|body| Either::Left(Full::new(body))))
        })
    }
}

// === impl Settle ===

impl Observer for Settle {
    fn end(self, _: Ending) {
        drop(self.0);
    }
}

// === impl Desk ===

impl Desk {
    async fn answer(&self, head: &request::Parts) -> Result<Response<Bytes>, Error> {
        // A list is made by asking the upstreams: one that is this gateway would be asked without end.
        if self.discovery.probe().came_back(&head.headers) {
            return Err(Error::Loop { upstream: self.discovery.home().into() });
        }
        let path = head.uri.path();
        if Front::is_own(path) {
            return self.own.answer(&self.discovery, &head.method, path);
        }
        let front = Front::of(&head.extensions);
        let home = self.discovery.home();
        match front.operation {
            Some(Operation::Root) => Ok(text("Ollama is running")),
            Some(Operation::Version) => {
                let catalog = self.discovery.catalog();
                let version = match catalog.upstreams.get(home).map(|listing| &listing.state) {
                    Some(State::Up { version: Some(version) }) => version.clone(),
                    _ => VERSION.to_owned(),
                };
                Ok(json_body(json!({ "version": version }).to_string()))
            }
            Some(Operation::Models) => {
                let catalog = self.fresh().await?;
                Ok(json_body(match front.dialect.name() {
                    "openai" => models::list(&catalog, home, &self.auto),
                    "anthropic" => models::page(&catalog, home, &self.auto),
                    _ => models::tags(&catalog, home, &self.auto),
                }))
            }
            Some(Operation::Loaded) if self.tagged_home => {
                let ps = self.discovery.probe().get(home, "/api/ps").await;
                ps.map(json_body).map_err(|silence| self.away(&silence.why))
            }
            Some(Operation::Loaded) => Ok(json_body(r#"{"models":[]}"#)),
            Some(Operation::Pull) => {
                let ask = head.extensions.get::<Ask>().cloned().unwrap_or_default();
                let name = ask.model.as_deref().unwrap_or_default();
                let there = virtual_rule(name).is_some()
                    || self.discovery.catalog().find(name, home).is_some();
                let mut response = json_body(models::pulled(there, ask.stream));
                if !there && !ask.stream {
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
                if ask.stream {
                    let kind = HeaderValue::from_static("application/x-ndjson");
                    response.headers_mut().insert(CONTENT_TYPE, kind);
                }
                Ok(response)
            }
            Some(Operation::Model) => {
                let asked = head.extensions.get::<Ask>().and_then(|ask| ask.model.as_deref());
                match asked {
                    Some(name) => {
                        let target = head.extensions.get::<Target>();
                        self.show(target.and_then(|target| target.model.as_deref()).unwrap_or(name))
                    }
                    None => {
                        let id = path.strip_prefix("/v1/models/").unwrap_or(path);
                        self.detail(front, id).await
                    }
                }
            }
            _ => Err(Error::Internal(format!("{path} is not answered here"))),
        }
    }

    /// What there is right now: a model that was just pulled is in the next list.
    async fn fresh(&self) -> Result<Arc<Catalog>, Error> {
        let catalog = self.discovery.refresh().await;
        let home = self.discovery.home();
        let down =
            catalog.upstreams.values().all(|listing| matches!(listing.state, State::Down(_)));
        let empty = catalog.upstreams.values().all(|listing| listing.models.is_empty());
        match catalog.upstreams.get(home) {
            Some(Listing { state: State::Down(why), .. }) if down && empty => Err(self.away(why)),
            _ => Ok(catalog),
        }
    }

    fn away(&self, why: &str) -> Error {
        let advice = if self.tagged_home { "; start it with \"ollama serve\"" } else { "" };
        Error::Connect { upstream: self.discovery.home().into(), why: format!("{why}{advice}") }
    }

    async fn detail(&self, front: Front, id: &str) -> Result<Response<Bytes>, Error> {
        let id = decoded(id);
        let home = self.discovery.home();
        let of = |catalog: &Catalog| models::detail(front.dialect, catalog, home, &self.auto, &id);
        let known = of(&self.discovery.catalog());
        let body = match known {
            Some(body) => Some(body),
            None => of(&*self.fresh().await?),
        };
        body.map(json_body).ok_or_else(|| self.unknown(&id))
    }

    fn show(&self, name: &str) -> Result<Response<Bytes>, Error> {
        let catalog = self.discovery.catalog();
        let found = catalog.find(name, self.discovery.home());
        let model = found.and_then(|found| catalog.model(&found.upstream, &found.model));
        model.map(|model| json_body(models::show(model))).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let catalog = self.discovery.catalog();
        let mut message = format!("model '{name}' not found");
        if let Some(closest) = pick::closest(name, catalog.names()) {
            message.push_str(&format!("; closest: {closest}"));
        }
        Error::ModelNotFound(message)
    }
}

fn json_body(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn text(body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// `%2F` and its like undone: ids have slashes, and SDKs differ in whether they escape them.
fn decoded(id: &str) -> String {
    let mut out = Vec::with_capacity(id.len());
    let bytes = id.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        match bytes[at..] {
            [b'%', high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
                out.push((hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0)) as u8);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_escaped_id_is_the_id_it_means() {
        assert_eq!(super::decoded("hf.co%2Fa%2fb:Q4"), "hf.co/a/b:Q4");
        assert_eq!(super::decoded("50%"), "50%");
        assert_eq!(super::decoded("%zz%4"), "%zz%4");
    }
}
