//! From one dialect to another, for whole bodies and for streams; and, where both sides speak the same, the watching of what passes.

mod flow;
mod kept;

pub use flow::Flow;
pub use kept::{complete, restream, unstream};

use crate::{
    chat::{Answer, Finish},
    dialect::{Dialect, Operation, Quirks, Reply, Unread, Usage},
    error::Error,
};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use std::sync::Arc;

/// Who speaks what, and about what.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// The client's dialect.
    pub client: &'static dyn Dialect,
    /// The upstream's dialect.
    pub upstream: &'static dyn Dialect,
    /// What the client asked for.
    pub operation: Operation,
}

/// A request as it goes to the upstream.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The body.
    pub body: Bytes,
    /// What it is in the upstream's dialect, which gives its path: [`Dialect::path`].
    pub operation: Operation,
    /// Whether usage was asked for on our own account, so that [`Flow`] must take its chunk out again.
    pub strip_usage: bool,
    /// Fields that change the answer a little and could not be told to the upstream, for a header and the log.
    pub dropped: Vec<&'static str>,
}

/// What has been seen of an answer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Text, thinking, a function call or a clean end has been seen.
    pub meaningful: bool,
    /// The dialect's terminal has been seen.
    pub finished: bool,
    /// How the answer failed, if it did.
    pub fault: Option<String>,
    /// Tokens, where the upstream counted them.
    pub usage: Usage,
    /// Why it ended; `None` when the upstream has not said.
    pub finish: Option<Finish>,
}

impl Pair {
    /// Whether both sides speak the same dialect, so that bytes pass as they are.
    pub fn same(&self) -> bool {
        self.client.name() == self.upstream.name()
    }

    /// What answers to this request are to say of themselves. `id` and `model` as in [`Reply`].
    pub fn reply(&self, body: &[u8], id: Arc<str>, created_ms: u64, model: Arc<str>) -> Reply {
        let wishes = self.client.wishes(self.operation, body);
        Reply { id, created_ms, model, usage: wishes.usage, base64: wishes.base64 }
    }

    /// The body to send upstream.
    ///
    /// Same dialect: the client's bytes, but that usage is asked for where a stream would go without it.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for what the client got wrong, [`Error::Untranslatable`] for what the
    /// upstream's dialect cannot say and must not drop. Neither can happen in the same dialect.
    pub fn request(&self, body: &Bytes, quirks: Quirks) -> Result<Outgoing, Error> {
        if self.same() {
            let more = self.upstream.with_usage(self.operation, body);
            return Ok(Outgoing {
                strip_usage: more.is_some(),
                body: more.unwrap_or_else(|| body.clone()),
                operation: self.operation,
                dropped: Vec::new(),
            });
        }
        let written = self
            .client
            .read_request(self.operation, body)
            .and_then(|request| self.upstream.write_request(&request, quirks))
            .map_err(|error| match error {
                Error::Untranslatable { what, why, .. } => {
                    Error::Untranslatable { what, to: self.upstream.name(), why }
                }
                error => error,
            })?;
        Ok(Outgoing {
            body: written.body,
            operation: written.operation,
            strip_usage: false,
            dropped: written.dropped,
        })
    }

    /// An unstreamed answer with a status of success. `now_ms` is the time since 1970.
    ///
    /// Same dialect: the very same bytes, also when the answer is not complete, which the state then says.
    ///
    /// # Errors
    /// [`Error::Reported`] when the answer says that the upstream failed, [`Error::NotUnderstood`] when it is
    /// none, and, for another dialect, [`Error::Incomplete`] when it was not brought to its end.
    pub fn answer(
        &self,
        upstream: &Arc<str>,
        body: &Bytes,
        reply: &Reply,
        now_ms: u64,
    ) -> Result<(Bytes, State), Error> {
        let (answer, state) = self.read(upstream, body)?;
        if self.same() {
            return Ok((body.clone(), state));
        }
        if !state.finished {
            return Err(Error::Incomplete { upstream: upstream.clone() });
        }
        let written = self.client.write_answer(self.operation, answer, reply, now_ms);
        match written {
            Ok(body) => Ok((body, state)),
            Err(why) => Err(Error::NotUnderstood { upstream: upstream.clone(), why }),
        }
    }

    /// An unstreamed answer to a request for a stream, as the stream that it should have been.
    ///
    /// # Errors
    /// As [`Pair::answer`] for another dialect.
    pub fn whole_as_stream(
        &self,
        upstream: &Arc<str>,
        body: &Bytes,
        reply: &Reply,
        now_ms: u64,
    ) -> Result<(Bytes, State), Error> {
        let (answer, state) = self.read(upstream, body)?;
        let same = self.same();
        if let Some(body) =
            same.then(|| self.client.restream(self.operation, body, reply)).flatten()
        {
            return Ok((body, state));
        }
        let strange = |why| Error::NotUnderstood { upstream: upstream.clone(), why };
        let Answer::Said(said) = answer else {
            return Err(strange("vectors are not streamed".into()));
        };
        if !state.finished {
            return Err(Error::Incomplete { upstream: upstream.clone() });
        }
        let mut writer = self.client.writer(self.operation, reply);
        let mut out = BytesMut::new();
        for delta in said.deltas() {
            writer.write(delta, now_ms, &mut out).map_err(strange)?;
        }
        Ok((out.freeze(), state))
    }

    /// A stream. Same dialect: the very same bytes pass and are only watched.
    pub fn flow(&self, reply: &Reply, strip_usage: bool) -> Flow {
        Flow::new(*self, reply, strip_usage)
    }

    /// An upstream's error response (status 400 and above) in the client's dialect. Same dialect: unchanged.
    ///
    /// An upstream that refuses the gateway's own credential is a fault of the gateway's setting, not of the
    /// client's key: 401 and 403 become 502.
    pub fn error(&self, status: StatusCode, body: &[u8]) -> (StatusCode, Bytes) {
        if self.same() {
            return (status, Bytes::copy_from_slice(body));
        }
        let (message, code) = self.upstream.read_error(status, body);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return self.key_refused(&message);
        }
        (status, self.client.write_error(status, &message, code.as_deref()))
    }

    /// The upstream's refusal of the gateway's own credential, in its words, as the client is to hear it.
    pub fn key_refused(&self, message: &str) -> (StatusCode, Bytes) {
        let message = format!("the upstream refused the gateway's credential: {message}");
        let status = StatusCode::BAD_GATEWAY;
        (status, self.client.write_error(status, &message, Some("upstream_error")))
    }

    fn read(&self, upstream: &Arc<str>, body: &Bytes) -> Result<(Answer, State), Error> {
        let upstream = || upstream.clone();
        let answer =
            self.upstream.read_answer(self.operation, body).map_err(|unread| match unread {
                Unread::Failed(message) => Error::Reported { upstream: upstream(), message },
                Unread::Incomplete => Error::Incomplete { upstream: upstream() },
                Unread::Strange(why) => Error::NotUnderstood { upstream: upstream(), why },
            })?;
        let state = State::of(&answer);
        Ok((answer, state))
    }
}

impl State {
    fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Said(said) => Self {
                meaningful: said.finish.is_some()
                    || !(said.text.is_empty() && said.thinking.is_empty() && said.calls.is_empty()),
                finished: said.finish.is_some(),
                fault: None,
                usage: said.usage,
                finish: said.finish,
            },
            Answer::Vectors { usage, .. } => Self {
                meaningful: true,
                finished: true,
                fault: None,
                usage: *usage,
                finish: Some(Finish::Stop),
            },
        }
    }
}

#[cfg(test)]
mod tests;
