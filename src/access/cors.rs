//! What a browser must be told before a page of an allowed origin may talk to us.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, VARY,
    },
};

/// Response headers that a page may read beyond the few that browsers always show.
const EXPOSED: &str = "x-request-id, request-id, x-unigate-route, x-unigate-model, x-unigate-upstream, \
    x-unigate-attempts, x-unigate-fallback, x-unigate-cache, x-unigate-warning, age, cache-status, \
    retry-after, server-timing";

/// Whether this asks for permission only.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a browser says that another site's page made it send this, and not as a link that somebody followed.
///
/// Source: W3C Fetch Metadata Request Headers, sections 2 and 4.
pub(super) fn is_of_another_site(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name, what: &str| headers.get(name).is_some_and(|value| value == what);
    let followed = method == Method::GET
        && says("sec-fetch-mode", "navigate")
        && says("sec-fetch-dest", "document");
    says("sec-fetch-site", "cross-site") && !followed
}

/// The permission. The headers asked for are granted as asked: SDKs send ever new `x-stainless-*` names.
///
/// Source of the methods and the age: ollama server/routes.go GenerateRoutes with gin-contrib/cors.
pub(super) fn preflight(origin: &HeaderValue, asked: &HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"),
    );
    if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("43200"));
    headers.insert(
        VARY,
        HeaderValue::from_static(
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        ),
    );
    response
}

/// Lets a page of this origin read the answer. What an upstream said about origins is replaced: ours is the door.
pub(super) fn allow(origin: &HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(VARY, HeaderValue::from_static("Origin"));
}
