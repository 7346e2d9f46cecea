//! Connections to upstreams: one pooled HTTP client each, over TCP or TLS.
//!
//! Each connection looks the name up anew, and tries the addresses of both families almost side by side (RFC 8305: a
//! broken IPv6 costs 300 ms), so that an upstream may move. Idle connections are dropped after [`POOL_IDLE`].

use bytes::Bytes;
use http::Uri;
use http_body::Body;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};
use tower_service::Service;

/// A pooled client whose request bodies are `B`.
pub(super) type Http<B> = Client<Bounded<HttpsConnector<HttpConnector>>, B>;

/// An idle connection is given up before an upstream's own limit makes it stale under a request.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// Idle connections kept for each upstream.
const POOL_SIZE: usize = 32;

/// Bytes of the head of an answer, and of what is read of its body at a time.
const MAX_HEAD: usize = 64 * 1024;

/// A connector with one limit for everything before a request can be sent: name, TCP and TLS.
#[derive(Clone)]
pub(super) struct Bounded<C> {
    inner: C,
    limit: Duration,
}

/// A client that gives up connecting after `connect`. One that is never to speak TLS is spared the trust roots.
pub(super) fn client<B>(connect: Duration, secure: bool) -> Http<B>
where
    B: Body<Data = Bytes> + Send,
{
    pooled(connector(GaiResolver::new(), connect, secure), POOL_SIZE)
}

/// A client that makes a connection for each request.
pub(super) fn once<B>(connect: Duration, secure: bool) -> Http<B>
where
    B: Body<Data = Bytes> + Send,
{
    pooled(connector(GaiResolver::new(), connect, secure), 0)
}

fn pooled<B>(connector: Bounded<HttpsConnector<HttpConnector>>, size: usize) -> Http<B>
where
    B: Body<Data = Bytes> + Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(size)
        .http1_max_buf_size(MAX_HEAD)
        .retry_canceled_requests(true)
        .build(connector)
}

fn connector<R>(
    names: R,
    limit: Duration,
    secure: bool,
) -> Bounded<HttpsConnector<HttpConnector<R>>> {
    let mut tcp = HttpConnector::new_with_resolver(names);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Shared by the addresses of a name, so that the last of them is tried, too.
    tcp.set_connect_timeout(Some(limit));
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    let inner = HttpsConnectorBuilder::new()
        .with_tls_config(tls(secure))
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    Bounded { inner, limit }
}

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri>,
    C::Response: Send + 'static,
    C::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, limit) = (self.inner.call(to), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {} s", limit.as_secs_f32()),
                )
                .into()),
            }
        })
    }
}

impl<C> fmt::Debug for Bounded<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Whether a connection failed because its time was over.
pub(super) fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The system's trust roots, which is where a company puts its own; Mozilla's where the system has none.
pub(super) fn tls(secure: bool) -> ClientConfig {
    static ROOTS: OnceLock<ClientConfig> = OnceLock::new();
    let versions = || {
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring serves TLS 1.2 and 1.3")
    };
    if !secure {
        return versions().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    }
    let roots = || match versions().try_with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(error) => {
            tracing::debug!(%error, "no trust roots of the system; using the built-in ones");
            versions().with_webpki_roots().with_no_client_auth()
        }
    };
    ROOTS.get_or_init(roots).clone()
}

#[cfg(test)]
mod tests {
    //! Names that resolve as a script says; see also the system's own in the rows of the fault matrix.

    use super::*;
    use hyper_util::client::legacy::connect::dns::Name;
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicUsize, Ordering},
        time::Instant,
    };
    use tokio::net::TcpListener;

    /// Answers each question by its number; `None` never answers.
    #[derive(Clone)]
    struct Names(
        Arc<dyn Fn(usize) -> Option<io::Result<Vec<SocketAddr>>> + Send + Sync>,
        Arc<AtomicUsize>,
    );

    impl Names {
        fn new(
            answer: impl Fn(usize) -> Option<io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
        ) -> Self {
            Self(Arc::new(answer), Arc::default())
        }
    }

    impl Service<Name> for Names {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let answer = (self.0)(self.1.fetch_add(1, Ordering::SeqCst));
            Box::pin(async move {
                match answer {
                    Some(answer) => answer.map(Vec::into_iter),
                    None => std::future::pending().await,
                }
            })
        }
    }

    async fn connect(
        names: Names,
        limit: Duration,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let to = Uri::from_static("http://upstream.example/");
        connector(names, limit, false).call(to).await.map(drop)
    }

    fn listener(host: &str) -> (std::net::TcpListener, u16) {
        let listener = std::net::TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[tokio::test]
    async fn a_broken_ipv6_costs_less_than_a_second() {
        let (_listening, port) = listener("127.0.0.1");
        // The discard prefix of RFC 6666: no route, or one into nowhere.
        let both = [format!("[100::1]:{port}"), format!("127.0.0.1:{port}")];
        let names =
            Names::new(move |_| Some(Ok(both.iter().map(|a| a.parse().unwrap()).collect())));
        let begun = Instant::now();
        connect(names, Duration::from_secs(2)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn an_upstream_that_moved_is_found_by_the_next_connection() {
        let old = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let new = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let at = [old.local_addr().unwrap(), new.local_addr().unwrap()];
        let names = Names::new(move |count| Some(Ok(vec![at[count.min(1)]])));
        let mut connector = connector(names, Duration::from_secs(2), false);
        for listening in [old, new] {
            let name = |listening: &TcpListener| {
                let port = listening.local_addr().unwrap().port();
                format!("http://upstream.example:{port}/").parse::<Uri>().unwrap()
            };
            let (connected, accepted) =
                tokio::join!(connector.call(name(&listening)), listening.accept());
            connected.unwrap();
            accepted.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_says_nothing_is_bounded_by_the_time_to_connect() {
        let error = connect(Names::new(|_| None), Duration::from_secs(2)).await.unwrap_err();
        assert!(timed_out(&*error), "{error}");
    }

    #[tokio::test]
    async fn a_name_of_nobody_is_said_at_once_and_is_no_time_out() {
        let nobody = || io::Error::new(io::ErrorKind::NotFound, "no such host");
        let names = Names::new(move |_| Some(Err(nobody())));
        let error = connect(names, Duration::from_secs(2)).await.unwrap_err();
        assert!(!timed_out(&*error), "{error}");
    }
}
