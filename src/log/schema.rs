//! The table `request_logs`: its migrations, and a row's way into it.
//!
//! A superset of the columns of the Python gateway that this one succeeds, so that what people wrote against the
//! old file still runs.

use super::LogRow;
use rusqlite::params;
use unigate_layers::sqlite::{Begun, Row, Values};

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
  ending TEXT NOT NULL,            -- complete, failed, cancelled, lost
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

/// Version 3: what is under way, if it takes longer than a moment. A table of its own, so that a row of `request_logs`
/// is always one request that has ended.
const RUNNING: &str = "
CREATE TABLE request_running (
  process INTEGER NOT NULL,        -- which run of the gateway; a number without a meaning
  ticket INTEGER NOT NULL,
  id TEXT NOT NULL, started_ms INTEGER NOT NULL,
  noted_ms INTEGER NOT NULL,       -- how long it had taken when this was written
  client TEXT, client_request_id TEXT, key_id TEXT,
  dialect TEXT, operation TEXT, method TEXT NOT NULL, path TEXT NOT NULL,
  model_requested TEXT, model_used TEXT, provider TEXT, upstream_dialect TEXT,
  route TEXT, route_reason TEXT, streamed INTEGER,
  attempts INTEGER NOT NULL, attempts_detail TEXT, fallback_used INTEGER NOT NULL, bytes_in INTEGER,
  PRIMARY KEY (process, ticket)
) STRICT, WITHOUT ROWID;
";

/// What a crash cut off becomes a row: it took at least as long as was noted. A row that is there already knows better.
const LOST: &str = "
INSERT OR IGNORE INTO request_logs (
  id, timestamp, started_ms, client, client_request_id, key_id, dialect, operation, method, path, model_requested,
  model_used, provider, upstream_dialect, route, route_reason, streamed, attempts, attempts_detail, fallback_used,
  bytes_in, latency_ms, ending, error_code, error_message)
SELECT
  id, strftime('%Y-%m-%dT%H:%M:%fZ', started_ms / 1000.0, 'unixepoch'), started_ms, client, client_request_id, key_id,
  dialect, operation, method, path, model_requested, model_used, provider, upstream_dialect, route, route_reason,
  streamed, attempts, attempts_detail, fallback_used, bytes_in, noted_ms, 'lost', 'gateway_crashed',
  'the gateway ended without a stop while this was under way'
FROM request_running WHERE process <> ?1";

impl Row for LogRow {
    const MIGRATIONS: &'static [&'static str] = &[CREATE, WARNINGS, RUNNING];

    const INSERT: &'static str = "
INSERT OR REPLACE INTO request_logs VALUES (
  ?1, strftime('%Y-%m-%dT%H:%M:%fZ', ?2 / 1000.0, 'unixepoch'), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
  ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34,
  ?35, ?36)";

    const PRUNE_OLDER: &'static str = "
DELETE FROM request_logs WHERE rowid IN
(SELECT rowid FROM request_logs WHERE started_ms < ?1 ORDER BY started_ms LIMIT ?2)";

    const PRUNE_OLDEST: &'static str = "
DELETE FROM request_logs WHERE rowid IN (SELECT rowid FROM request_logs ORDER BY started_ms LIMIT ?1)";

    const OPEN: &'static str = "
INSERT OR REPLACE INTO request_running VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";

    const CLOSE: &'static str = "DELETE FROM request_running WHERE process = ?1 AND ticket = ?2";

    const RECOVER: &'static [&'static str] =
        &[LOST, "DELETE FROM request_running WHERE process <> ?1"];

    fn size(&self) -> usize {
        let texts = [
            Some(&self.id),
            self.client.as_ref(),
            self.model_requested.as_ref(),
            self.route_reason.as_ref(),
            self.attempts_detail.as_ref(),
            self.error_message.as_ref(),
            self.warnings.as_ref(),
            self.prompt.as_ref(),
            self.answer.as_ref(),
        ];
        // The others are short.
        self.path.len() + 100 + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }

    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        let total = match (self.prompt_tokens, self.completion_tokens) {
            (Some(prompt), Some(completion)) => prompt.checked_add(completion),
            _ => None,
        };
        values.add(params![
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

impl Begun for super::Begun {
    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        let row = self.row();
        values.add(params![
            row.id,
            signed(row.started_ms),
            signed(row.latency_ms),
            row.client,
            row.client_request_id,
            row.key_id,
            row.dialect,
            row.operation,
            row.method,
            row.path,
            row.model_requested,
            row.model_used,
            row.provider,
            row.upstream_dialect,
            row.route,
            row.route_reason,
            row.streamed,
            signed(row.attempts as u64),
            row.attempts_detail,
            row.fallback_used,
            row.bytes_in.map(signed),
        ])
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
