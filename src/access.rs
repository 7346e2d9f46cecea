//! Who may come in: the host they called, the origin they come from, and the key they bring.
//!
//! It stands above the buffer, so that a stranger is refused before a byte of the body is read. A web page on
//! another site can make a browser send requests to a local port; the host check stops those that came by a
//! rebound name, the origin check those that came straight. A path that could be taken for another one comes to nothing
//! here, since what is allowed is decided by it.
//!
//! Source: ollama server/routes.go allowedHostsMiddleware and envconfig/config.go AllowedOrigins; the rules are the
//! same, so that what reached Ollama reaches us.

mod cors;
mod keys;
mod names;
mod throttle;

use self::{
    keys::Keys,
    names::{host_of, is_local_name, is_local_origin},
};
use crate::{
    dialect::Operation,
    error::Error,
    front::{Answered, Front, path, render},
    peer::Peer,
    record::Record,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{HOST, ORIGIN},
    request,
};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// The rules; cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLayer {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    keys: Keys,
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
        Self { rules: Arc::new(Rules { keys: Keys::new(keys), hosts, origins, manage }) }
    }

    /// How many wrong keys one address may bring in a minute; 0 is any number. Default 0.
    ///
    /// Beyond it no guess from there is judged for a while: the answer is 429. A right key comes in all the same, if it
    /// is too long to be guessed or has come in from there before. Addresses are told apart by [`Peer`].
    /// A layer that was cloned before keeps what it was told first.
    #[must_use]
    pub fn max_failures_per_min(mut self, failures: u32) -> Self {
        if let Some(rules) = Arc::get_mut(&mut self.rules) {
            rules.keys.throttle(failures);
        }
        self
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
                let keyless = matches!(error, Error::Unauthorized(_) | Error::Throttled { .. });
                let origin = origin.filter(|_| keyless);
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
        } else if cors::is_of_another_site(&head.method, &head.headers) {
            return Err(Error::Forbidden(
                "a page of another site sent this, and does not say which one; \
                 let it send an Origin, and add that to server.allowed_origins"
                    .into(),
            ));
        }
        path::plain(&head.method, head.uri.path(), &head.headers)?;
        let path = head.uri.path();
        if matches!(path, "/health" | "/healthz" | "/livez" | "/readyz") {
            return Ok(None);
        }
        let from = head.extensions.get::<Peer>().copied();
        if let Some(client) = self.keys.judge(&head.headers, from)? {
            let id: String = client.0[..4].iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = Record::of(&mut head.extensions).key_id.set(id.into());
            head.extensions.insert(client);
        }
        let manages = match Front::of(&head.extensions).operation {
            Some(Operation::Pull | Operation::Manage | Operation::Blob) => true,
            Some(_) => false,
            // Ollama signs in and out there, and whatever it will do there tomorrow.
            None => path.starts_with("/api/"),
        };
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
        // All that it calls us: whoever stands between may have looked at another one than we would.
        let headers = head.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or("?"));
        let authority = head.uri.authority().map(http::uri::Authority::as_str);
        for seen in headers.chain(authority) {
            let host = host_of(seen);
            let listed = |h: &String| h == "*" || h.eq_ignore_ascii_case(host);
            if !is_local_name(host) && !self.hosts.iter().any(listed) {
                return Err(Error::Forbidden(format!(
                    "host {host:?} is not allowed (a guard against DNS rebinding); \
                     add it to server.allowed_hosts"
                )));
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests;
