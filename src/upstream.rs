//! The leaf: a target becomes an HTTP request, its answer a stream. It translates only where it must.
//!
//! An answer is returned only after its first meaningful event (text, thinking, a tool call, or a clean end): until
//! then a refusal, an error inside a 200, an empty start and an early end are errors, and whoever stands above may
//! try again.
//!
//! Alone it is a working proxy to the default upstream: without a target from above a request goes there, without an
//! [`Ask`](crate::front::Ask) it reads the body itself, and an upstream's address is always its own, whatever the request's says.

mod address;
mod admission;
mod answer;
mod body;
mod choices;
mod connect;
mod exchange;
mod headers;
mod images;
mod loads;
mod one;
mod outgoing;
mod probe;
mod pulse;
mod timer;
mod upload;

pub use self::{
    address::Address,
    body::{AnswerBody, BoxError},
    probe::{Probe, Silence},
};

use self::{answer::Said, exchange::Exchange, images::Images, one::Upstream};
use crate::{config, error::Error, front::Refusal, health::Health, translate::Known};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, request};
use hyper::body::Body;
use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;
use unigate_layers::{
    admit::Place,
    body::Buffered,
    notes::{Fallbacks, Target},
};

/// A place among the requests in flight to an upstream; held until the answer's body is gone. `None` for what asks no model.
type Permit = Option<Place>;

/// Everything that can be asked, by the name in the configuration. Cheap to clone.
pub struct Upstreams<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> {
    known: Arc<BTreeMap<Arc<str>, Arc<Upstream<B>>>>,
    home: Arc<str>,
    instance: HeaderValue,
    bounds: Bounds,
    images: Option<Images>,
    max_image_bytes: usize,
    strict: bool,
    knows: Knows,
}

/// What is known of a model of an upstream, by their names.
type Knows = Arc<dyn Fn(&str, &str) -> Option<Known> + Send + Sync>;

/// What is read whole, at most, in bytes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    request: usize,
    answer: usize,
    /// Not held, only counted.
    stream: usize,
}

// === impl Upstreams ===

impl<B> Upstreams<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// Clients for every upstream of a valid configuration; nothing is connected.
    ///
    /// `instance` names this process, so that a request that comes back to it is noticed. `health` is what is known
    /// of them so far, and what they learn of them.
    ///
    /// # Errors
    /// One line for each upstream that cannot be used as configured.
    pub fn new(
        config: &config::Config,
        instance: &str,
        health: &Health,
    ) -> Result<Self, Vec<String>> {
        let mut known = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, upstream) in &config.upstream {
            match Upstream::new(name, upstream, health) {
                Ok(upstream) => {
                    known.insert(upstream.name.clone(), Arc::new(upstream));
                }
                Err(why) => errors.push(format!("upstream.{name}: {why}")),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let instance = HeaderValue::try_from(format!("1.1 {instance}"))
            .map_err(|error| vec![format!("instance name: {error}")])?;
        let bounds = Bounds {
            request: config.server.max_body_bytes,
            answer: config.server.max_answer_bytes,
            stream: config.server.max_stream_bytes,
        };
        let home = config.default_upstream().unwrap_or_default().into();
        let config::Translate { strict, max_image_bytes, .. } = config.translate;
        Ok(Self {
            known: Arc::new(known),
            home,
            instance,
            bounds,
            images: Images::new(&config.translate),
            max_image_bytes,
            strict,
            knows: Arc::new(|_: &str, _: &str| None),
        })
    }

    /// How many requests are at each upstream, and how many wait for a place there, by its name.
    pub fn crowds(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.known.values().map(|upstream| {
            let (inside, waiting) = upstream.admission.gate().count();
            (&*upstream.name, inside, waiting)
        })
    }

    /// Translates with what is known of each model, by the names of its upstream and its own. Default: nothing is.
    #[must_use]
    pub fn knowing(
        mut self,
        knows: impl Fn(&str, &str) -> Option<Known> + Send + Sync + 'static,
    ) -> Self {
        self.knows = Arc::new(knows);
        self
    }

    async fn answer(self, request: Request<Buffered<B>>) -> Result<Response<AnswerBody>, Error> {
        let (mut head, body) = request.into_parts();
        if let Some(Refusal(error)) = head.extensions.remove() {
            return Err(error);
        }
        let target = head.extensions.remove::<Target>();
        let name = target.as_ref().map_or(&self.home, |target| &target.upstream);
        let upstream =
            self.known.get(name).ok_or_else(|| Error::Internal(format!("no upstream {name:?}")))?;
        if came_back(&head.headers, &self.instance) {
            return Err(Error::Loop { upstream: upstream.name.clone() });
        }
        let target = target.unwrap_or_else(|| upstream.target());
        upstream.receive(&mut head, &body);
        let others = others(&head, &target);
        let leave = upstream.vital.enter(others, || upstream.knock()).await?;
        let exchange = Exchange::new(upstream.clone(), &mut head, &target, &self);
        let answer = exchange.run(head, body).await;
        leave.heard(answer.as_ref().map(said));
        answer
    }
}

impl<B> Service<Request<Buffered<B>>> for Upstreams<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = Response<AnswerBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Buffered<B>>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}

impl<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> Clone for Upstreams<B> {
    fn clone(&self) -> Self {
        Self {
            known: self.known.clone(),
            home: self.home.clone(),
            instance: self.instance.clone(),
            bounds: self.bounds,
            images: self.images.clone(),
            max_image_bytes: self.max_image_bytes,
            strict: self.strict,
            knows: self.knows.clone(),
        }
    }
}

impl<B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static> fmt::Debug for Upstreams<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}

/// Whether another target is left to answer in place of this one.
fn others(head: &request::Parts, target: &Target) -> bool {
    let fallbacks = head.extensions.get::<Fallbacks>().map_or(&[][..], |fallbacks| &fallbacks.0);
    fallbacks.last().is_some_and(|last| last != target)
}

/// The status as the upstream said it.
fn said(response: &Response<AnswerBody>) -> StatusCode {
    response.extensions().get::<Said>().map_or(response.status(), |said| said.0)
}

/// Whether this process has forwarded the request already.
fn came_back(headers: &HeaderMap, instance: &HeaderValue) -> bool {
    headers.get_all(http::header::VIA).iter().any(|via| via == instance)
}
