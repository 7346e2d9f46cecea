//! The response body of a cache: an entry, or an answer that is remembered while it passes.

use super::{Entry, Fill, Key, Plan, Rules, Store, now_ms};
use crate::body::{Ending, Observer, Tee};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

// Writes under way at once; what comes while a store is that far behind is not kept.
const MAX_WRITES: usize = 256;

pin_project! {
    /// The response body of [`Cache`](super::Cache).
    #[must_use]
    pub struct Cached<R, O>
    where
        O: Observer,
    {
        #[pin]
        kind: Kind<R, O>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<R, O>
    where
        O: Observer,
    {
        Whole { #[pin] body: Full<Bytes> },
        Passing { #[pin] body: R },
        Filling { #[pin] body: Tee<R, O> },
    }
}

/// Remembers an answer while it passes, and stores it when it ended as it should.
pub struct Filler<T, L> {
    fill: L,
    store: T,
    writer: Writer,
    key: Key,
    ttl: Duration,
    status: u16,
    content_type: Option<Arc<str>>,
    max_bytes: usize,
    // `None`: too large, remembered no longer.
    seen: Option<Vec<Bytes>>,
    bytes: usize,
}

#[derive(Clone)]
pub(super) struct Writer {
    permits: Arc<Semaphore>,
}

// One of the writes that may be under way.
struct Turn {
    runtime: Handle,
    permit: OwnedSemaphorePermit,
}

// === impl Cached ===

impl<R, O: Observer> Cached<R, O> {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Whole { body: Full::new(bytes) } }
    }
}

impl<R: Body<Data = Bytes>, O: Observer> Cached<R, O> {
    pub(super) fn passing(body: R, observer: Option<O>) -> Self {
        let kind = match observer {
            Some(observer) => Kind::Filling { body: Tee::new(body, observer) },
            None => Kind::Passing { body },
        };
        Self { kind }
    }
}

impl<R: Body<Data = Bytes>, O: Observer> Body for Cached<R, O> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().kind.project() {
            KindProj::Passing { body } => body.poll_frame(cx),
            KindProj::Filling { body } => body.poll_frame(cx),
            KindProj::Whole { body } => {
                let frame: Option<Result<_, Infallible>> = ready!(body.poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { body } => body.is_end_stream(),
            Kind::Passing { body } => body.is_end_stream(),
            Kind::Filling { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { body } => body.size_hint(),
            Kind::Passing { body } => body.size_hint(),
            Kind::Filling { body } => body.size_hint(),
        }
    }
}

impl<R, O: Observer> fmt::Debug for Cached<R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Whole { .. } => "Cached(Whole)",
            Kind::Passing { .. } => "Cached(Passing)",
            Kind::Filling { .. } => "Cached(Filling)",
        })
    }
}

// === impl Filler ===

impl<T: Store, L: Fill> Filler<T, L> {
    pub(super) fn new(
        fill: L,
        store: T,
        plan: &Plan,
        head: &response::Parts,
        rules: &Rules,
    ) -> Self {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self {
            fill,
            store,
            writer: rules.writer.clone(),
            key: plan.key,
            ttl: plan.ttl,
            status: head.status.as_u16(),
            content_type: content_type.map(Arc::from),
            max_bytes: rules.max_entry_bytes,
            seen: Some(Vec::new()),
            bytes: 0,
        }
    }
}

impl<T: Store, L: Fill> Observer for Filler<T, L> {
    fn data(&mut self, data: &Bytes) {
        self.bytes = self.bytes.saturating_add(data.len());
        if self.bytes > self.max_bytes {
            self.seen = None;
        }
        if let Some(seen) = &mut self.seen {
            seen.push(data.clone());
        }
    }

    fn end(self, ending: Ending) {
        let (Ending::Complete, Some(seen)) = (ending, self.seen) else { return };
        let Self { fill, store, writer, key, ttl, status, content_type, bytes, .. } = self;
        let Some(turn) = writer.turn() else {
            store.dropped();
            return;
        };
        turn.spawn(async move {
            let mut body = BytesMut::with_capacity(bytes);
            for data in seen {
                body.extend_from_slice(&data);
            }
            let Some((body, meta)) = fill.keep(body.freeze()) else { return };
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let entry = Entry { status, content_type, body, stored_at_ms: now_ms(), ttl_ms, meta };
            store.put(key, entry).await;
        });
    }
}

impl<T, L> fmt::Debug for Filler<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filler")
            .field("key", &self.key)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

// === impl Writer ===

impl Writer {
    pub(super) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_WRITES)) }
    }

    // Outside a runtime there is nowhere to write from, and nothing is kept.
    fn turn(&self) -> Option<Turn> {
        let runtime = Handle::try_current().ok()?;
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(Turn { runtime, permit })
    }
}

// === impl Turn ===

impl Turn {
    // Off the client's path.
    fn spawn(self, write: impl Future<Output = ()> + Send + 'static) {
        let Self { runtime, permit } = self;
        runtime.spawn(async move {
            write.await;
            drop(permit);
        });
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("free", &self.permits.available_permits()).finish()
    }
}
