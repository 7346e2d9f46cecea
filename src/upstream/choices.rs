//! Several answers to one request, from an upstream that gives one at a time: as many requests, told as one answer.
//!
//! They run beside each other as far as the upstream has places for them, and one after the other where it has not.
//! When one fails, all go; when the client leaves, all go.

use super::{AnswerBody, BoxError, Permit, exchange::Exchange};
use crate::{
    dialect::{Reply, Usage},
    error::Error,
    record::Record,
    translate::Pair,
};
use bytes::Bytes;
use http::{HeaderValue, Response, header::CONTENT_TYPE, request};
use hyper::body::Body;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use unigate_layers::{admit::Gate, body::Buffered};

/// A stream of several choices.
pub(super) struct Several {
    queue: Queue,
    pair: Pair,
    reply: Reply,
    usage: Usage,
    record: Record,
    upstream: Arc<str>,
    over: bool,
}

/// Choices that are being made, and those that wait for a place.
struct Queue {
    waiting: VecDeque<(usize, Start)>,
    running: Vec<Running>,
    gate: Gate,
    group: Arc<str>,
    /// The request's own place; one choice may always run.
    _permit: Permit,
}

struct Running {
    choice: usize,
    /// A place of its own; `None`: the request's.
    own: Permit,
    part: Part,
}

enum Part {
    Starting(Starting),
    Speaking(Box<AnswerBody>),
}

type Start = Box<dyn FnOnce() -> Starting + Send>;
/// Bytes, with the fault that they tell of if they do.
type Piece = (Bytes, Option<String>);
type Starting = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Error>> + Send>>;

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError> + Send,
{
    /// Sends one request for each body, and makes one answer of theirs.
    ///
    /// Streamed, the first goes ahead until it means something: until then nothing is told to the client, and
    /// choice 0 is the first that it hears of, as OpenAI's SDK needs it.
    pub(super) async fn several(
        &self,
        head: request::Parts,
        bodies: Vec<Bytes>,
        permit: Permit,
    ) -> Result<Response<AnswerBody>, Error> {
        let streamed = self.ask.as_ref().is_some_and(|ask| ask.stream);
        let count = bodies.len();
        let pair = self.pair.ok_or_else(|| Error::Internal("choices without a dialect".into()))?;
        let waiting = bodies.into_iter().enumerate().map(|(choice, body)| {
            let (exchange, head) = (self.choice(choice), head.clone());
            let start: Start = Box::new(move || {
                let body = Buffered::whole(body);
                Box::pin(async move { exchange.send(head, body, false, None).await })
            });
            (choice, start)
        });
        let mut queue = Queue {
            waiting: waiting.collect(),
            running: Vec::with_capacity(count),
            gate: self.upstream.admission.gate().clone(),
            group: self.group(),
            _permit: permit,
        };
        let (record, upstream) = (self.record.clone(), self.upstream.name.clone());
        if !streamed {
            let mut answers = match queue.all(count).await? {
                Ok(answers) => answers,
                Err(refusal) => return Ok(refusal),
            };
            let mut usage = Usage::default();
            let mut parts = Vec::with_capacity(count);
            for answer in &mut answers {
                Pair::add(
                    &mut usage,
                    answer.body().state().map_or_else(Usage::default, |s| s.usage),
                );
                parts.push(answer.body_mut().take_ready());
            }
            let whole = pair.together(&parts, usage);
            let whole = whole.ok_or_else(|| Error::Internal("choices that are none".into()))?;
            if usage.is_known() {
                let _ = record.usage.set(usage);
            }
            let (mut head, _) = answers.swap_remove(0).into_parts();
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok(Response::from_parts(head, AnswerBody::whole(whole, upstream)));
        }
        let Some((choice, start)) = queue.waiting.pop_front() else {
            return Err(Error::Internal("no choices".into()));
        };
        let first = start().await?;
        if !first.status().is_success() {
            return Ok(first);
        }
        let (head, body) = first.into_parts();
        queue.running.push(Running { choice, own: None, part: Part::Speaking(Box::new(body)) });
        let (reply, usage) = (self.reply.clone(), Usage::default());
        let several =
            Several { queue, pair, reply, usage, record, upstream: upstream.clone(), over: false };
        Ok(Response::from_parts(head, AnswerBody::several(several, upstream)))
    }
}

// === impl Queue ===

impl Queue {
    /// Begins what there is a place for.
    fn begin(&mut self) {
        while !self.waiting.is_empty()
            && let Some(own) = self.place()
            && let Some((choice, start)) = self.waiting.pop_front()
        {
            self.running.push(Running { choice, own, part: Part::Starting(start()) });
        }
    }

    /// A place for one more; `None` where there is none.
    fn place(&self) -> Option<Permit> {
        if self.running.iter().all(|running| running.own.is_some()) {
            return Some(None);
        }
        self.gate.try_enter(&self.group).map(Some)
    }

    /// Every answer in its order, or the first refusal.
    async fn all(
        &mut self,
        count: usize,
    ) -> Result<Result<Vec<Response<AnswerBody>>, Response<AnswerBody>>, Error> {
        let mut answers: Vec<Option<Response<AnswerBody>>> = (0..count).map(|_| None).collect();
        let refusal = poll_fn(|cx| {
            loop {
                self.begin();
                if self.running.is_empty() {
                    return Poll::Ready(Ok(None));
                }
                let ready = self.running.iter_mut().enumerate().find_map(|(at, running)| {
                    let Part::Starting(starting) = &mut running.part else { return None };
                    match starting.as_mut().poll(cx) {
                        Poll::Ready(answer) => Some((at, answer)),
                        Poll::Pending => None,
                    }
                });
                let Some((at, answer)) = ready else { return Poll::Pending };
                let Running { choice, .. } = self.running.swap_remove(at);
                match answer {
                    Ok(answer) if answer.status().is_success() => answers[choice] = Some(answer),
                    Ok(refusal) => return Poll::Ready(Ok(Some(refusal))),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        });
        Ok(match refusal.await? {
            Some(refusal) => Err(refusal),
            None => Ok(answers.into_iter().flatten().collect()),
        })
    }
}

// === impl Several ===

impl Several {
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The next bytes, of whichever choice has some; `None` behind the end.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            self.queue.begin();
            if self.queue.running.is_empty() {
                self.over = true;
                if self.usage.is_known() {
                    let _ = self.record.usage.set(self.usage);
                }
                return Poll::Ready(Some(self.pair.tail(&self.reply, self.usage)));
            }
            let mut ended = None;
            let mut at = 0;
            while ended.is_none() && at < self.queue.running.len() {
                match self.queue.running[at].poll(cx, &self.upstream, &self.record) {
                    Poll::Pending => at += 1,
                    Poll::Ready(Ok(Some((data, fault)))) => {
                        // The next look begins behind this one, so that none talks the others down.
                        self.queue.running.rotate_left(at + 1);
                        if let Some(fault) = fault {
                            self.stop("upstream_error", fault);
                        }
                        return Poll::Ready(Some(data));
                    }
                    Poll::Ready(Ok(None)) => ended = Some(at),
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(self.fail(&error))),
                }
            }
            let Some(at) = ended else { return Poll::Pending };
            let Running { part, .. } = self.queue.running.remove(at);
            let state = match &part {
                Part::Speaking(body) => body.state().filter(|state| state.finished),
                Part::Starting(_) => None,
            };
            match state {
                Some(state) => Pair::add(&mut self.usage, state.usage),
                None => {
                    let upstream = self.upstream.clone();
                    return Poll::Ready(Some(self.fail(&Error::Incomplete { upstream })));
                }
            }
        }
    }

    /// One choice failed: said in the client's dialect, without a terminal.
    fn fail(&mut self, error: &Error) -> Bytes {
        self.stop(error.code(), error.to_string());
        self.pair.client.error_event(error)
    }

    fn stop(&mut self, code: &'static str, why: String) {
        self.over = true;
        self.queue.running.clear();
        self.queue.waiting.clear();
        let _ = self.record.fault.set((code, why));
    }
}

// === impl Running ===

impl Running {
    /// What it says next; `None` at the end.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        upstream: &Arc<str>,
        record: &Record,
    ) -> Poll<Result<Option<Piece>, Error>> {
        loop {
            match &mut self.part {
                Part::Starting(starting) => {
                    let answer = std::task::ready!(starting.as_mut().poll(cx))?;
                    if !answer.status().is_success() {
                        let said = || format!("status {}", answer.status().as_u16());
                        let message = record.refused().unwrap_or_else(said);
                        let upstream = upstream.clone();
                        return Poll::Ready(Err(Error::Reported { upstream, message }));
                    }
                    self.part = Part::Speaking(Box::new(answer.into_body()));
                }
                Part::Speaking(body) => {
                    return match std::task::ready!(Pin::new(&mut **body).poll_frame(cx)) {
                        None => Poll::Ready(Ok(None)),
                        Some(Ok(frame)) => {
                            let fault = body.state().and_then(|state| state.fault.clone());
                            let data = frame.into_data().unwrap_or_default();
                            Poll::Ready(Ok(Some((data, fault))))
                        }
                        Some(Err(error)) => {
                            let (upstream, why) = (upstream.clone(), error.to_string());
                            Poll::Ready(Err(Error::Broken { upstream, why }))
                        }
                    };
                }
            }
        }
    }
}
