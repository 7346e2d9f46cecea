//! The accept loop and the way to stop it, generic over any service.
//!
//! HTTP/1.1 and cleartext HTTP/2 on one port. The caller owns the listener and the reason to stop.

mod deadline;
mod drained;
mod drawn;
mod guard;
mod heads;
mod pauses;
mod socket;
mod tcp;

pub(crate) use self::deadline::Deadline;
pub use self::{
    drained::{Drained, Late},
    heads::Ambiguous,
    socket::connections,
};

use self::{
    drawn::{Drawing, Drawn, Streams},
    guard::Guard,
    heads::Oddities,
    pauses::{Pauses, is_of_one_connection},
    tcp::Tcp,
};
use crate::peer::Peered;
use bytes::Bytes;
use http::{Request, Response, Version, header::TRANSFER_ENCODING};
use http_body::Body;
use hyper::{body::Incoming, service::Service as HyperService};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, watch},
};
use tower_service::Service;

/// The listener's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait in the system's queue. Default 1024.
    pub connections: usize,
    /// How long a connection may take to say its first byte, and again to show which protocol it speaks. Default 10 s.
    pub first_byte: Duration,
    /// How long the head of a request may take, idle connections included. Default 10 s.
    pub head: Duration,
    /// How long a client may take nothing of its answer: the connection then, or the HTTP/2 stream, and the upstream
    /// request with it. Default 60 s.
    pub write: Duration,
    /// How long running requests get to finish once the gateway stops. Default 30 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            write: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

/// A connection's way into the service: what was odd before hyper read it is pinned to the request.
struct Entry<S> {
    service: TowerToHyperService<S>,
    odd: Arc<Oddities>,
    /// Told of each request.
    asked: Arc<Notify>,
}

/// The most headers a request may have: what clients and proxies add is a few dozen.
const MAX_HEADERS: usize = 100;

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// How long a connection that has not asked for anything may still do so when the gateway stops.
const LATE: Duration = Duration::from_millis(250);

/// Serves until `shutdown`, then lets what is running finish for `limits.drain`; `hurry` cuts that short.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    socket::prepare(&listener, limits.write);
    let places = Arc::new(Semaphore::new(limits.connections));
    let server = Arc::new(server(limits));
    let graceful = GracefulShutdown::new();
    let (closing, closed) = watch::channel(());
    let (cutting, cut) = watch::channel(());
    let mut shutdown = std::pin::pin!(shutdown);
    let mut pauses = Pauses::default();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.expect("never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            // No descriptors or no memory left: accepting again at once would only spin.
            Err(error) => {
                tokio::select! {
                    biased;
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(pauses.next(&error)) => continue,
                }
            }
        };
        pauses.over();
        let _ = stream.set_nodelay(true);
        let (server, service, watcher) = (server.clone(), service.clone(), graceful.watcher());
        let (mut closed, mut cut) = (closed.clone(), cut.clone());
        tokio::spawn(async move {
            // The drain lasts as long as there is one of these.
            let _held = (place, watcher);
            // Who has not said a byte when the gateway stops is not waited for, but for a moment: what it asks may be on
            // its way.
            let speaks = tokio::select! {
                speaks = speaks(&stream, limits.first_byte) => speaks,
                _ = closed.changed() => speaks(&stream, LATE).await,
            };
            if !speaks {
                return;
            }
            let (stream, watch) = Tcp::new(stream);
            let (io, entry) = entry(stream, Peered::new(service, peer.ip()), limits);
            let asked = entry.asked.clone();
            let connection = server.serve_connection(io, entry).into_owned();
            let served = async {
                let mut connection = std::pin::pin!(connection);
                // Told to end before its first request, it would end without an answer to it.
                let last = async {
                    let _ = closed.changed().await;
                    let _ = tokio::time::timeout(LATE, asked.notified()).await;
                };
                let ended = tokio::select! {
                    biased;
                    ended = connection.as_mut() => ended,
                    () = last => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended with an error");
                }
                watch.linger().await;
            };
            tokio::select! {
                () = served => {}
                // Dropped, and its requests with it.
                () = watch.left() => {}
                _ = cut.changed() => {}
            }
        });
    }
    drop(listener);
    drop(closing);
    let running = graceful.count();
    if running > 0 {
        tracing::info!(connections = running, "draining");
    }
    tokio::select! {
        () = graceful.shutdown() => return Drained::All,
        () = tokio::time::sleep(limits.drain) => {}
        () = hurry => {}
    }
    Drained::Late(Late { all: limits.connections, places, cutting })
}

/// Serves one connection to its end, whatever it runs over, with the same bounds as [`serve`].
///
/// # Errors
/// As hyper tells them: what came was not HTTP, was too slow, or broke off.
pub async fn connection<IO, S, B>(
    io: IO,
    service: S,
    limits: Limits,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (io, entry) = entry(io, service, limits);
    server(limits).serve_connection(io, entry).await
}

fn entry<IO, S>(io: IO, service: S, limits: Limits) -> (TokioIo<Guard<IO>>, Entry<S>) {
    let odd = Arc::new(Oddities::default());
    let guard = Guard::new(io, odd.clone(), limits.first_byte, limits.write);
    let (service, asked) = (TowerToHyperService::new(service), Arc::default());
    (TokioIo::new(guard), Entry { service, odd, asked })
}

// === impl Entry ===

impl<S, B> HyperService<Request<Incoming>> for Entry<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
{
    type Response = Response<Drawn<B>>;
    type Error = S::Error;
    type Future = Drawing<<TowerToHyperService<S> as HyperService<Request<Incoming>>>::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.asked.notify_one();
        let coded = request.headers().contains_key(TRANSFER_ENCODING);
        if let Some(ambiguous) = self.odd.of(coded) {
            request.extensions_mut().insert(ambiguous);
        }
        let pieces = request.version() == Version::HTTP_2;
        Drawing { inner: self.service.call(request), pieces }
    }
}

// Source of the windows: Envoy docs/root/configuration/best_practices/edge.rst.
fn server(limits: Limits) -> auto::Builder<Streams> {
    let mut server = auto::Builder::new(Streams { takes: limits.write });
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1 << 20)
        .max_frame_size(16 * 1024)
        .max_send_buf_size(64 * 1024)
        .max_header_list_size(16 * 1024)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    server
}

/// Whether the client says anything in time; a connection that never does holds its place no longer.
async fn speaks(stream: &TcpStream, patience: Duration) -> bool {
    let mut byte = [0];
    matches!(tokio::time::timeout(patience, stream.peek(&mut byte)).await, Ok(Ok(1)))
}
