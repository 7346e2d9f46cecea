//! Writes an attempt's decision into the request: its address, and the bytes of one JSON field.

mod json;

pub use json::{find, splice};

use crate::body::Replace;
use crate::notes::Target;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Applies the request's [`Target`].
#[derive(Clone, Debug)]
pub struct RewriteLayer {
    fields: &'static [&'static str],
}

/// The service of [`RewriteLayer`].
#[derive(Clone, Debug)]
pub struct Rewrite<S> {
    inner: S,
    fields: &'static [&'static str],
}

// === impl RewriteLayer ===

impl RewriteLayer {
    /// Writes the address, and the target's model into the field `model`.
    pub fn new() -> Self {
        Self { fields: &["model"] }
    }

    /// The top-level fields that may name the model; the first one that the body has is written.
    /// Default: `["model"]`.
    #[must_use]
    pub fn fields(mut self, fields: &'static [&'static str]) -> Self {
        self.fields = fields;
        self
    }
}

impl Default for RewriteLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RewriteLayer {
    type Service = Rewrite<S>;

    fn layer(&self, inner: S) -> Rewrite<S> {
        Rewrite { inner, fields: self.fields }
    }
}

// === impl Rewrite ===

impl<S, B, R> Service<Request<B>> for Rewrite<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: Replace,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(target) = Target::of(&request).cloned() {
            address(&mut request, &target);
            if let Some(model) = &target.model {
                rename(&mut request, self.fields, model);
            }
        }
        self.inner.call(request)
    }
}

fn address<B>(request: &mut Request<B>, target: &Target) {
    let uri = std::mem::take(request.uri_mut());
    *request.uri_mut() = moved(uri, target);
    // The name the client called us by is not the upstream's.
    match HeaderValue::from_str(host(&target.scheme, &target.authority)) {
        Ok(host) => drop(request.headers_mut().insert(HOST, host)),
        Err(_) => drop(request.headers_mut().remove(HOST)),
    }
}

fn moved(uri: Uri, target: &Target) -> Uri {
    let was = uri.into_parts();
    let mut parts = Parts::default();
    parts.scheme = Some(target.scheme.clone());
    parts.authority = Some(target.authority.clone());
    // An address needs a path once it has an authority: `OPTIONS *` and `CONNECT` become `/`.
    parts.path_and_query = Some(match was.path_and_query {
        Some(path) if path.path() != "*" => path,
        Some(_) | None => PathAndQuery::from_static("/"),
    });
    Uri::from_parts(parts).unwrap_or_default()
}

// Without user information, and without the port that the scheme means anyway.
fn host<'a>(scheme: &Scheme, authority: &'a Authority) -> &'a str {
    let text = authority.as_str();
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let usual = if *scheme == Scheme::HTTPS { ":443" } else { ":80" };
    text.strip_suffix(usual).unwrap_or(text)
}

fn rename<B: Replace>(request: &mut Request<B>, fields: &[&str], model: &str) {
    let Some(body) = request.body().bytes() else { return };
    let Some(body) = fields.iter().find_map(|field| splice(body, field, model)) else { return };
    if request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    request.body_mut().set_bytes(body);
}
