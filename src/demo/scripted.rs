//! An upstream that plays a script: three models in Ollama's dialect, one in OpenAI's, no intelligence.

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::Sleep};

/// A running scripted upstream.
#[derive(Debug)]
pub(super) struct Scripted {
    /// Where it listens.
    pub(super) addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The models of the scripted Ollama: name, billions of parameters, bytes.
const MODELS: [(&str, &str, u64); 3] = [
    ("qwen2.5-coder:7b", "7.6B", 4_700_000_000),
    ("llama3.1:8b", "8.0B", 4_900_000_000),
    ("gemma3:1b", "1.0B", 815_000_000),
];

/// The model of the scripted cloud.
pub(super) const CLOUD: &str = "gpt-4o-mini";

/// Time between two tokens.
const GAP: Duration = Duration::from_millis(30);

type Body = Either<Full<Bytes>, Paced>;

impl Scripted {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    /// The system's, when it has no port to give.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => stream,
                        Err(_) => break,
                    },
                    _ = &mut stopped => break,
                };
                connections.spawn(async move {
                    let service =
                        service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            connections.shutdown().await;
        });
        Ok(Self { addr, stop, task })
    }

    /// Stops listening and cuts every connection; when this returns, nobody is there any more.
    pub(super) async fn kill(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn answer(request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let model = body["model"].as_str().unwrap_or("").to_owned();
    match path.as_str() {
        "/api/version" => whole(&json!({ "version": "0.24.0" })),
        "/api/tags" => whole(&json!({ "models": MODELS.map(tag) })),
        "/api/ps" => whole(&json!({ "models": MODELS.map(tag) })),
        "/v1/models" => whole(&json!({ "object": "list", "data": [
            { "id": CLOUD, "object": "model", "created": 1_721_172_741, "owned_by": "system" }
        ] })),
        "/api/chat" => ollama(&model, body["stream"] != json!(false)),
        "/v1/chat/completions" => openai(&model, body["stream"] == json!(true)),
        _ => {
            let mut response = whole(&json!({ "error": "not in the script" }));
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            response
        }
    }
}

fn tag((name, parameters, size): (&str, &str, u64)) -> Value {
    json!({
        "name": name, "model": name, "modified_at": "2026-11-01T08:00:00Z", "size": size,
        "digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "details": {
            "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
            "parameter_size": parameters, "quantization_level": "Q4_K_M"
        },
        "capabilities": ["completion", "tools"],
    })
}

/// What a model of this name has to say.
fn words(model: &str) -> Vec<String> {
    let text = if model.contains("coder") {
        "def merge(a, b): return sorted(a + b)"
    } else if model.contains("gemma") {
        "Hello! Nice to meet you."
    } else if model == CLOUD {
        "The local model is gone, so I answer from the cloud."
    } else {
        "Once upon a time there was a gateway that lost nothing."
    };
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn ollama(model: &str, stream: bool) -> Response<Body> {
    let words = words(model);
    let now = "2026-11-01T08:00:00Z";
    let line = |content: &str, done: bool| {
        let mut line = json!({
            "model": model, "created_at": now,
            "message": { "role": "assistant", "content": content }, "done": done,
        });
        if done {
            line["done_reason"] = "stop".into();
            line["prompt_eval_count"] = 12.into();
            line["eval_count"] = words.len().into();
            line["total_duration"] = 400_000_000.into();
        }
        line
    };
    if !stream {
        return whole(&line(&words.concat(), true));
    }
    let mut lines: Vec<Bytes> =
        words.iter().map(|word| format!("{}\n", line(word, false)).into()).collect();
    lines.push(format!("{}\n", line("", true)).into());
    paced("application/x-ndjson", lines)
}

fn openai(model: &str, stream: bool) -> Response<Body> {
    let words = words(model);
    let usage = json!({
        "prompt_tokens": 12, "completion_tokens": words.len(), "total_tokens": 12 + words.len(),
    });
    if !stream {
        return whole(&json!({
            "id": "chatcmpl-demo", "object": "chat.completion", "created": 1_764_000_000, "model": model,
            "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": words.concat() } }],
            "usage": usage,
        }));
    }
    let chunk = |choices: Value| {
        json!({
            "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 1_764_000_000,
            "model": model, "choices": choices,
        })
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish }]))
    };
    let mut chunks = vec![delta(json!({ "role": "assistant", "content": "" }), Value::Null)];
    chunks.extend(words.iter().map(|word| delta(json!({ "content": word }), Value::Null)));
    chunks.push(delta(json!({}), "stop".into()));
    let mut last = chunk(json!([]));
    last["usage"] = usage;
    chunks.push(last);
    let mut events: Vec<Bytes> =
        chunks.iter().map(|chunk| format!("data: {chunk}\n\n").into()).collect();
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    paced("text/event-stream", events)
}

fn whole(body: &Value) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.to_string().into())));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn paced(kind: &'static str, frames: Vec<Bytes>) -> Response<Body> {
    let sleep = Box::pin(tokio::time::sleep(GAP * 4));
    let mut response = Response::new(Either::Right(Paced { frames: frames.into_iter(), sleep }));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

/// Frames, one after the other, with a gap between them.
struct Paced {
    frames: std::vec::IntoIter<Bytes>,
    sleep: Pin<Box<Sleep>>,
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::ready!(self.sleep.as_mut().poll(cx));
        self.sleep.as_mut().reset(tokio::time::Instant::now() + GAP);
        Poll::Ready(self.frames.next().map(|frame| Ok(Frame::data(frame))))
    }
}
