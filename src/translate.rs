//! From one dialect to another, for whole bodies and for streams; and, where both sides speak the same, the watching of what passes.

mod choices;
mod fit;
mod flow;
mod forced;
mod kept;
mod suit;

pub use flow::Flow;
pub use kept::{complete, restream, unstream};

use crate::{
    chat::{self, Answer, Finish, Native},
    dialect::{Dialect, Operation, Quirks, Reply, StreamUsage, Unread, Usage, anthropic::ADAPTIVE},
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

/// What is known of where a request goes, and how much may be lost on the way.
#[derive(Clone, Debug, Default)]
pub struct Aim {
    /// What the upstream does differently from others of its dialect.
    pub quirks: Quirks,
    /// What is known of the model.
    pub model: Known,
    /// Whether a field that would have to be left out is an error instead.
    pub strict: bool,
    /// Most bytes of one picture; 0 is any size.
    pub max_image_bytes: usize,
    /// What the client says to an Ollama outside of the body, in headers; it stands where the body says nothing.
    pub native: Native,
}

/// What is known of a model. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What it can do, in Ollama's words (`tools`, `vision`, `thinking`); empty when not known.
    pub capabilities: Vec<String>,
    /// Most tokens that it looks at as it is run now; 0 when not known.
    pub context: u64,
    /// Whether the upstream has it at hand and loads it when it is asked for; not so where it runs elsewhere.
    pub loads: bool,
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
    /// What else the client should know, a sentence each without its full stop, for the same header.
    pub warnings: Vec<String>,
    /// How many answers the client wants where the upstream gives one at a time; 1 where once is enough.
    pub choices: usize,
    /// Whether the answer's text will be a function call; see [`Written`](crate::dialect::Written).
    pub calls_as_text: bool,
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
        Reply { wishes, ..Reply::new(id, created_ms, model) }
    }

    /// The body to send upstream.
    ///
    /// Same dialect: the client's bytes, but that usage is asked for where a stream would go without it.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for what the client got wrong, [`Error::Untranslatable`] for what the
    /// upstream's dialect cannot say and must not drop. Neither can happen in the same dialect.
    pub fn request(&self, body: &Bytes, aim: &Aim) -> Result<Outgoing, Error> {
        if self.same() {
            return Ok(self.pass(body, aim));
        }
        self.write(self.read_request(body)?, aim)
    }

    /// The body to send to an upstream of the same dialect.
    pub fn pass(&self, body: &Bytes, aim: &Aim) -> Outgoing {
        let asks = aim.quirks.usage != StreamUsage::Unasked;
        let more = asks.then(|| self.upstream.with_usage(self.operation, body)).flatten();
        Outgoing {
            strip_usage: more.is_some(),
            body: more.unwrap_or_else(|| body.clone()),
            operation: self.operation,
            dropped: Vec::new(),
            warnings: Vec::new(),
            choices: 1,
            calls_as_text: false,
        }
    }

    /// What the client asks for, in the common tongue.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for what the client got wrong, [`Error::Untranslatable`] for what no other dialect can say.
    pub fn read_request(&self, body: &[u8]) -> Result<chat::Request, Error> {
        self.client.read_request(self.operation, body).map_err(|error| self.named(error))
    }

    /// The body to send to an upstream of another dialect.
    ///
    /// # Errors
    /// As [`Pair::request`]; where the aim is strict, also for every field that would have to be left out.
    pub fn write(&self, mut request: chat::Request, aim: &Aim) -> Result<Outgoing, Error> {
        suit::weigh(&request, aim.max_image_bytes)?;
        suit::suit(&mut request, aim);
        // Others refuse what does not fit.
        let cuts = self.upstream.name() == "ollama";
        let warnings = cuts.then(|| fit::warning(&request, aim.model.context)).flatten();
        let adaptive = aim.model.capabilities.iter().any(|can| can == ADAPTIVE);
        let adaptive_thinking = aim.quirks.adaptive_thinking || adaptive;
        let quirks = Quirks { adaptive_thinking, ..aim.quirks };
        let written = self.upstream.write_request(&request, quirks);
        let written = written.map_err(|error| self.named(error))?;
        if aim.strict && !written.dropped.is_empty() {
            return Err(self.named(Error::Untranslatable {
                what: written.dropped.join(", "),
                to: "",
                why: "and translate.strict forbids to leave it out".into(),
            }));
        }
        Ok(Outgoing {
            body: written.body,
            operation: written.operation,
            strip_usage: false,
            dropped: written.dropped,
            warnings: warnings.into_iter().collect(),
            choices: request.choices.max(1),
            calls_as_text: written.calls_as_text,
        })
    }

    /// Who translates knows the target.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Untranslatable { what, why, .. } => {
                Error::Untranslatable { what, to: self.upstream.name(), why }
            }
            error => error,
        }
    }

    /// An unstreamed answer with a status of success. `now_ms` is the time since 1970.
    ///
    /// Same dialect: the very same bytes, also when the answer is not complete, which the state then says.
    ///
    /// # Errors
    /// [`Error::Reported`] when the answer says that the upstream failed, [`Error::NotUnderstood`] when it is
    /// none, [`Error::NoCall`] when it is not the function call that it had to be, and, for another dialect, [`Error::Incomplete`] when it was not brought to its end.
    pub fn answer(
        &self,
        upstream: &Arc<str>,
        body: &Bytes,
        reply: &Reply,
        now_ms: u64,
    ) -> Result<(Bytes, State), Error> {
        let (answer, state) = self.read(upstream, body, reply)?;
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
        let (answer, state) = self.read(upstream, body, reply)?;
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

    fn read(
        &self,
        upstream: &Arc<str>,
        body: &Bytes,
        reply: &Reply,
    ) -> Result<(Answer, State), Error> {
        let upstream = || upstream.clone();
        let mut answer =
            self.upstream.read_answer(self.operation, body).map_err(|unread| match unread {
                Unread::Failed(message) => Error::Reported { upstream: upstream(), message },
                Unread::Incomplete => Error::Incomplete { upstream: upstream() },
                Unread::Strange(why) => Error::NotUnderstood { upstream: upstream(), why },
            })?;
        if let Answer::Said(said) = &mut answer
            && reply.calls_as_text
            && said.finish.is_some()
        {
            let read = forced::whole(std::mem::take(said));
            *said = read.map_err(|why| Error::NoCall { upstream: upstream(), why })?;
        }
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
