//! What a row of the log says: asked, served, tokens, times, ending.
//!
//! The mechanism is [`unigate_layers::log`] and [`unigate_layers::sqlite`]; this is the judgement. A row is written
//! at the end of its exchange, refusals and cache hits included. Its ending is one of four words:
//!
//! | ending | means |
//! | --- | --- |
//! | `complete` | the answer reached its dialect's terminal |
//! | `failed` | refused, or broke off; `error_code` says why |
//! | `cancelled` | cut: by the client (`client_closed`) or by a gateway that was told to stop (`gateway_stopped`) |
//! | `lost` | the gateway itself ended while this was under way (`gateway_crashed`); nobody saw the end |
//!
//! What the upstream did not count stays null.

mod begun;
#[cfg(feature = "gateway")]
mod file;
#[cfg(feature = "gateway")]
mod schema;

pub use self::begun::Begun;
#[cfg(feature = "gateway")]
pub use self::file::FileLog;

use crate::{front::Front, record::Record};
use bytes::{Bytes, BytesMut};
use http::{Request, header::USER_AGENT, response};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use unigate_layers::{
    body::Ending,
    log::{Exchange, Hold, Recorder},
    notes::CacheStatus,
};

/// One row of `request_logs`.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the columns, named and described in `schema`")]
pub struct LogRow {
    pub id: String,
    pub started_ms: u64,
    pub client: Option<String>,
    pub client_request_id: Option<String>,
    pub key_id: Option<String>,
    pub dialect: Option<&'static str>,
    pub operation: Option<String>,
    pub method: String,
    pub path: String,
    pub model_requested: Option<String>,
    pub model_used: Option<String>,
    pub provider: Option<String>,
    pub upstream_dialect: Option<&'static str>,
    pub route: Option<String>,
    pub route_reason: Option<String>,
    pub streamed: Option<bool>,
    pub attempts: usize,
    pub attempts_detail: Option<String>,
    pub fallback_used: bool,
    pub cache: Option<&'static str>,
    pub status_code: Option<u16>,
    pub ending: &'static str,
    pub error_code: Option<&'static str>,
    pub error_message: Option<String>,
    pub first_byte_ms: Option<u64>,
    pub latency_ms: u64,
    pub bytes_in: Option<u64>,
    pub bytes_out: u64,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub prompt: Option<String>,
    pub answer: Option<String>,
    pub warnings: Option<String>,
    pub cached_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
}

/// Where finished rows go.
///
/// `Option<Sink>` is one too: `None` keeps nothing.
pub trait Sink: Clone + Send + Sync + 'static {
    /// Takes a row. Never waits: what cannot be kept is dropped and counted.
    fn push(&self, row: LogRow);

    /// An exchange has begun. What this returns is given to [`end`](Self::end). Default: not noted.
    fn begin(&self, begun: &Arc<Begun>) -> Option<u64> {
        let _ = begun;
        None
    }

    /// Takes the row of what was begun. `told` is to be called when the row is safe. Default: [`push`](Self::push).
    fn end(&self, ticket: Option<u64>, row: LogRow, told: Option<Told>) {
        let _ = (ticket, told);
        self.push(row);
    }

    /// For an answer whose last piece is to wait for its row: what the row tells, and what waits for it. Default: no
    /// answer waits.
    fn hold(&self) -> Option<(Told, Hold)> {
        None
    }
}

impl<S: Sink> Sink for Option<S> {
    fn push(&self, row: LogRow) {
        if let Some(sink) = self {
            sink.push(row);
        }
    }

    fn begin(&self, begun: &Arc<Begun>) -> Option<u64> {
        self.as_ref()?.begin(begun)
    }

    fn end(&self, ticket: Option<u64>, row: LogRow, told: Option<Told>) {
        if let Some(sink) = self {
            sink.end(ticket, row, told);
        }
    }

    fn hold(&self) -> Option<(Told, Hold)> {
        self.as_ref()?.hold()
    }
}

/// Learns whether a row is where a crash of the gateway cannot reach it.
pub type Told = Box<dyn FnOnce(bool) + Send>;

/// Records exchanges as [`LogRow`]s.
#[derive(Clone, Debug)]
pub struct Rows<S> {
    sink: S,
    prompts: bool,
    stopping: Arc<AtomicBool>,
}

/// One exchange on its way to becoming a row.
pub struct RowExchange<S: Sink> {
    sink: S,
    begun: Arc<Begun>,
    ticket: Option<u64>,
    told: Option<Told>,
    stopping: Arc<AtomicBool>,
    status: Option<u16>,
    cache: Option<&'static str>,
    first_byte_ms: Option<u64>,
    bytes_out: u64,
    answer: Option<BytesMut>,
}

// === impl Rows ===

impl<S: Sink> Rows<S> {
    /// Rows for this sink, without any text of prompts or answers.
    pub fn new(sink: S) -> Self {
        Self { sink, prompts: false, stopping: Arc::default() }
    }

    /// Once this is set, an exchange that is dropped was cut by the gateway and not by its client. Default: never.
    #[must_use]
    pub fn stopping(mut self, stopping: Arc<AtomicBool>) -> Self {
        self.stopping = stopping;
        self
    }

    /// Keeps the first [`Record::MAX_TEXT`] bytes of each request body that is known whole at the door, and of each answer.
    #[must_use]
    pub fn prompts(mut self, keep: bool) -> Self {
        self.prompts = keep;
        self
    }
}

impl<S: Sink, B> Recorder<B> for Rows<S>
where
    B: http_body::Body<Data = Bytes>,
{
    type Exchange = RowExchange<S>;

    fn begin(&self, request: &mut Request<B>) -> RowExchange<S> {
        let record = Record::of(request.extensions_mut());
        if self.prompts {
            let _ = record.keep_prompt.set(());
        }
        let front = Front::name(request.method(), request.uri().path(), request.headers());
        let text = |name: &str| {
            let value = request.headers().get(name)?.to_str().ok()?;
            Some(value.chars().take(200).collect::<String>())
        };
        let begun = Arc::new(Begun {
            client: text(USER_AGENT.as_str()),
            client_request_id: text("x-request-id"),
            dialect: front.dialect.name(),
            operation: front.operation,
            method: request.method().clone(),
            path: request.uri().path().chars().take(500).collect(),
            bytes_in: request.body().size_hint().exact(),
            record,
        });
        RowExchange {
            ticket: self.sink.begin(&begun),
            sink: self.sink.clone(),
            begun,
            told: None,
            stopping: self.stopping.clone(),
            status: None,
            cache: None,
            first_byte_ms: None,
            bytes_out: 0,
            answer: self.prompts.then(BytesMut::new),
        }
    }
}

// === impl RowExchange ===

impl<S: Sink> Exchange for RowExchange<S> {
    fn hold(&mut self) -> Option<Hold> {
        let (told, hold) = self.sink.hold()?;
        self.told = Some(told);
        Some(hold)
    }

    fn response(&mut self, head: &response::Parts) {
        self.status = Some(head.status.as_u16());
        self.cache = head.extensions.get::<CacheStatus>().map(|status| match status {
            CacheStatus::Hit { .. } => "hit",
            CacheStatus::Miss { .. } => "miss",
            CacheStatus::Refresh => "refresh",
            CacheStatus::Bypass => "bypass",
            CacheStatus::Off => "off",
        });
    }

    fn data(&mut self, data: &Bytes) {
        if self.bytes_out == 0 && !data.is_empty() {
            self.first_byte_ms.get_or_insert(since(self.begun.record.started));
        }
        self.bytes_out += data.len() as u64;
        if let Some(answer) = &mut self.answer {
            let room = Record::MAX_TEXT.saturating_sub(answer.len()).min(data.len());
            answer.extend_from_slice(&data[..room]);
        }
    }

    fn end(mut self, ending: Ending) {
        let record = &self.begun.record;
        let mut row = self.begun.row();
        row.status_code = self.status;
        row.cache = self.cache;
        row.bytes_out = self.bytes_out;
        row.first_byte_ms = record.first_byte_ms.get().copied().or(self.first_byte_ms);
        let tokens = record.usage.get().copied().unwrap_or_default();
        (row.prompt_tokens, row.completion_tokens) = (tokens.prompt, tokens.completion);
        (row.cached_tokens, row.reasoning_tokens) = (tokens.cached, tokens.reasoning);
        row.warnings = record.warned().map(|warning| warning.to_string());
        if let Some((code, message)) = record.fault.get() {
            row.error_code = Some(code);
            row.error_message = Some(message.chars().take(2000).collect());
        }
        let refused = row.status_code.is_some_and(|status| status >= 400);
        if refused && row.error_code.is_none() {
            row.error_code = Some("upstream_error");
            row.error_message = record.refused().map(|text| text.chars().take(2000).collect());
        }
        row.ending = match ending {
            // Who hangs up on an error was not the one who ended it.
            Ending::Cancelled if row.error_code.is_none() => "cancelled",
            Ending::Failed | Ending::Cancelled => "failed",
            Ending::Complete if refused || row.error_code.is_some() => "failed",
            Ending::Complete => "complete",
        };
        if row.ending == "cancelled" {
            let ours = self.stopping.load(Ordering::Relaxed);
            row.error_code = Some(if ours { "gateway_stopped" } else { "client_closed" });
        }
        row.prompt = record.prompt.get().cloned();
        row.answer = self.answer.take().map(|text| String::from_utf8_lossy(&text).into_owned());
        self.sink.end(self.ticket, row, self.told.take());
    }
}

impl<S: Sink> std::fmt::Debug for RowExchange<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowExchange").field("begun", &self.begun).finish_non_exhaustive()
    }
}

fn since(start: Instant) -> u64 {
    start.elapsed().as_millis() as u64
}
