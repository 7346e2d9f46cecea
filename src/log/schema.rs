//! The table `request_logs`: its migrations, and a row's way into it.
//!
//! A superset of the columns of the Python gateway that this one succeeds, so that what people wrote against the
//! old file still runs.

use super::{LogRow, Sink};
use rusqlite::{Statement, params};
use unigate_layers::sqlite::{Row, SqliteLog};

/// Version 1.
const CREATE: &str = "
CREATE TABLE request_logs (
  id TEXT PRIMARY KEY,             -- UUIDv7, also in x-request-id
  timestamp TEXT NOT NULL,         -- RFC 3339, UTC, with milliseconds
  started_ms INTEGER NOT NULL,     -- the same, since 1970
  client TEXT,                     -- User-Agent
  client_request_id TEXT,          -- the client's own x-request-id
  key_id TEXT,                     -- first 8 hex digits of the digest of the key
  dialect TEXT, operation TEXT, method TEXT NOT NULL, path TEXT NOT NULL,
  model_requested TEXT, model_used TEXT,
  provider TEXT,                   -- the upstream that answered
  upstream_dialect TEXT,
  route TEXT, route_reason TEXT,
  streamed INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0, attempts_detail TEXT,
  fallback_used INTEGER NOT NULL DEFAULT 0,
  cache TEXT,                      -- hit, miss, refresh, bypass, off
  status_code INTEGER,             -- as the client saw it; null if it left before
  ending TEXT NOT NULL,            -- complete, failed, cancelled
  error_code TEXT, error_message TEXT,
  first_byte_ms INTEGER, latency_ms INTEGER NOT NULL,
  bytes_in INTEGER, bytes_out INTEGER NOT NULL DEFAULT 0,
  prompt_tokens INTEGER, completion_tokens INTEGER, total_tokens INTEGER,
  prompt TEXT, answer TEXT         -- only with log.prompts = true
) STRICT;
CREATE INDEX request_logs_started ON request_logs (started_ms);
";

/// Version 2: what was lost in translation, and what tokens were spent on.
const WARNINGS: &str = "
ALTER TABLE request_logs ADD COLUMN warnings TEXT;            -- as in x-unigate-warning
ALTER TABLE request_logs ADD COLUMN cached_tokens INTEGER;    -- of the prompt, from the upstream's own cache
ALTER TABLE request_logs ADD COLUMN reasoning_tokens INTEGER; -- of the answer, spent on thinking
";

impl Row for LogRow {
    const MIGRATIONS: &'static [&'static str] = &[CREATE, WARNINGS];

    const INSERT: &'static str = "
INSERT OR REPLACE INTO request_logs VALUES (
  ?1, strftime('%Y-%m-%dT%H:%M:%fZ', ?2 / 1000.0, 'unixepoch'), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
  ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34,
  ?35, ?36)";

    const PRUNE_OLDER: &'static str = "DELETE FROM request_logs WHERE started_ms < ?1";

    const PRUNE_OLDEST: &'static str = "
DELETE FROM request_logs WHERE rowid IN (SELECT rowid FROM request_logs ORDER BY started_ms LIMIT ?1)";

    fn bind(&self, statement: &mut Statement<'_>) -> rusqlite::Result<usize> {
        let total = match (self.prompt_tokens, self.completion_tokens) {
            (Some(prompt), Some(completion)) => prompt.checked_add(completion),
            _ => None,
        };
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        statement.execute(params![
            self.id,
            signed(self.started_ms),
            self.client,
            self.client_request_id,
            self.key_id,
            self.dialect,
            self.operation,
            self.method,
            self.path,
            self.model_requested,
            self.model_used,
            self.provider,
            self.upstream_dialect,
            self.route,
            self.route_reason,
            self.streamed,
            signed(self.attempts as u64),
            self.attempts_detail,
            self.fallback_used,
            self.cache,
            self.status_code,
            self.ending,
            self.error_code,
            self.error_message,
            self.first_byte_ms.map(signed),
            signed(self.latency_ms),
            self.bytes_in.map(signed),
            signed(self.bytes_out),
            self.prompt_tokens.map(signed),
            self.completion_tokens.map(signed),
            total.map(signed),
            self.prompt,
            self.answer,
            self.warnings,
            self.cached_tokens.map(signed),
            self.reasoning_tokens.map(signed),
        ])
    }
}

impl Sink for SqliteLog<LogRow> {
    fn push(&self, row: LogRow) {
        Self::push(self, row);
    }
}
