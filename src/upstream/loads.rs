//! Loads of models as things of the gateway's own: one for each model and way to load it, begun by whoever wants it first, waited
//! for by all, and broken off by nobody who leaves.
//!
//! An Ollama ties a load to the request that caused it: when that client goes, the load is thrown away for everybody
//! (`server/sched.go`). So a request whose model is not in memory waits here while the gateway asks for
//! the model alone. Where that fails, the request goes on, and is told by the Ollama itself. Whether a model is in memory is
//! known from what was answered lately and from `/api/ps`; nothing is asked on behalf of a model that is known to be there.

mod memory;

use self::memory::Memory;
use super::{BoxError, Upstream, upload::Upload};
use crate::dialect::ollama::{InMemory, Making};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header::CONTENT_TYPE, header::VIA};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use unigate_layers::{
    admit::Place,
    body::Buffered,
    flight::{Flights, Pilot},
};

/// What is known of the memory of one upstream, and the loads under way.
#[derive(Debug)]
pub(super) struct Loads {
    warms: bool,
    deadline: Duration,
    memory: Mutex<Memory>,
    flights: Flights<Arc<str>>,
    looks: Flights<()>,
}

/// How long `/api/ps` may take.
const LOOK: Duration = Duration::from_secs(1);

/// Most bytes of an answer here: what is in memory is a short list.
const MAX_ANSWER: usize = 1 << 20;

impl Loads {
    pub(super) fn new(warms: bool, deadline: Duration) -> Self {
        Self {
            warms,
            deadline,
            memory: Mutex::default(),
            flights: Flights::default(),
            looks: Flights::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, making: &Making) -> bool {
        self.memory().has(making, Instant::now())
    }
}

/// Waits until this is in memory, or is not going to be.
///
/// `place` is held for as long as the load takes, by the load itself: whoever waits for it may leave, and the upstream is no less
/// busy.
pub(super) async fn ready<B>(
    upstream: &Arc<Upstream<B>>,
    making: &Making,
    place: &Place,
    via: &HeaderValue,
) where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    let loads = &upstream.loads;
    if !loads.warms || making.unloads {
        return;
    }
    if !loads.flights.is_under_way(&making.key) {
        if loads.has(making) {
            return;
        }
        if loads.memory().is_old(Instant::now()) {
            look(upstream, via).await;
        }
        if loads.has(making) || !loads.memory().is_worth_loading(making, Instant::now()) {
            return;
        }
    }
    let (landing, pilot) = loads.flights.join(making.key.clone());
    if let Some(pilot) = pilot {
        // Another one may have landed in between.
        if loads.has(making) {
            return;
        }
        let (upstream, making) = (upstream.clone(), making.clone());
        tokio::spawn(load(upstream, making, place.clone(), via.clone(), pilot));
    }
    landing.await;
}

/// A request for it was answered.
pub(super) fn answered<B>(upstream: &Arc<Upstream<B>>, making: &Making, via: &HeaderValue)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    let loads = &upstream.loads;
    if !loads.warms {
        return;
    }
    // What cannot be there beside it is not there.
    let rivals = upstream.admission.gate().rivals(&making.key);
    let now = Instant::now();
    let mut memory = loads.memory();
    for rival in &rivals {
        memory.forget_key(rival);
    }
    match making.unloads {
        true => memory.forget(&making.name),
        false => memory.used(making, now),
    }
    if memory.takes_turns(now) {
        drop(memory);
        let (upstream, via) = (upstream.clone(), via.clone());
        tokio::spawn(async move { look(&upstream, &via).await });
    }
}

/// Asks what is in memory; one question for all who want to know, which outlives them.
async fn look<B>(upstream: &Arc<Upstream<B>>, via: &HeaderValue)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    let (landing, pilot) = upstream.loads.looks.join(());
    if let Some(pilot) = pilot {
        let (upstream, via) = (upstream.clone(), via.clone());
        tokio::spawn(async move {
            see(&upstream, &via).await;
            drop(pilot);
        });
    }
    landing.await;
}

/// Asks, and notes it: what is in memory, and what does not fit beside what.
async fn see<B>(upstream: &Upstream<B>, via: &HeaderValue)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    let asked = upstream.small(Method::GET, "/api/ps", Bytes::new(), via);
    let listed = match tokio::time::timeout(LOOK, asked).await {
        Ok(Some((status, body))) if status.is_success() => InMemory::read(&body),
        _ => None,
    };
    let unix_s = crate::record::now_ms() / 1000;
    let seen = upstream.loads.memory().saw(listed, Instant::now(), unix_s);
    let gate = upstream.admission.gate();
    for (one, other) in &seen.apart {
        tracing::debug!(upstream = %upstream.name, %one, %other, "models do not fit together");
        gate.part(one, other);
    }
    gate.reconcile(&seen.together);
}

/// The load itself, which is nobody's but the gateway's.
async fn load<B>(
    upstream: Arc<Upstream<B>>,
    making: Making,
    place: Place,
    via: HeaderValue,
    pilot: Pilot<Arc<str>>,
) where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    let (loads, gate) = (&upstream.loads, upstream.admission.gate());
    let preparing = gate.prepare(&making.key);
    let before = loads.memory().making_of(&making.name);
    let (path, body) = making.request();
    let begun = Instant::now();
    let asked = upstream.small(Method::POST, path, body, &via);
    let asked = tokio::time::timeout(loads.deadline, asked);
    let answer = tokio::select! {
        biased;
        answer = asked => answer.ok().flatten(),
        () = upstream.stops(begun) => None,
    };
    let (name, took_s) = (&upstream.name, begun.elapsed().as_secs_f32());
    if matches!(&answer, Some((status, _)) if status.is_success()) {
        loads.memory().used(&making, Instant::now());
        see(&upstream, &via).await;
        if let Some(other) = loads.memory().settle(&making, before, Instant::now()) {
            gate.part(&making.key, &other);
        }
        tracing::debug!(upstream = %name, model = %making.key, took_s, "model loaded");
    } else {
        loads.memory().failed(&making, Instant::now());
        tracing::debug!(upstream = %name, model = %making.key, took_s, "model not loaded");
    }
    drop(preparing);
    drop(pilot);
    drop(place);
}

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// A request of the gateway's own, with the upstream's credential; `None` where there is no whole answer.
    async fn small(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        via: &HeaderValue,
    ) -> Option<(StatusCode, Bytes)> {
        let request = Request::builder().method(method).uri(self.address.url(path));
        let mut request = request.header(VIA, via).header(CONTENT_TYPE, "application/json");
        if let Some((name, key)) = &self.key {
            request = request.header(name, key.clone());
        }
        for (name, value) in self.provider.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Upload::new(Buffered::whole(body))).ok()?;
        let response = self.http.request(request).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.ok()?;
        Some((status, body.to_bytes()))
    }
}
