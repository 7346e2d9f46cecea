//! Reads what the client wants from a whole body, once, and refuses what cannot be read.

use super::{Answered, Front, render};
use crate::{
    dialect::{Ask, Operation},
    error::Error,
    record::Record,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;
use unigate_layers::body::Replay;

/// Pins an [`Ask`] to each request whose body is whole and says one.
///
/// A body that is still streaming (an upload, or one above the buffer's limit) has no ask and passes. A whole one
/// that is not what its operation takes is answered with 400 in the client's dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskLayer;

/// The longest name of a model, in bytes: it stands in headers, messages and rows of the log. Hugging Face's names, with
/// host, organisation and quantisation, stay below 300.
const MAX_MODEL: usize = 1024;

/// The service of [`AskLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Asking<S> {
    inner: S,
}

// === impl AskLayer ===

impl<S> Layer<S> for AskLayer {
    type Service = Asking<S>;

    fn layer(&self, inner: S) -> Asking<S> {
        Asking { inner }
    }
}

// === impl Asking ===

impl<S, B, R> Service<Request<B>> for Asking<S>
where
    B: Replay,
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = Answered<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let front = Front::of(request.extensions());
        keep_prompt(&request);
        match read(front, &request) {
            Ok(Some(ask)) => {
                let record = Record::of(request.extensions_mut());
                if let Some(model) = &ask.model {
                    let _ = record.asked.set(model.clone());
                }
                let _ = record.streamed.set(ask.stream);
                request.extensions_mut().insert(ask);
            }
            Ok(None) => {}
            Err(error) => {
                let record = Record::of(request.extensions_mut());
                return Answered::here(render(front, Some(&record), &error));
            }
        }
        Answered::pass(self.inner.call(request))
    }
}

/// The log may want the text; here is the first place that has it whole.
fn keep_prompt<B: Replay>(request: &Request<B>) {
    if let Some(record) = request.extensions().get::<Record>()
        && record.keep_prompt.get().is_some()
        && let Some(body) = request.body().bytes()
    {
        let text = String::from_utf8_lossy(&body[..body.len().min(Record::MAX_TEXT)]).into_owned();
        let _ = record.prompt.set(text);
    }
}

fn read<B: Replay>(front: Front, request: &Request<B>) -> Result<Option<Ask>, Error> {
    let (Some(operation), Some(body)) = (front.operation, request.body().bytes()) else {
        return Ok(None);
    };
    let ask = match operation {
        Operation::Chat
        | Operation::Generate
        | Operation::Embed
        | Operation::EmbedOne
        | Operation::Count
        | Operation::Pull => front.dialect.ask(operation, body).map(Some),
        Operation::Model if request.method() == http::Method::POST => {
            front.dialect.ask(operation, body).map(Some)
        }
        Operation::Other | Operation::Manage if !body.is_empty() => {
            front.dialect.ask(operation, body).map(Some)
        }
        _ => Ok(None),
    }?;
    match ask.as_ref().and_then(|ask| ask.model.as_ref()) {
        Some(model) if model.len() > MAX_MODEL => Err(Error::BadRequest(format!(
            "\"model\" is longer than {MAX_MODEL} bytes, which is no model's name"
        ))),
        _ => Ok(ask),
    }
}
