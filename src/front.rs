//! The face to the client: names the dialect, reads the ask, signs the answer, and renders errors.
//!
//! Four pieces of it stand in the stack: [`NameLayer`] right below the log (method and path alone say which
//! dialect this is), [`DecodeLayer`] below the buffer (a whole body is decompressed), [`AskLayer`] below that (it is
//! read once), and [`Errors`] as the render of the rescue layer.

mod answer;
mod ask;
pub(crate) mod decode;
mod name;
pub mod path;

pub(crate) use self::name::attempts_line;
pub use self::{
    answer::Answered,
    ask::{AskLayer, Asking},
    decode::{DecodeLayer, Decoding, Encoded},
    name::{NameLayer, Naming},
};

use crate::{
    dialect::{
        Dialect, Operation, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI,
        responses::RESPONSES,
    },
    error::Error,
    record::Record,
};
use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderValue, Method, Request, Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use unigate_layers::rescue::Render;

/// Which dialect the client speaks and what it wants done; pinned to the request by [`NameLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Front {
    /// The dialect of the path; Ollama's for paths that belong to nobody, since that is whose place we take.
    pub dialect: &'static dyn Dialect,
    /// The operation; `None` for a path that no dialect knows.
    pub operation: Option<Operation>,
}

impl Front {
    /// Names a request by its method, its path and, where two dialects share a path, its headers.
    ///
    /// `/v1/models` is OpenAI's, unless `anthropic-version` says otherwise: every Anthropic client sends it, nobody else.
    pub fn name(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let messages = path == "/v1/messages" || path.starts_with("/v1/messages/");
        let anthropic = messages || headers.contains_key(ANTHROPIC_VERSION);
        let first: &'static dyn Dialect = if anthropic { &ANTHROPIC } else { &OPENAI };
        for dialect in [&OLLAMA as &'static dyn Dialect, &RESPONSES, first, &OPENAI] {
            if let Some(operation) = dialect.operation(method, path) {
                return Self { dialect, operation: Some(operation) };
            }
        }
        let v1 = path == "/v1" || path.starts_with("/v1/");
        Self { dialect: if v1 { first } else { &OLLAMA }, operation: None }
    }

    /// What was pinned to a request; an unknown path in Ollama's dialect when nothing was.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self { dialect: &OLLAMA, operation: None })
    }

    /// Whether the path is one of the gateway's own.
    pub fn is_own(path: &str) -> bool {
        matches!(path, "/health" | "/healthz" | "/livez" | "/readyz" | "/metrics" | "/unigate")
            || path.starts_with("/unigate/")
    }
}

/// The header by which an Anthropic client says which version of the API it means.
pub const ANTHROPIC_VERSION: &str = "anthropic-version";

/// The ask, when a whole body said it; pinned to the request by [`AskLayer`].
pub use crate::dialect::Ask;

/// Who was let in: the digest of their key, absent when no key is configured. Pinned to the request by access.
///
/// The cache keeps one client's answers from another by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub [u8; 32]);

/// The router's word that nothing can serve this request. The leaf returns it as its error.
#[derive(Clone, Debug)]
pub struct Refusal(pub Error);

/// Renders errors in the dialect of whoever asked; for [`unigate_layers::rescue::RescueLayer`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Errors;

impl<B> Render<B, Error> for Errors {
    type Seen = (Front, Option<Record>);

    fn see(&self, request: &Request<B>) -> Self::Seen {
        (Front::of(request.extensions()), request.extensions().get().cloned())
    }

    fn render(&self, (front, record): Self::Seen, error: Error) -> Response<Bytes> {
        render(front, record.as_ref(), &error)
    }
}

/// An error as a response in the client's dialect; the record learns of it.
pub fn render(front: Front, record: Option<&Record>, error: &Error) -> Response<Bytes> {
    let mut status = error.status();
    // Ollama's command line turns every 401 into "sign in to ollama.com" and drops the message.
    if status == http::StatusCode::UNAUTHORIZED && front.dialect.name() == "ollama" {
        status = http::StatusCode::FORBIDDEN;
    }
    if let Some(record) = record {
        let _ = record.fault.set((error.code(), error.to_string()));
    }
    let id = record.map_or("", |record| &record.id);
    let mut response = Response::new(front.dialect.error(error, id));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(after) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64));
    }
    // The gateway has spent its own attempts: an SDK that retries would multiply them.
    if error.is_spent() {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(method: &Method, path: &str, version: bool) -> (&'static str, Option<Operation>) {
        let mut headers = HeaderMap::new();
        if version {
            headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
        }
        let front = Front::name(method, path, &headers);
        (front.dialect.name(), front.operation)
    }

    #[test]
    fn a_shared_path_belongs_to_anthropic_where_its_version_is_named() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, path, version, dialect, operation) in [
            (&post, "/v1/messages", false, "anthropic", Some(Operation::Chat)),
            (&post, "/v1/messages/count_tokens", false, "anthropic", Some(Operation::Count)),
            (&get, "/v1/messages/batches/b1", false, "anthropic", Some(Operation::Other)),
            (&get, "/v1/models", true, "anthropic", Some(Operation::Models)),
            (&get, "/v1/models/hf.co/a", true, "anthropic", Some(Operation::Model)),
            (&get, "/v1/models", false, "openai", Some(Operation::Models)),
            (&post, "/v1/responses", false, "responses", Some(Operation::Chat)),
            (&post, "/v1/responses", true, "responses", Some(Operation::Chat)),
            (&get, "/v1/responses/resp_1", false, "openai", Some(Operation::Other)),
            (&post, "/v1/responses/resp_1/cancel", false, "openai", Some(Operation::Other)),
            (&post, "/v1/chat/completions", true, "openai", Some(Operation::Chat)),
            (&post, "/v1/files", true, "anthropic", Some(Operation::Other)),
            (&post, "/v1/files", false, "openai", Some(Operation::Other)),
            (&get, "/v1/", true, "anthropic", None),
            (&get, "/", true, "ollama", Some(Operation::Root)),
        ] {
            let named = name(method, path, version);
            assert_eq!(named, (dialect, operation), "{method} {path} {version}");
        }
    }
}
