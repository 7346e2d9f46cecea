//! What becomes of a request at the leaf: its path, its content type and its bytes as the upstream takes them.

use super::{BoxError, exchange::Exchange};
use crate::{
    dialect::{Operation, StreamUsage, anthropic, ollama},
    error::Error,
    front::Front,
    translate::{self, Pair},
};
use bytes::Bytes;
use http::{HeaderValue, Uri, header::CONTENT_TYPE, request, uri::PathAndQuery};
use hyper::body::Body;
use std::sync::Arc;
use unigate_layers::body::Buffered;

/// What becomes of a request at the leaf.
pub(super) enum Outgoing<B: Body<Data = Bytes>> {
    /// It goes upstream.
    Send { body: Buffered<B>, strip_usage: bool },
    /// So many times, a choice of the answer each.
    Several(Vec<Bytes>),
    /// It needs no upstream.
    Answered(Bytes),
    /// The upstream does not count tokens; this is about right.
    Estimated(Bytes),
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// Path, content type and bytes as this upstream takes them.
    pub(super) async fn outgoing(
        &mut self,
        head: &mut request::Parts,
        body: Buffered<B>,
    ) -> Result<Outgoing<B>, Error> {
        let pass = |body| Ok(Outgoing::Send { body, strip_usage: false });
        if let Some(pair) = self.pair
            && pair.operation == Operation::Count
            && !pair.same()
        {
            let too_large = Error::TooLarge { limit: self.bounds.request };
            return anthropic::estimate(body.bytes().ok_or(too_large)?).map(Outgoing::Estimated);
        }
        let Some(pair) = self.pair.filter(|_| self.is_translatable()) else {
            if self.pair.is_some_and(|pair| !pair.same()) {
                return Err(Error::Unsupported(format!(
                    "not supported by this gateway: {} does not speak {} for {}",
                    self.upstream.name,
                    Front::of(&head.extensions).dialect.name(),
                    head.uri.path()
                )));
            }
            self.address(head, None)?;
            return pass(body);
        };
        let Some(whole) = body.bytes().cloned() else {
            if !pair.same() {
                return Err(Error::TooLarge { limit: self.bounds.request });
            }
            self.address(head, None)?;
            return pass(body);
        };
        let (id, model) = (self.reply.id.clone(), self.reply.model.clone());
        self.reply = pair.reply(&whole, id, self.reply.created_ms, model);
        if !pair.same()
            && pair.client.name() == "ollama"
            && let Some(answer) = ollama::load_answer(pair.operation, &whole, &self.reply)?
        {
            return Ok(Outgoing::Answered(answer));
        }
        let (translated, more) = if pair.same() {
            (pair.pass(&whole, &self.aim), Vec::new())
        } else {
            self.translated(pair, &whole).await?
        };
        let path = pair.upstream.path(translated.operation).filter(|_| !pair.same());
        self.reply.calls_as_text = translated.calls_as_text;
        self.warning = self.worded(&translated);
        let asks = translated.strip_usage || !pair.same() && pair.upstream.name() == "openai";
        self.tries_usage = asks && self.aim.quirks.usage == StreamUsage::Tried;
        self.address(head, path)?;
        // Ollama's clients may send JSON as anything; nobody else reads it as that.
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !pair.same() {
            head.headers.remove(http::header::CONTENT_ENCODING);
        }
        if !more.is_empty() {
            return Ok(Outgoing::Several([vec![translated.body], more].concat()));
        }
        Ok(Outgoing::Send {
            body: Buffered::whole(translated.body),
            strip_usage: translated.strip_usage,
        })
    }

    /// What could not be told to this upstream, which is named and never dropped in silence, and what else there is.
    fn worded(&self, translated: &translate::Outgoing) -> Option<Arc<str>> {
        let dropped = translated.dropped.join(", ");
        let dropped = (!dropped.is_empty())
            .then(|| format!("{} does not take: {dropped}", self.upstream.name));
        let all: Vec<String> =
            dropped.into_iter().chain(translated.warnings.iter().cloned()).collect();
        (!all.is_empty()).then(|| all.join("; ").into())
    }

    /// The request in the upstream's dialect, and once more for each further answer that the client wants.
    async fn translated(
        &self,
        pair: Pair,
        whole: &Bytes,
    ) -> Result<(translate::Outgoing, Vec<Bytes>), Error> {
        let mut request = pair.read_request(whole)?;
        if let Some(images) = self.images.as_ref().filter(|_| !pair.upstream.fetches()) {
            images.fill(&mut request, self.bounds.request).await?;
        }
        let count = request.choices;
        if count <= 1 {
            return Ok((pair.write(request, &self.aim)?, Vec::new()));
        }
        let first = pair.write(Pair::choice(&request, 0), &self.aim)?;
        let more = 1..first.choices;
        let more =
            more.map(|choice| Ok(pair.write(Pair::choice(&request, choice), &self.aim)?.body));
        Ok((first, more.collect::<Result<_, Error>>()?))
    }

    /// The upstream's own path: its prefix before the client's path, or before the translated one.
    fn address(&self, head: &mut request::Parts, path: Option<&str>) -> Result<(), Error> {
        let own = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = self.upstream.address.path(path.unwrap_or(own));
        if path == own {
            return Ok(());
        }
        let mut parts = head.uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(path).ok();
        head.uri = Uri::from_parts(parts)
            .map_err(|error| Error::Internal(format!("upstream path: {error}")))?;
        Ok(())
    }
}
