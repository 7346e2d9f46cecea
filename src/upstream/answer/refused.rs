//! The upstream's own error, as this client reads it.

use super::{
    super::{
        AnswerBody, BoxError, Permit,
        exchange::{Exchange, names_usage},
        headers,
    },
    Said, is_page,
};
use crate::{error::Error, translate::Pair};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use hyper::body::{Body, Incoming};

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// The upstream's own error: as it came in the same dialect, translated in another.
    pub(super) async fn refused(
        &self,
        mut head: http::response::Parts,
        body: Incoming,
        pair: Pair,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        head.extensions.insert(Said(head.status));
        // Anthropic's own status for it, which nobody else's clients know.
        let overloaded = head.status.as_u16() == 529;
        if overloaded && !pair.same() {
            head.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        let busy = overloaded || head.status == StatusCode::SERVICE_UNAVAILABLE;
        if busy && !head.headers.contains_key(RETRY_AFTER) {
            head.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let collected = self.collect(&mut head.headers, body).await?;
        let (message, _) = pair.upstream.read_error(head.status, &collected);
        drop(permit);
        let unread =
            matches!(head.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY);
        if unread && self.tries_usage && names_usage(&message) {
            return Err(Error::Reported { upstream: self.upstream.name.clone(), message });
        }
        headers::incoming(&mut head.headers, false);
        // The upstream refused *our* key: that is no reason for the client to sign in anywhere.
        let key_refused = matches!(head.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let ours = key_refused && self.upstream.key.is_some();
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let page = is_page(kind.unwrap_or_default());
        if pair.same() && !ours && !page {
            self.record.refuse(message);
            let body = AnswerBody::whole(collected, self.upstream.name.clone());
            return Ok(Response::from_parts(head, body));
        }
        let (status, bytes) = match ours {
            true => pair.key_refused(&message),
            false if page => (head.status, pair.client.write_error(head.status, &message, None)),
            false => pair.error(head.status, &collected),
        };
        self.record.refuse(message);
        head.status = status;
        Ok(self.made(head, bytes, "application/json"))
    }
}
