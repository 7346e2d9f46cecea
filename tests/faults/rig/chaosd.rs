//! chaosd: an upstream over raw sockets that does what it is told, and remembers what it saw and when.

use super::{
    LIMIT,
    judge::Chunks,
    script::{Act, Reply, Script},
    until,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its place among all calls, small questions included.
    pub(crate) nth: usize,
    /// Its place among the calls that ask a model; `None` for a small question.
    pub(crate) asks: Option<usize>,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Request line and headers as they came.
    pub(crate) head: String,
    pub(crate) body: Bytes,
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
    pub(crate) at: Instant,
    /// When the peer was seen to leave before its answer was over.
    pub(crate) left: Option<Instant>,
    /// Whether the script was played to its end.
    pub(crate) played: bool,
}

/// What this upstream takes itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ollama,
    OpenAi,
}

/// A running upstream. Cheap to clone; gone with the test's runtime.
#[derive(Clone)]
pub(crate) struct Chaosd {
    pub(crate) addr: SocketAddr,
    inner: Arc<Inner>,
}

type Rule = dyn Fn(&Call) -> Option<Script> + Send + Sync;

struct Inner {
    kind: Kind,
    seen: Mutex<Seen>,
    next: Mutex<VecDeque<Script>>,
    rule: Mutex<Option<Arc<Rule>>>,
    frozen: watch::Sender<bool>,
    up: watch::Sender<bool>,
    /// One load at a time, as Ollama's scheduler does them.
    loading: tokio::sync::Mutex<()>,
    slots: Mutex<Option<Arc<Semaphore>>>,
}

#[derive(Default)]
struct Seen {
    models: Vec<String>,
    calls: Vec<Call>,
    connections: usize,
    open: usize,
    busy: usize,
    asking: usize,
    most: usize,
    load: Option<Duration>,
    room: usize,
    resident: VecDeque<String>,
    loading: Option<String>,
    loads: Loads,
}

/// What became of model loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loads {
    pub(crate) begun: usize,
    pub(crate) done: usize,
    /// Because who asked for it left.
    pub(crate) aborted: usize,
    pub(crate) evicted: usize,
}

enum Ended {
    Keep,
    Close,
    Reset,
    Left(Instant),
}

// === impl Call ===

impl Call {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.head, name).unwrap_or_default()
    }

    /// The number that [`super::chat`] put into the prompt.
    pub(crate) fn number(&self) -> usize {
        let text = String::from_utf8_lossy(&self.body);
        let rest = text.split_once(super::PROMPT).map_or("", |(_, rest)| rest.trim_start());
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }

    fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }
}

// === impl Chaosd ===

impl Chaosd {
    /// An Ollama with these models, sane until told otherwise.
    pub(crate) async fn ollama(models: &[&str]) -> Self {
        Self::start(Kind::Ollama, models).await
    }

    /// An OpenAI with these models, sane until told otherwise.
    pub(crate) async fn openai(models: &[&str]) -> Self {
        Self::start(Kind::OpenAi, models).await
    }

    async fn start(kind: Kind, models: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let models = models.iter().map(|name| (*name).to_owned()).collect();
        let seen = Seen { models, room: usize::MAX, ..Seen::default() };
        let inner = Inner {
            kind,
            seen: Mutex::new(seen),
            next: Mutex::default(),
            rule: Mutex::default(),
            frozen: watch::Sender::new(false),
            up: watch::Sender::new(true),
            loading: tokio::sync::Mutex::default(),
            slots: Mutex::default(),
        };
        let chaosd = Self { addr, inner: Arc::new(inner) };
        tokio::spawn(accept(listener, chaosd.inner.clone()));
        chaosd
    }

    /// The next call that asks a model gets this; further ones in their order.
    pub(crate) fn next(&self, script: impl Into<Script>) {
        self.inner.next.lock().unwrap().push_back(script.into());
    }

    /// Every call is shown to this first; `None` is a sane answer.
    pub(crate) fn rule(&self, rule: impl Fn(&Call) -> Option<Script> + Send + Sync + 'static) {
        *self.inner.rule.lock().unwrap() = Some(Arc::new(rule));
    }

    /// Every call that asks a model gets this.
    pub(crate) fn always(&self, script: impl Into<Script>) {
        let script = script.into();
        self.rule(move |call| call.asks.map(|_| script.clone()));
    }

    /// Sane again.
    pub(crate) fn sane(&self) {
        *self.inner.rule.lock().unwrap() = None;
        self.inner.next.lock().unwrap().clear();
    }

    /// From now on a model must be loaded first, which takes this long, one at a time, and is thrown away when who
    /// asked for it leaves, as Ollama does. `room` models stay loaded; the least used goes.
    // Source: ollama server/sched.go load, WaitUntilRunning.
    pub(crate) fn loads(&self, takes: Duration, room: usize) {
        let mut seen = self.seen();
        (seen.load, seen.room) = (Some(takes), room);
    }

    /// From now on so many answers are made at a time; more wait.
    pub(crate) fn slots(&self, count: usize) {
        *self.inner.slots.lock().unwrap() = Some(Arc::new(Semaphore::new(count)));
    }

    /// Accepts, reads and says nothing at all, as a stopped process does; `false` goes on where it stood.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.inner.frozen.send_replace(frozen);
    }

    /// The process is gone: connections are reset, the port refuses.
    pub(crate) async fn stop(&self) {
        self.inner.up.send_replace(false);
        let begun = Instant::now();
        while TcpStream::connect(self.addr).await.is_ok() || self.seen().open > 0 {
            assert!(begun.elapsed() < LIMIT, "chaosd does not stop");
            tokio::task::yield_now().await;
        }
    }

    /// And back, at the same address, with nothing loaded.
    pub(crate) async fn restart(&self) {
        self.seen().resident.clear();
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.inner.up.send_replace(true);
        tokio::spawn(accept(listener, self.inner.clone()));
    }

    /// Calls that asked a model, in their order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.seen().calls.iter().filter(|call| call.asks.is_some()).cloned().collect()
    }

    /// All calls, small questions included.
    pub(crate) fn all(&self) -> Vec<Call> {
        self.seen().calls.clone()
    }

    /// The newest call with this number in its prompt.
    pub(crate) fn numbered(&self, number: usize) -> Option<Call> {
        let seen = self.seen();
        let mut calls = seen.calls.iter().rev().filter(|call| call.asks.is_some());
        calls.find(|call| call.number() == number).cloned()
    }

    /// Waits until so many calls have asked a model.
    pub(crate) async fn asked(&self, count: usize) {
        let asked = || self.seen().calls.iter().filter(|call| call.asks.is_some()).count();
        until("a call upstream", || asked() >= count).await;
    }

    /// Waits until the peer of that call (of those that ask a model) has left, and says when.
    pub(crate) async fn left(&self, nth: usize) -> Instant {
        let left = || {
            let seen = self.seen();
            let call = seen.calls.iter().rev().find(|call| call.asks == Some(nth));
            call.and_then(|call| call.left)
        };
        until("the end of a call upstream", || left().is_some()).await;
        left().unwrap()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen().connections
    }

    /// Connections that are open and have no request.
    pub(crate) fn idle(&self) -> usize {
        let seen = self.seen();
        seen.open - seen.busy.min(seen.open)
    }

    /// The most calls that asked a model at the same time.
    pub(crate) fn most(&self) -> usize {
        self.seen().most
    }

    /// What became of model loads.
    pub(crate) fn load_count(&self) -> Loads {
        self.seen().loads
    }

    /// Models that are loaded now, the most used last.
    pub(crate) fn resident(&self) -> Vec<String> {
        self.seen().resident.iter().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap()
    }
}

// === impl Inner ===

impl Inner {
    async fn thawed(&self) {
        let mut frozen = self.frozen.subscribe();
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }

    fn script(&self, call: &Call) -> Script {
        let rule = self.rule.lock().unwrap().clone();
        if call.asks.is_some()
            && let Some(script) = self.next.lock().unwrap().pop_front()
        {
            return script;
        }
        rule.and_then(|rule| rule(call)).unwrap_or_else(|| self.answer(call))
    }

    /// What a sane upstream says.
    fn answer(&self, call: &Call) -> Script {
        let streamed = call.json()["stream"].as_bool();
        let model = call.model();
        let words = ["Hello", ", ", "wörld", " from ", &model];
        let said = words.concat();
        let reply = match (self.kind, call.path.as_str()) {
            (Kind::Ollama, "/api/version") => Reply::json(&json!({ "version": "0.24.0" })),
            (Kind::Ollama, "/api/tags") => Reply::json(&self.tags()),
            (Kind::Ollama, "/api/ps") => Reply::json(&self.ps()),
            (Kind::Ollama, "/api/chat") if streamed == Some(false) => Reply::said(&said),
            (Kind::Ollama, "/api/chat") => Reply::chat(&words),
            (Kind::Ollama, "/api/generate") => self.generate(call, &words),
            (Kind::Ollama, "/api/embed") => {
                Reply::json(&json!({ "model": model, "embeddings": [[0.5, 0.25]],
                    "prompt_eval_count": 3 }))
            }
            (Kind::OpenAi, "/v1/models") => {
                let models = self.seen.lock().unwrap().models.clone();
                let model = |name: &String| json!({ "id": name, "object": "model", "created": 7 });
                let list: Vec<Value> = models.iter().map(model).collect();
                Reply::json(&json!({ "object": "list", "data": list }))
            }
            (Kind::OpenAi, "/v1/chat/completions") if streamed == Some(true) => {
                Reply::chunks(&words)
            }
            (Kind::OpenAi, "/v1/chat/completions") => Reply::completion(&said),
            (Kind::OpenAi, "/v1/embeddings") => {
                Reply::json(&json!({ "object": "list", "model": model,
                    "data": [{ "object": "embedding", "index": 0, "embedding": [0.5, 0.25] }],
                    "usage": { "prompt_tokens": 3, "total_tokens": 3 } }))
            }
            _ => Reply::error(404, &json!({ "error": "404 page not found" })),
        };
        let script = Script::from(reply);
        match call.asks {
            Some(_) => script.after(Act::Slot).after(Act::Load(model)),
            None => script,
        }
    }

    fn generate(&self, call: &Call, words: &[&str]) -> Reply {
        let body = call.json();
        let line = |text: &str, done: bool| {
            json!({ "model": call.model(), "created_at": "2026-01-01T00:00:00Z", "response": text,
                "done": done })
        };
        if body["prompt"].as_str().unwrap_or_default().is_empty() {
            // Source: ollama docs/api.md "Load a model".
            let mut loaded = line("", true);
            loaded["done_reason"] = "load".into();
            return Reply::json(&loaded);
        }
        let mut last = line("", true);
        last["done_reason"] = "stop".into();
        last["prompt_eval_count"] = 3.into();
        last["eval_count"] = 2.into();
        if body["stream"].as_bool() == Some(false) {
            last["response"] = words.concat().into();
            return Reply::json(&last);
        }
        let mut lines: Vec<Value> = words.iter().map(|word| line(word, false)).collect();
        lines.push(last);
        Reply::lines(&lines)
    }

    fn tags(&self) -> Value {
        let seen = self.seen.lock().unwrap();
        let tag = |name: &String| {
            json!({ "name": name, "model": name, "modified_at": "2026-01-01T00:00:00Z", "size": 1,
                "digest": format!("{:064x}", 1),
                "details": { "parameter_size": "8B", "family": "llama" },
                "capabilities": ["completion", "tools"] })
        };
        json!({ "models": seen.models.iter().map(tag).collect::<Vec<_>>() })
    }

    fn ps(&self) -> Value {
        let seen = self.seen.lock().unwrap();
        let loaded = |name: &String| {
            json!({ "name": name, "model": name, "size": 1, "size_vram": 1,
                "digest": format!("{:064x}", 1), "expires_at": "2126-01-01T00:00:00Z",
                "details": { "parameter_size": "8B", "family": "llama" } })
        };
        // Where loading is no matter, everything is loaded.
        let all: Vec<_> = match seen.load {
            None => seen.models.iter().map(loaded).collect(),
            // What is being loaded is listed, and nothing tells it from the rest.
            // Source: ollama server/sched.go load, server/routes.go PsHandler.
            Some(_) => seen.resident.iter().chain(&seen.loading).map(loaded).collect(),
        };
        json!({ "models": all })
    }

    async fn load(&self, model: &str) {
        let touch = |seen: &mut Seen| {
            let at = seen.resident.iter().position(|known| known == model);
            at.and_then(|at| seen.resident.remove(at)).map(|name| seen.resident.push_back(name))
        };
        let _one = self.loading.lock().await;
        let takes = {
            let mut seen = self.seen.lock().unwrap();
            if seen.load.is_none() || touch(&mut seen).is_some() {
                return;
            }
            seen.loads.begun += 1;
            if seen.resident.len() >= seen.room {
                seen.resident.pop_front();
                seen.loads.evicted += 1;
            }
            seen.loading = Some(model.to_owned());
            seen.load.unwrap_or_default()
        };
        let mut guard = Loading { inner: self, done: false };
        tokio::time::sleep(takes).await;
        guard.done = true;
        self.seen.lock().unwrap().resident.push_back(model.to_owned());
    }
}

/// A load under way; dropped before it is done, it was for nothing.
struct Loading<'a> {
    inner: &'a Inner,
    done: bool,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut seen = self.inner.seen.lock().unwrap();
        seen.loading = None;
        if self.done {
            seen.loads.done += 1;
        } else {
            seen.loads.aborted += 1;
        }
    }
}

/// Counts a connection while it lives.
struct Opened(Arc<Inner>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.seen.lock().unwrap().open -= 1;
    }
}

/// Counts a call while it is answered.
struct Busy<'a>(&'a Inner, bool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut seen = self.0.seen.lock().unwrap();
        seen.busy -= 1;
        seen.asking -= usize::from(self.1);
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    let mut up = inner.up.subscribe();
    loop {
        let stream = tokio::select! {
            _ = up.wait_for(|up| !up) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let connection = {
            let mut seen = inner.seen.lock().unwrap();
            seen.open += 1;
            seen.connections += 1;
            seen.connections - 1
        };
        let opened = Opened(inner.clone());
        let mut up = inner.up.subscribe();
        tokio::spawn(async move {
            let mut stream = stream;
            let inner = &opened.0;
            let reset = tokio::select! {
                _ = up.wait_for(|up| !up) => true,
                reset = serve(&mut stream, inner, connection) => reset,
            };
            if reset {
                let _ = stream.set_zero_linger();
            }
            drop(stream);
            drop(opened);
        });
    }
}

/// Answers one request after the other; whether the connection is to be reset at its end.
async fn serve(stream: &mut TcpStream, inner: &Inner, connection: usize) -> bool {
    let mut buffer = Vec::new();
    loop {
        inner.thawed().await;
        let Some((head, body)) = request(stream, &mut buffer).await else { return false };
        inner.thawed().await;
        let mut line = head.split(' ');
        let method = line.next().unwrap_or_default().to_owned();
        let path = line.next().unwrap_or_default().to_owned();
        let call = {
            let mut seen = inner.seen.lock().unwrap();
            let asks = method == "POST" && !path.starts_with("/api/show");
            let before =
                seen.calls.iter().rev().find_map(|call| call.asks).map_or(0, |nth| nth + 1);
            let call = Call {
                nth: seen.calls.len(),
                asks: asks.then_some(before),
                method,
                path,
                head,
                body: body.into(),
                connection,
                at: Instant::now(),
                left: None,
                played: false,
            };
            seen.calls.push(call.clone());
            seen.busy += 1;
            seen.asking += usize::from(asks);
            seen.most = seen.most.max(seen.asking);
            call
        };
        let busy = Busy(inner, call.asks.is_some());
        let script = inner.script(&call);
        let ended = play(stream, inner, script, &mut buffer).await;
        drop(busy);
        {
            let mut seen = inner.seen.lock().unwrap();
            let call = &mut seen.calls[call.nth];
            match ended {
                Ended::Left(at) => call.left = Some(at),
                Ended::Keep | Ended::Close | Ended::Reset => call.played = true,
            }
        }
        match ended {
            Ended::Keep => {}
            Ended::Reset => return true,
            Ended::Close | Ended::Left(_) => return false,
        }
    }
}

async fn play(
    stream: &mut TcpStream,
    inner: &Inner,
    script: Script,
    buffer: &mut Vec<u8>,
) -> Ended {
    let (mut read, mut write) = stream.split();
    let work = async {
        let mut slot: Option<OwnedSemaphorePermit> = None;
        for act in script.acts {
            inner.thawed().await;
            match act {
                Act::Send(bytes) => {
                    if write.write_all(&bytes).await.is_err() {
                        return Ended::Left(Instant::now());
                    }
                }
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Until(notify) => notify.notified().await,
                Act::Load(model) => inner.load(&model).await,
                Act::Slot => {
                    let slots = inner.slots.lock().unwrap().clone();
                    if let Some(slots) = slots {
                        slot = slots.acquire_owned().await.ok();
                    }
                }
                Act::Stall => std::future::pending().await,
                Act::Forever(bytes) => {
                    while write.write_all(&bytes).await.is_ok() {}
                    return Ended::Left(Instant::now());
                }
                Act::Fin => return Ended::Close,
                Act::Reset => return Ended::Reset,
            }
        }
        drop(slot);
        Ended::Keep
    };
    let watch = async {
        let mut piece = [0; 4096];
        loop {
            match read.read(&mut piece).await {
                Ok(0) | Err(_) => return Ended::Left(Instant::now()),
                Ok(count) => buffer.extend_from_slice(&piece[..count]),
            }
        }
    };
    tokio::select! {
        biased;
        ended = work => ended,
        left = watch => left,
    }
}

/// The next request; `None` when the peer left before it was whole.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let mut piece = vec![0; 16 * 1024];
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => buffer.extend_from_slice(&piece[..count]),
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end);
    let chunked = header(&head, "transfer-encoding").is_some();
    let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    let mut chunks = Chunks::default();
    loop {
        if chunked {
            if chunks.feed(buffer, &mut body) {
                return Some((head, body));
            }
        } else if buffer.len() >= length {
            return Some((head, buffer.drain(..length).collect()));
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => buffer.extend_from_slice(&piece[..count]),
        }
    }
}

/// A header's value in a head as it came.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
