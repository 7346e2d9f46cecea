//! An upstream that answers by script and remembers what it saw, cancellation included.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinHandle,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One step of an answer's body.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Data(Bytes),
    /// Waits until the test says so.
    Wait(Arc<Notify>),
    /// Says nothing more, for ever.
    Hang,
    /// The connection breaks.
    Break,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) steps: Vec<Step>,
}

impl Script {
    pub(crate) fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status: StatusCode::OK, headers, steps: vec![Step::Data(body.into())] }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::new("application/json", body.to_string())
    }

    pub(crate) fn error(status: u16, body: &Value) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap(), ..Self::json(body) }
    }

    /// A stream of lines, each a frame of its own.
    pub(crate) fn lines(lines: &[Value]) -> Self {
        let steps = lines.iter().map(|line| Step::Data(format!("{line}\n").into())).collect();
        Self { steps, ..Self::new("application/x-ndjson", "") }
    }

    /// A stream of events, each a frame of its own, with `[DONE]` at its end.
    pub(crate) fn events(events: &[Value]) -> Self {
        let mut steps: Vec<Step> =
            events.iter().map(|event| Step::Data(format!("data: {event}\n\n").into())).collect();
        steps.push(Step::Data("data: [DONE]\n\n".into()));
        Self { steps, ..Self::new("text/event-stream", "") }
    }

    /// What Ollama streams for these words.
    pub(crate) fn chat(words: &[&str]) -> Self {
        let line = |word: &str| {
            json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z",
                "message": { "role": "assistant", "content": word }, "done": false })
        };
        let mut lines: Vec<Value> = words.iter().map(|word| line(word)).collect();
        let mut done = line("");
        done["done"] = true.into();
        done["done_reason"] = "stop".into();
        done["prompt_eval_count"] = 3.into();
        done["eval_count"] = words.len().into();
        lines.push(done);
        Self::lines(&lines)
    }

    /// What Ollama answers, unstreamed.
    pub(crate) fn said(text: &str) -> Self {
        Self::json(&json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z",
            "message": { "role": "assistant", "content": text }, "done": true,
            "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2 }))
    }

    /// What an OpenAI streams for these words.
    pub(crate) fn chunks(words: &[&str]) -> Self {
        let chunk = |delta: Value, finish: Value| {
            json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "g",
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        };
        let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
        chunks.extend(words.iter().map(|word| chunk(json!({ "content": word }), Value::Null)));
        chunks.push(chunk(json!({}), "stop".into()));
        let mut usage = chunk(json!({}), Value::Null);
        usage["choices"] = json!([]);
        usage["usage"] = json!({ "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 });
        chunks.push(usage);
        Self::events(&chunks)
    }

    /// What an OpenAI answers, unstreamed.
    pub(crate) fn completion(text: &str) -> Self {
        Self::json(&json!({ "id": "c1", "object": "chat.completion", "created": 1, "model": "g",
            "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": text } }],
            "usage": { "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 } }))
    }

    /// What Anthropic streams for these words, each event a frame of its own.
    pub(crate) fn blocks(words: &[&str]) -> Self {
        let mut events = vec![
            json!({ "type": "message_start", "message": { "id": "msg_up", "type": "message",
                "role": "assistant", "model": "claude-x", "content": [], "stop_reason": null,
                "stop_sequence": null, "usage": { "input_tokens": 4, "output_tokens": 1,
                "cache_read_input_tokens": 3 } } }),
            json!({ "type": "content_block_start", "index": 0,
                "content_block": { "type": "text", "text": "" } }),
            json!({ "type": "ping" }),
        ];
        events.extend(words.iter().map(|word| {
            json!({ "type": "content_block_delta", "index": 0,
                "delta": { "type": "text_delta", "text": word } })
        }));
        events.push(json!({ "type": "content_block_stop", "index": 0 }));
        events.push(json!({ "type": "message_delta", "usage": { "output_tokens": 2 },
            "delta": { "stop_reason": "end_turn", "stop_sequence": null } }));
        events.push(json!({ "type": "message_stop" }));
        let frame = |event: &Value| {
            let name = event["type"].as_str().unwrap();
            Step::Data(format!("event: {name}\ndata: {event}\n\n").into())
        };
        let steps = events.iter().map(frame).collect();
        Self { steps, ..Self::new("text/event-stream; charset=utf-8", "") }
    }

    /// What Anthropic answers, unstreamed.
    pub(crate) fn message(text: &str) -> Self {
        Self::json(&json!({ "id": "msg_up", "type": "message", "role": "assistant",
            "model": "claude-x", "content": [{ "type": "text", "text": text }],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": { "input_tokens": 4, "output_tokens": 2, "cache_read_input_tokens": 3 } }))
    }

    /// The same, up to step `keep`, and then something else.
    pub(crate) fn then(mut self, keep: usize, step: Step) -> Self {
        self.steps.truncate(keep);
        self.steps.push(step);
        self
    }

    pub(crate) fn cut(mut self, keep: usize) -> Self {
        self.steps.truncate(keep);
        self
    }
}

type Play = dyn Fn(&Seen) -> Script + Send + Sync;

/// A running scripted upstream; gone, with its connections, when dropped.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: watch::Receiver<usize>,
    sent: Arc<AtomicUsize>,
    makings: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Answers what a test is about by `play`; lists and versions as an Ollama or OpenAI with these models would.
    pub(crate) async fn start(
        models: &'static [&'static str],
        play: impl Fn(&Seen) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (leave, left) = watch::channel(0);
        let (play, log): (Arc<Play>, _) = (Arc::new(play), seen.clone());
        let makings = Arc::new(AtomicUsize::new(0));
        let made = makings.clone();
        let sent = Arc::new(AtomicUsize::new(0));
        let sending = sent.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (play, log, leave) = (play.clone(), log.clone(), leave.clone());
                let (made, sending) = (made.clone(), sending.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let digest = made.load(Ordering::SeqCst);
                        let (play, log) = (play.clone(), log.clone());
                        let (leave, sent) = (leave.clone(), sending.clone());
                        answer(request, models, digest, play, log, Sending { leave, sent })
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { addr, seen, left, sent, makings, task }
    }

    /// One that answers everything the same.
    pub(crate) async fn always(models: &'static [&'static str], script: Script) -> Self {
        Self::start(models, move |_| script.clone()).await
    }

    /// An address where nobody listens.
    pub(crate) async fn nobody() -> Self {
        let upstream = Self::always(&[], Script::json(&json!({}))).await;
        upstream.task.abort();
        let mut gone = false;
        while !gone {
            gone = tokio::net::TcpStream::connect(upstream.addr).await.is_err();
            tokio::task::yield_now().await;
        }
        upstream
    }

    /// From now on every model is another making of itself.
    pub(crate) fn make_again(&self) {
        self.makings.fetch_add(1, Ordering::SeqCst);
    }

    /// Requests that a client caused, in their order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Bytes of answers that have been handed to connections so far.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits until `count` answers were cut off by whoever asked.
    pub(crate) async fn cut_off(&self, count: usize) {
        self.left.clone().wait_for(|left| *left >= count).await.unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    models: &'static [&'static str],
    making: usize,
    play: Arc<Play>,
    log: Arc<Mutex<Vec<Seen>>>,
    sending: Sending,
) -> Result<Response<Played>, io::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().unwrap().to_string();
    let script = match (path.as_str(), head.method.clone()) {
        ("/api/tags", Method::GET) => {
            let tag = |name: &&str| {
                json!({ "name": name, "model": name, "modified_at": "2026-01-01T00:00:00Z",
                "size": 1, "digest": format!("{making:064x}"), "details": { "parameter_size":
                    if name.contains("small") { "1B" } else { "8B" }, "family": "llama" },
                "capabilities": ["completion", "tools"] })
            };
            Script::json(&json!({ "models": models.iter().map(tag).collect::<Vec<_>>() }))
        }
        // All of them are in memory, for good: what it is to load them is told elsewhere.
        ("/api/ps", Method::GET) => {
            let loaded = |name: &&str| {
                json!({ "name": name, "model": name, "size": 1,
                "expires_at": "2300-01-01T00:00:00Z" })
            };
            Script::json(&json!({ "models": models.iter().map(loaded).collect::<Vec<_>>() }))
        }
        ("/api/version", Method::GET) => Script::json(&json!({ "version": "0.24.0" })),
        ("/v1/models", Method::GET) => {
            let model = |name: &&str| json!({ "id": name, "object": "model", "created": 7 });
            Script::json(&json!({ "data": models.iter().map(model).collect::<Vec<_>>() }))
        }
        // As Anthropic's SDK and this gateway ask it.
        ("/v1/models?limit=1000", Method::GET) => {
            let model = |name: &&str| {
                json!({ "type": "model", "id": name, "display_name": name,
                    "created_at": "2026-01-01T00:00:00Z" })
            };
            let list: Vec<Value> = models.iter().map(model).collect();
            Script::json(&json!({ "data": list, "has_more": false }))
        }
        _ => {
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let seen = Seen { method: head.method, path, headers: head.headers, body };
            let script = play(&seen);
            log.lock().unwrap().push(seen);
            script
        }
    };
    let mut response = Response::builder().status(script.status);
    for (name, value) in &script.headers {
        response = response.header(*name, value);
    }
    let Sending { leave, sent } = sending;
    Ok(response
        .body(Played { steps: script.steps.into(), leave: Some(leave), sent, waiting: None })
        .unwrap())
}

/// What an answer tells of itself while it is sent.
struct Sending {
    leave: watch::Sender<usize>,
    sent: Arc<AtomicUsize>,
}

/// A body that plays its steps; whoever drops it before its end has left.
struct Played {
    steps: VecDeque<Step>,
    leave: Option<watch::Sender<usize>>,
    sent: Arc<AtomicUsize>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl http_body::Body for Played {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                std::task::ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            match self.steps.pop_front() {
                Some(Step::Data(data)) if data.is_empty() => {}
                Some(Step::Data(data)) => {
                    self.sent.fetch_add(data.len(), Ordering::SeqCst);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Step::Wait(notify)) => {
                    self.waiting = Some(Box::pin(async move { notify.notified().await }));
                }
                Some(Step::Hang) => self.waiting = Some(Box::pin(std::future::pending())),
                Some(Step::Break) => {
                    self.leave = None;
                    return Poll::Ready(Some(Err(io::Error::other("as the script says"))));
                }
                None => {
                    self.leave = None;
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// A body of one step is sent with its length, as real servers do.
    fn size_hint(&self) -> http_body::SizeHint {
        match self.steps.iter().collect::<Vec<_>>().as_slice() {
            [Step::Data(data)] => http_body::SizeHint::with_exact(data.len() as u64),
            _ => http_body::SizeHint::default(),
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        if let Some(leave) = self.leave.take()
            && !self.steps.is_empty() | self.waiting.is_some()
        {
            leave.send_modify(|left| *left += 1);
        }
    }
}
