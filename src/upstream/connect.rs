//! Connections to upstreams: one pooled HTTP client each, over TCP or TLS.

use bytes::Bytes;
use http_body::Body;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// A pooled client whose request bodies are `B`.
pub(super) type Http<B> = Client<HttpsConnector<HttpConnector>, B>;

/// An idle connection is given up before an upstream's own limit makes it stale under a request.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// Idle connections kept for each upstream.
const POOL_SIZE: usize = 32;

/// Bytes of the head of an answer, and of what is read of its body at a time.
const MAX_HEAD: usize = 64 * 1024;

/// A client that gives up connecting after `connect`. One that is never to speak TLS is spared the trust roots.
pub(super) fn client<B>(connect: Duration, secure: bool) -> Http<B>
where
    B: Body<Data = Bytes> + Send,
{
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls(secure))
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .http1_max_buf_size(MAX_HEAD)
        .retry_canceled_requests(true)
        .build(https)
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
