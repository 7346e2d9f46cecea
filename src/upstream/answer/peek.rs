//! The beginning of a stream, read until it means something.

use super::super::{
    BoxError,
    body::{join, reason},
    exchange::Exchange,
};
use crate::{error::Error, record::now_ms, translate::Flow, wire};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Bytes that may come before anything is said: comments, empty words. They are held until then.
const MAX_PREFACE: usize = wire::MAX_EVENT + 64 * 1024;

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// Reads on until something meaningful has come; what that is worth is in the bytes returned.
    pub(super) async fn peek(
        &self,
        mut body: Incoming,
        flow: &mut Flow,
    ) -> Result<(Bytes, Option<Incoming>), Error> {
        let upstream = &self.upstream.name;
        let mut ready = Vec::new();
        let mut rest = true;
        let mut came = 0;
        while !flow.state().meaningful && !flow.state().finished {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        came += data.len();
                        ready.push(flow.feed(data, now_ms()));
                    }
                }
                Some(Err(error)) => {
                    let why = reason(&error);
                    return Err(Error::Broken { upstream: upstream.clone(), why });
                }
                None => {
                    let tail = flow.end(upstream, now_ms());
                    if flow.state().fault.is_some() {
                        return Err(Error::Incomplete { upstream: upstream.clone() });
                    }
                    ready.push(tail);
                    rest = false;
                    break;
                }
            }
            if !flow.state().meaningful {
                if let Some(error) = flow.failure(upstream) {
                    return Err(error);
                }
                if came > MAX_PREFACE {
                    let why = format!("{MAX_PREFACE} bytes in which nothing is said");
                    return Err(Error::NotUnderstood { upstream: upstream.clone(), why });
                }
            }
        }
        self.first_byte();
        Ok((join(&mut ready), rest.then_some(body)))
    }
}
