//! An answer that is read whole, or passes as one piece.

use super::super::{
    AnswerBody, BoxError, Permit,
    body::{Watch, join, reason},
    exchange::Exchange,
};
use crate::{
    error::Error,
    front::decode::{self, Unpacked},
    record::now_ms,
    translate::{Flow, Pair},
};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// An unstreamed answer: passes while it is read, unless it must be translated.
    pub(super) async fn whole(
        &self,
        mut head: http::response::Parts,
        mut body: Incoming,
        pair: Pair,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        let upstream = &self.upstream.name;
        if !pair.same() || decode::is_packed(&head.headers) {
            let whole = self.collect(&mut head.headers, body).await?;
            let (translated, state) = pair.answer(upstream, &whole, &self.reply, now_ms())?;
            let bytes = if pair.same() { whole } else { translated };
            if pair.same() && !state.finished {
                return Err(Error::Incomplete { upstream: upstream.clone() });
            }
            self.first_byte();
            self.learnt(state.usage);
            return Ok(self.made(head, bytes, "application/json").map(|body| body.knowing(state)));
        }
        // Most answers are one frame. It is looked at before it passes: an early end may still be tried again.
        let first = match body.frame().await {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => {
                let why = reason(&error);
                return Err(Error::Broken { upstream: upstream.clone(), why });
            }
            None => return Err(Error::Incomplete { upstream: upstream.clone() }),
        };
        if body.is_end_stream() {
            let (_, state) = pair.answer(upstream, &first, &self.reply, now_ms())?;
            if !state.finished {
                return Err(Error::Incomplete { upstream: upstream.clone() });
            }
            self.first_byte();
            self.learnt(state.usage);
            head.headers.remove(http::header::CONTENT_LENGTH);
            let body = AnswerBody::whole(first, upstream.clone());
            return Ok(Response::from_parts(head, body));
        }
        self.first_byte();
        let came = first.len();
        let room = self.bounds.answer.saturating_sub(came);
        let watch =
            Watch::Whole { pair, reply: self.reply.clone(), seen: vec![first.clone()], room };
        let record = Some(self.record.clone());
        let answer = AnswerBody::new(first, Some(body), watch, upstream.clone(), record, permit);
        let answer = answer.bounded(self.bounds.stream.saturating_sub(came));
        let (idle, total) = (self.upstream.idle, self.upstream.total);
        Ok(Response::from_parts(head, answer.timed(idle, total, self.started)))
    }

    /// The whole body; unpacked where it was compressed, though that was not wanted.
    pub(super) async fn collect(
        &self,
        headers: &mut HeaderMap,
        body: Incoming,
    ) -> Result<Bytes, Error> {
        let (upstream, limit) = (&self.upstream.name, self.bounds.answer);
        let too_much = || {
            let setting = "server.max_answer_bytes";
            Error::TooMuch { upstream: upstream.clone(), limit, setting }
        };
        let whole = match Limited::new(body, limit).collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_much()),
            Err(error) => {
                let why = reason(&*error);
                return Err(Error::Broken { upstream: upstream.clone(), why });
            }
        };
        match decode::unpack(headers, whole, limit).await {
            Ok(whole) => Ok(whole),
            Err(Unpacked::TooLarge) => Err(too_much()),
            Err(Unpacked::Unreadable(why)) => {
                Err(Error::NotUnderstood { upstream: upstream.clone(), why })
            }
        }
    }

    /// A stream that is all here.
    pub(super) fn unpacked(&self, body: Bytes, flow: &mut Flow) -> Result<Bytes, Error> {
        let upstream = &self.upstream.name;
        let mut ready = vec![flow.feed(body, now_ms())];
        ready.push(flow.end(upstream, now_ms()));
        match flow.state().fault.clone() {
            Some(_) if !flow.state().meaningful => {
                let incomplete = || Error::Incomplete { upstream: upstream.clone() };
                return Err(flow.failure(upstream).unwrap_or_else(incomplete));
            }
            Some(fault) => drop(self.record.fault.set(("upstream_error", fault))),
            None => {}
        }
        self.first_byte();
        Ok(join(&mut ready))
    }
}
