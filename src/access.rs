//! Who may come in: the host they called, the origin they come from, and the key they bring.
//!
//! It stands above the buffer, so that a stranger is refused before a byte of the body is read. A web page on
//! another site can make a browser send requests to a local port; the host check stops those that came by a
//! rebound name, the origin check those that came straight.
//!
//! Source: ollama server/routes.go allowedHostsMiddleware and envconfig/config.go AllowedOrigins; the rules are the
//! same, so that what reached Ollama reaches us.

mod cors;

use crate::{
    dialect::Operation,
    error::Error,
    front::{Answered, Client, Front, render},
    record::Record,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{AUTHORIZATION, HOST, ORIGIN},
    request,
};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use sha2::{Digest, Sha256};
use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use subtle::ConstantTimeEq;
use tower_layer::Layer;
use tower_service::Service;

/// The rules; cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLayer {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    keys: Vec<[u8; 32]>,
    hosts: Vec<String>,
    origins: Vec<String>,
    manage: bool,
}

/// The service of [`AccessLayer`].
#[derive(Clone, Debug)]
pub struct Access<S> {
    inner: S,
    rules: Arc<Rules>,
}

pin_project! {
    /// The future of [`Access`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        answered: Answered<F>,
        // Where a browser comes from; it may read the answer of whoever let it in.
        origin: Option<HeaderValue>,
    }
}

// === impl AccessLayer ===

impl AccessLayer {
    /// A door without a lock: any key, or none, is let in; management routes are allowed.
    pub fn open() -> Self {
        Self::new(&[], Vec::new(), Vec::new(), true)
    }

    /// * `keys`: secrets of which one must be brought; none: nobody is asked for one. Only their digests are kept.
    /// * `hosts`: names that `Host` may have beyond the local ones; `*` for any.
    /// * `origins`: origins that a browser may come from beyond the local ones; `*` for any.
    /// * `manage`: whether models may be pulled, pushed, created, copied and deleted.
    pub fn new(keys: &[&str], hosts: Vec<String>, origins: Vec<String>, manage: bool) -> Self {
        let keys = keys.iter().map(|key| digest(key.as_bytes())).collect();
        Self { rules: Arc::new(Rules { keys, hosts, origins, manage }) }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access { inner, rules: self.rules.clone() }
    }
}

// === impl Access ===

impl<S, B, R> Service<Request<B>> for Access<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let origin = head.headers.get(ORIGIN).cloned();
        match self.rules.admit(&mut head) {
            Ok(None) => {
                let inner = self.inner.call(Request::from_parts(head, body));
                ResponseFuture { answered: Answered::pass(inner), origin }
            }
            Ok(Some(preflight)) => {
                ResponseFuture { answered: Answered::here(preflight), origin: None }
            }
            Err(error) => {
                let front = Front::of(&head.extensions);
                let record = Record::of(&mut head.extensions);
                let response = render(front, Some(&record), &error);
                // A page that may come in may also read why its key was refused.
                let origin = origin.filter(|_| matches!(error, Error::Unauthorized(_)));
                ResponseFuture { answered: Answered::here(response), origin }
            }
        }
    }
}

// === impl Rules ===

impl Rules {
    /// `Ok(None)`: come in. `Ok(Some(_))`: a preflight, answered here.
    fn admit(&self, head: &mut request::Parts) -> Result<Option<Response<Bytes>>, Error> {
        self.host(head)?;
        if let Some(origin) = head.headers.get(ORIGIN) {
            self.origin(origin, &head.headers)?;
            if cors::is_preflight(&head.method, &head.headers) {
                return Ok(Some(cors::preflight(origin, &head.headers)));
            }
        }
        let path = head.uri.path();
        if matches!(path, "/health" | "/healthz" | "/livez" | "/readyz") {
            return Ok(None);
        }
        if let Some(client) = self.key(&head.headers)? {
            let id: String = client.0[..4].iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = Record::of(&mut head.extensions).key_id.set(id.into());
            head.extensions.insert(client);
        }
        let operation = Front::of(&head.extensions).operation;
        let manages =
            matches!(operation, Some(Operation::Pull | Operation::Manage | Operation::Blob));
        if manages && !self.manage {
            return Err(Error::Forbidden(
                "this gateway does not let its clients change which models are installed; \
                 set server.allow_manage = true to allow it"
                    .into(),
            ));
        }
        // Profiles and stacks of the Ollama process are nobody's business here.
        if path.starts_with("/debug/") {
            return Err(Error::Forbidden("/debug is not served through the gateway".into()));
        }
        Ok(None)
    }

    fn host(&self, head: &request::Parts) -> Result<(), Error> {
        let header = head.headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
        let seen = header.or_else(|| head.uri.authority().map(http::uri::Authority::as_str));
        let Some(seen) = seen else { return Ok(()) };
        let host = host_of(seen);
        if is_local_name(host)
            || self.hosts.iter().any(|h| h == "*" || h.eq_ignore_ascii_case(host))
        {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "host {host:?} is not allowed (a guard against DNS rebinding); \
             add it to server.allowed_hosts"
        )))
    }

    fn origin(&self, origin: &HeaderValue, headers: &HeaderMap) -> Result<(), Error> {
        let seen = origin.to_str().unwrap_or("?");
        let own = headers.get(HOST).and_then(|host| host.to_str().ok());
        let is_own = own.is_some_and(|own| {
            seen.strip_prefix("http://").or_else(|| seen.strip_prefix("https://")) == Some(own)
        });
        let listed = |o: &String| o == "*" || o.trim_end_matches('/').eq_ignore_ascii_case(seen);
        if is_own || is_local_origin(seen) || self.origins.iter().any(listed) {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "origin {seen:?} is not allowed; add it to server.allowed_origins"
        )))
    }

    fn key(&self, headers: &HeaderMap) -> Result<Option<Client>, Error> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let Some(brought) = brought(headers) else {
            return Err(Error::Unauthorized(
                "this gateway needs a key; send it as \"Authorization: Bearer <key>\"".into(),
            ));
        };
        let digest = digest(brought);
        // Every key is compared, so that the time says nothing about which one was close.
        let known = self.keys.iter().fold(subtle::Choice::from(0), |known, key| {
            known | key.as_slice().ct_eq(digest.as_slice())
        });
        if bool::from(known) {
            return Ok(Some(Client(digest)));
        }
        Err(Error::Unauthorized("this key is not one of the gateway's".into()))
    }
}

// === impl ResponseFuture ===

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Either<Full<Bytes>, R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.answered.poll(cx))?;
        if let Some(origin) = this.origin {
            cors::allow(origin, response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

/// The key a client brought: `Authorization: Bearer`, `x-api-key`, or `X-Gateway-Key`.
fn brought(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
    });
    // A client with a credential of another kind in `Authorization` may bring the gateway's key beside it.
    let named = ["x-gateway-key", "x-api-key"].iter().find_map(|name| headers.get(*name));
    named.map(HeaderValue::as_bytes).or(bearer).filter(|key| !key.is_empty())
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The host of an authority: without the port, without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(':') => {
            host
        }
        _ => authority,
    }
}

/// Names that only resolve to machines the user trusts, and every address literal: a rebound name is never one.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.is_empty()
        || host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || [".localhost", ".local", ".internal"].iter().any(|end| {
            host.len() > end.len() && host[host.len() - end.len()..].eq_ignore_ascii_case(end)
        })
        || own_name().is_some_and(|own| own.eq_ignore_ascii_case(host))
}

fn own_name() -> Option<&'static str> {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    })
    .as_deref()
}

fn is_local_origin(origin: &str) -> bool {
    const APPS: [&str; 5] =
        ["app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"];
    if APPS.iter().any(|app| origin.starts_with(app)) {
        return true;
    }
    let Some(rest) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    matches!(host_of(rest), "localhost" | "127.0.0.1" | "0.0.0.0" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::post("/v1/chat/completions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn rules(keys: &[&str]) -> Arc<Rules> {
        AccessLayer::new(keys, vec!["gw.example.com".into()], vec![], true).rules
    }

    #[test]
    fn local_names_and_address_literals_are_let_in_and_a_rebound_name_is_not() {
        for host in [
            "localhost:11435",
            "127.0.0.1",
            "[::1]:80",
            "box.local",
            "10.0.0.7:1",
            "gw.example.com",
        ] {
            assert!(rules(&[]).admit(&mut head(&[("host", host)])).is_ok(), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "local", "127.0.0.1.nip.io:80"] {
            assert!(rules(&[]).admit(&mut head(&[("host", host)])).is_err(), "{host}");
        }
    }

    #[test]
    fn pages_of_local_tools_are_let_in_and_pages_of_other_sites_are_not() {
        for origin in [
            "http://localhost:3000",
            "app://obsidian.md",
            "vscode-webview://x",
            "https://127.0.0.1",
        ] {
            assert!(rules(&[]).admit(&mut head(&[("origin", origin)])).is_ok(), "{origin}");
        }
        for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
            assert!(rules(&[]).admit(&mut head(&[("origin", origin)])).is_err(), "{origin}");
        }
    }

    #[test]
    fn a_page_that_the_gateway_itself_serves_is_let_in() {
        let own = [("host", "gw.example.com"), ("origin", "https://gw.example.com")];
        assert!(rules(&[]).admit(&mut head(&own)).is_ok());
    }

    #[test]
    fn a_key_is_accepted_in_each_of_its_three_places() {
        let rules = rules(&["other", "sesame"]);
        for (name, value) in [
            ("authorization", "Bearer sesame"),
            ("authorization", "bearer sesame"),
            ("x-api-key", "sesame"),
            ("x-gateway-key", "sesame"),
        ] {
            assert!(rules.admit(&mut head(&[(name, value)])).is_ok(), "{name}: {value}");
        }
        for headers in [
            &[][..],
            &[("authorization", "Bearer sesam")],
            &[("authorization", "sesame")],
            &[("x-api-key", "")],
        ] {
            assert!(
                matches!(rules.admit(&mut head(headers)), Err(Error::Unauthorized(_))),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn without_configured_keys_any_key_will_do() {
        assert!(rules(&[]).admit(&mut head(&[("authorization", "Bearer local")])).is_ok());
    }
}
