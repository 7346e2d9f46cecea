//! Writes an attempt's decision into the request: its address, and the bytes of one JSON field.
//!
//! It belongs below retry, so that each attempt is written anew, and directly above whatever sends. What it does
//! to a request that has a [`Target`]: scheme and authority of the address (path and query stay), the `host`
//! header, and, if the target names a model and the body is whole, the bytes of that one field and
//! `content-length`. A request without a target passes untouched.
//!
//! Alone:
//!
//! ```
//! use bytes::Bytes;
//! use http::uri::{Authority, Scheme};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use unigate_layers::body::Buffered;
//! use unigate_layers::notes::Target;
//! use unigate_layers::rewrite::RewriteLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = service_fn(|request: Request<Buffered<Full<Bytes>>>| async move {
//!     Ok::<_, std::io::Error>(Response::new((request.uri().to_string(), request.into_body())))
//! });
//! let target = Target {
//!     upstream: "local".into(),
//!     scheme: Scheme::HTTP,
//!     authority: Authority::from_static("127.0.0.1:11434"),
//!     model: Some("qwen3:4b".into()),
//! };
//! let body = Buffered::whole(Bytes::from_static(br#"{"stream": true, "model": "auto"}"#));
//! let request = Request::post("/api/chat").extension(target).body(body).unwrap();
//! let response = RewriteLayer::new().layer(service).oneshot(request).await.unwrap();
//! let (address, body) = response.into_body();
//! assert_eq!(address, "http://127.0.0.1:11434/api/chat");
//! assert_eq!(body.bytes().unwrap(), r#"{"stream": true, "model": "qwen3:4b"}"#.as_bytes());
//! # }
//! ```
//!
//! In a stack, for a body that may call the field by another name:
//!
//! ```
//! # #[cfg(feature = "retry")] {
//! use unigate_layers::retry::Fallback;
//! use unigate_layers::rewrite::RewriteLayer;
//! # let (judge, client) = ((), ());
//!
//! let stack = tower::ServiceBuilder::new()
//!     .layer(tower::retry::RetryLayer::new(Fallback::new(judge)))
//!     .layer(RewriteLayer::new().fields(&["model", "name"]))
//!     .service(client);
//! # }
//! ```

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Buffered;
    use crate::testing::{Script, Step, play};
    use bytes::Bytes;
    use http::header::ACCEPT;
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    type Sent = Request<Buffered<Script>>;

    async fn send(layer: RewriteLayer, request: Sent) -> Sent {
        let inner =
            service_fn(|request: Sent| async { Ok::<_, Infallible>(Response::new(request)) });
        layer.layer(inner).oneshot(request).await.unwrap().into_body()
    }

    fn target(address: &str, model: Option<&str>) -> Target {
        Target {
            upstream: "u".into(),
            scheme: Scheme::HTTPS,
            authority: address.parse().unwrap(),
            model: model.map(Into::into),
        }
    }

    fn request(body: &'static str, target: Target) -> Sent {
        Request::post("/v1/chat?x=1&y=%20")
            .header(HOST, "gateway:1")
            .header(ACCEPT, "*/*")
            .header(CONTENT_LENGTH, body.len())
            .extension(target)
            .body(Buffered::whole(Bytes::from_static(body.as_bytes())))
            .unwrap()
    }

    #[tokio::test]
    async fn the_targets_address_and_model_are_written() {
        let was = request(r#"{"model":"a","x":1}"#, target("up:8443", Some("longer")));
        let sent = send(RewriteLayer::new(), was).await;
        assert_eq!(sent.uri(), "https://up:8443/v1/chat?x=1&y=%20");
        assert_eq!(sent.headers()[HOST], "up:8443");
        assert_eq!(sent.headers()[CONTENT_LENGTH], "24");
        assert_eq!(play(sent.into_body()), r#"{"model":"longer","x":1}"#);
    }

    #[tokio::test]
    async fn a_target_without_a_model_leaves_the_body_alone() {
        let sent = send(RewriteLayer::new(), request("{\"model\":1}", target("u", None))).await;
        assert_eq!(play(sent.into_body()), "{\"model\":1}");
    }

    #[tokio::test]
    async fn without_a_target_nothing_changes() {
        let mut was = request("{\"model\":1}", target("u", Some("m")));
        was.extensions_mut().clear();
        let sent = send(RewriteLayer::new(), was).await;
        assert_eq!(sent.uri(), "/v1/chat?x=1&y=%20");
        assert_eq!(sent.headers()[HOST], "gateway:1");
        assert_eq!(play(sent.into_body()), "{\"model\":1}");
    }

    #[tokio::test]
    async fn a_streaming_body_keeps_its_model() {
        let body = Buffered::streaming(Script::new([Step::Data("{\"model\":1}")]));
        let was = request("", target("u", Some("m"))).map(|_| body);
        let sent = send(RewriteLayer::new(), was).await;
        assert_eq!(sent.uri().host(), Some("u"));
        assert_eq!(play(sent.into_body()), "{\"model\":1}");
    }

    #[tokio::test]
    async fn the_first_field_that_is_there_is_written() {
        let layer = RewriteLayer::new().fields(&["model", "name"]);
        let sent = send(layer.clone(), request(r#"{"name":"a"}"#, target("u", Some("m")))).await;
        assert_eq!(play(sent.into_body()), r#"{"name":"m"}"#);
        let both = request(r#"{"name":"a","model":"b"}"#, target("u", Some("m")));
        assert_eq!(play(send(layer, both).await.into_body()), r#"{"name":"a","model":"m"}"#);
    }

    #[test]
    fn the_host_is_told_without_user_and_usual_port() {
        for (address, host) in [
            ("user:secret@up:443", "up"),
            ("up:80", "up:80"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(super::host(&Scheme::HTTPS, &address.parse().unwrap()), host);
        }
        assert_eq!(super::host(&Scheme::HTTP, &"up:80".parse().unwrap()), "up");
    }

    #[test]
    fn an_address_without_a_path_gets_one() {
        for was in ["*", "example.com:443"] {
            assert_eq!(moved(was.parse().unwrap(), &target("u", None)), "https://u/");
        }
    }
}
