//! An exchange that has begun: what is known of it before it ends, and so what a crash leaves of it.

use super::{LogRow, since};
use crate::{dialect::Operation, front::attempts_line, record::Record};
use http::Method;

/// What is known of an exchange from its first line on. The rest is in its record, and grows.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns of the same names, described in `schema`")]
pub struct Begun {
    pub record: Record,
    pub client: Option<String>,
    pub client_request_id: Option<String>,
    pub dialect: &'static str,
    pub operation: Option<Operation>,
    pub method: Method,
    pub path: String,
    pub bytes_in: Option<u64>,
}

impl Begun {
    /// The row as it would be if the exchange ended now, but for how it ended and what came of it.
    pub fn row(&self) -> LogRow {
        let record = &self.record;
        let mut row = LogRow {
            id: record.id.to_string(),
            started_ms: record.started_ms,
            client: self.client.clone(),
            client_request_id: self.client_request_id.clone(),
            dialect: Some(self.dialect),
            operation: self.operation.map(|operation| format!("{operation:?}").to_lowercase()),
            method: self.method.to_string(),
            path: self.path.clone(),
            bytes_in: self.bytes_in,
            latency_ms: since(record.started),
            key_id: record.key_id.get().map(ToString::to_string),
            model_requested: record.asked.get().map(ToString::to_string),
            streamed: record.streamed.get().copied(),
            ..LogRow::default()
        };
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
        row
    }
}
