//! What is known of one exchange while it happens: an empty row, pinned to the request, that each part of the stack fills in once.
//!
//! Facts normally travel up in response extensions. The client may leave before there is a response, though, and
//! the log must still say what had been decided; so the outermost layer pins this to the request. Every field has
//! one writer.

use crate::dialect::Usage;
use http::Extensions;
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use unigate_layers::notes::{Attempt, Target};
use uuid::Uuid;

/// One exchange's facts, shared by reference; cheap to clone.
#[derive(Clone, Debug)]
pub struct Record(Arc<Facts>);

/// The fields of a [`Record`]. An unset field means that the exchange never got that far.
#[derive(Debug)]
pub struct Facts {
    /// The gateway's own id, a UUIDv7: `x-request-id` and the primary key of the log.
    pub id: Arc<str>,
    /// When the request arrived.
    pub started: Instant,
    /// The same, in milliseconds since 1970.
    pub started_ms: u64,
    /// First eight hex digits of the digest of the key that let the client in. Writer: access.
    pub key_id: OnceLock<Arc<str>>,
    /// The model as the client wrote it. Writer: front.
    pub asked: OnceLock<Arc<str>>,
    /// Whether the answer was to be streamed. Writer: front.
    pub streamed: OnceLock<bool>,
    /// What the router decided. Writer: route, or cache on a hit.
    pub route: OnceLock<Decision>,
    /// Milliseconds until the first meaningful event. Writer: upstream.
    pub first_byte_ms: OnceLock<u64>,
    /// Tokens as the upstream counted them. Writer: upstream, or cache on a hit.
    pub usage: OnceLock<Usage>,
    /// Why the answer is not a success although its status may say so: code and message. Writer: whoever saw it first.
    pub fault: OnceLock<(&'static str, String)>,
    /// Set when the log wants the text of the request. Writer: log.
    pub keep_prompt: OnceLock<()>,
    /// The start of the request body, if it is wanted. Writer: front.
    pub prompt: OnceLock<String>,
    progress: Mutex<Progress>,
}

/// What each attempt writes anew. Locked a few times per request, never per token.
#[derive(Debug, Default)]
struct Progress {
    attempts: Vec<Attempt>,
    begun: usize,
    served: Option<Served>,
    refused: Option<String>,
    warned: Option<Arc<str>>,
    queued: Option<Queued>,
}

/// The router's decision, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule or kind of look-up: `code`, `short`, `default`, `alias`, `exact`, `direct`, …
    pub rule: Arc<str>,
    /// Why, in one clause; never text of the prompt.
    pub why: Arc<str>,
}

/// What waiting for a place at upstreams came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The place in the queue on arrival, from 1; of the last queue, where there were several.
    pub position: usize,
    /// Milliseconds waited, in all of them.
    pub waited_ms: u64,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The upstream's name in the configuration.
    pub upstream: Arc<str>,
    /// The model that was sent to it.
    pub model: Option<Arc<str>>,
    /// The dialect spoken with it.
    pub dialect: &'static str,
}

impl Record {
    /// Most bytes kept of a prompt or an answer, when they are kept at all.
    pub const MAX_TEXT: usize = 64 * 1024;

    /// The record pinned to a request; made and pinned if there is none.
    pub fn of(extensions: &mut Extensions) -> Self {
        if let Some(record) = extensions.get::<Self>() {
            return record.clone();
        }
        let record = Self::new();
        extensions.insert(record.clone());
        record
    }

    fn new() -> Self {
        Self(Arc::new(Facts {
            id: Uuid::now_v7().to_string().into(),
            started: Instant::now(),
            started_ms: now_ms(),
            key_id: OnceLock::new(),
            asked: OnceLock::new(),
            streamed: OnceLock::new(),
            route: OnceLock::new(),
            first_byte_ms: OnceLock::new(),
            usage: OnceLock::new(),
            fault: OnceLock::new(),
            keep_prompt: OnceLock::new(),
            prompt: OnceLock::new(),
            progress: Mutex::default(),
        }))
    }

    /// Notes an attempt that has ended.
    pub fn attempted(&self, attempt: Attempt) {
        self.progress().attempts.push(attempt);
    }

    /// The attempts that have ended so far, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.progress().attempts.clone()
    }

    /// Notes who is asked now; the last one is who answered. Writer: upstream.
    pub fn serve(&self, served: Served) {
        let mut progress = self.progress();
        progress.served = Some(served);
        progress.refused = None;
        progress.begun += 1;
    }

    /// Notes who answered once and is not asked now. Writer: cache.
    pub fn replay(&self, served: Served) {
        self.progress().served = Some(served);
    }

    /// How many attempts were begun, the one that never ended included.
    pub fn begun(&self) -> usize {
        let progress = self.progress();
        progress.begun.max(progress.attempts.len())
    }

    /// Who answered, or was asked last.
    pub fn served(&self) -> Option<Served> {
        self.progress().served.clone()
    }

    /// Notes an upstream's own words for a status of 400 or above. Writer: upstream.
    pub fn refuse(&self, message: String) {
        self.progress().refused = Some(message);
    }

    /// Those words, if whoever was asked last said any.
    pub fn refused(&self) -> Option<String> {
        self.progress().refused.clone()
    }

    /// Notes that a place was waited for: which one in the queue it was, and how long it took, however it ended.
    /// Writer: upstream.
    pub fn queue(&self, position: usize, waited: Duration) {
        let mut progress = self.progress();
        let before = progress.queued.map_or(0, |queued| queued.waited_ms);
        let waited_ms = before + waited.as_millis() as u64;
        progress.queued = Some(Queued { position, waited_ms });
    }

    /// What waiting came to; `None`: there was a place at once.
    pub fn queued(&self) -> Option<Queued> {
        self.progress().queued
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the client is warned of: what the target could not be told, or cannot do. Writer: upstream.
    pub fn warn(&self, warning: Option<Arc<str>>) {
        self.progress().warned = warning;
    }

    /// What the client was warned of by the target that answered.
    pub fn warned(&self) -> Option<Arc<str>> {
        self.progress().warned.clone()
    }

    /// Whether another target than the first one was tried.
    pub fn fell_back(&self) -> bool {
        let attempts = self.attempts();
        let first = attempts.first().and_then(|attempt| attempt.target.as_ref());
        attempts.iter().any(|attempt| different(first, attempt.target.as_ref()))
    }
}

impl std::ops::Deref for Record {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

/// An attempt's target, and what became of it behind `mark`: `ollama/llama3.1:8b 503`.
pub(crate) fn attempt_words(attempt: &Attempt, mark: &str) -> String {
    match &attempt.target {
        Some(target) => {
            let model = target.model.as_deref().unwrap_or("*");
            format!("{}/{model}{mark} {}", target.upstream, attempt.outcome)
        }
        None => attempt.outcome.to_string(),
    }
}

fn different(a: Option<&Target>, b: Option<&Target>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.upstream != b.upstream || a.model != b.model,
        _ => false,
    }
}

/// Milliseconds since 1970; 0 on a clock set before it.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64)
}
