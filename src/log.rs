//! What a row of the log says: asked, served, tokens, times, ending.
//!
//! The mechanism is [`unigate_layers::log`] and [`unigate_layers::sqlite`]; this is the judgement. A row is written
//! at the end of its exchange, refusals and cache hits included. Its ending is `complete` only for an answer that
//! reached its dialect's terminal; what the upstream did not count stays null.

#[cfg(feature = "gateway")]
mod schema;

use crate::{
    front::{Front, attempts_line},
    record::Record,
};
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
    log::{Exchange, Recorder},
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
    /// An exchange began; its row follows when it has ended, whatever happens. Default: nothing to do.
    fn begin(&self) {}

    /// Takes a row. Never waits: what cannot be kept is dropped and counted.
    fn push(&self, row: LogRow);
}

impl<S: Sink> Sink for Option<S> {
    fn begin(&self) {
        if let Some(sink) = self {
            sink.begin();
        }
    }

    fn push(&self, row: LogRow) {
        if let Some(sink) = self {
            sink.push(row);
        }
    }
}

/// Records exchanges as [`LogRow`]s.
#[derive(Clone, Debug)]
pub struct Rows<S> {
    sink: S,
    prompts: bool,
    stopping: Arc<AtomicBool>,
}

/// One exchange on its way to becoming a row.
#[derive(Debug)]
pub struct RowExchange<S: Sink> {
    sink: S,
    record: Record,
    stopping: Arc<AtomicBool>,
    row: LogRow,
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
        let row = LogRow {
            id: record.id.to_string(),
            started_ms: record.started_ms,
            client: text(USER_AGENT.as_str()),
            client_request_id: text("x-request-id"),
            dialect: Some(front.dialect.name()),
            operation: front.operation.map(|operation| format!("{operation:?}").to_lowercase()),
            method: request.method().to_string(),
            path: request.uri().path().chars().take(500).collect(),
            bytes_in: request.body().size_hint().exact(),
            ..LogRow::default()
        };
        let answer = self.prompts.then(BytesMut::new);
        self.sink.begin();
        RowExchange {
            sink: self.sink.clone(),
            record,
            stopping: self.stopping.clone(),
            row,
            answer,
        }
    }
}

// === impl RowExchange ===

impl<S: Sink> Exchange for RowExchange<S> {
    fn response(&mut self, head: &response::Parts) {
        self.row.status_code = Some(head.status.as_u16());
        self.row.cache = head.extensions.get::<CacheStatus>().map(|status| match status {
            CacheStatus::Hit { .. } => "hit",
            CacheStatus::Miss { .. } => "miss",
            CacheStatus::Refresh => "refresh",
            CacheStatus::Bypass => "bypass",
            CacheStatus::Off => "off",
        });
    }

    fn data(&mut self, data: &Bytes) {
        if self.row.bytes_out == 0 && !data.is_empty() {
            self.row.first_byte_ms.get_or_insert(since(self.record.started));
        }
        self.row.bytes_out += data.len() as u64;
        if let Some(answer) = &mut self.answer {
            let room = Record::MAX_TEXT.saturating_sub(answer.len()).min(data.len());
            answer.extend_from_slice(&data[..room]);
        }
    }

    fn end(mut self, ending: Ending) {
        let record = &self.record;
        let row = &mut self.row;
        row.latency_ms = since(record.started);
        row.key_id = record.key_id.get().map(ToString::to_string);
        row.model_requested = record.asked.get().map(ToString::to_string);
        row.streamed = record.streamed.get().copied();
        if let Some(decision) = record.route.get() {
            row.route = Some(decision.rule.to_string());
            row.route_reason = Some(decision.why.to_string());
        }
        if let Some(served) = record.served() {
            row.provider = Some(served.upstream.to_string());
            row.model_used = served.model.map(|model| model.to_string());
            row.upstream_dialect = Some(served.dialect);
        }
        let attempts = record.attempts();
        row.attempts = record.begun();
        row.fallback_used = record.fell_back();
        let mut detail = attempts_line(&attempts);
        if row.attempts > attempts.len()
            && let Some(provider) = &row.provider
        {
            // Asked, and not waited for to the end.
            let model = row.model_used.as_deref().unwrap_or("*");
            let comma = if detail.is_empty() { "" } else { ", " };
            detail.push_str(&format!("{comma}{provider}/{model} unanswered"));
        }
        row.attempts_detail = Some(detail).filter(|detail| !detail.is_empty());
        row.first_byte_ms = record.first_byte_ms.get().copied().or(row.first_byte_ms);
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
        row.prompt = self.record.prompt.get().cloned();
        row.answer = self.answer.take().map(|text| String::from_utf8_lossy(&text).into_owned());
        self.sink.push(std::mem::take(&mut self.row));
    }
}

fn since(start: Instant) -> u64 {
    start.elapsed().as_millis() as u64
}
