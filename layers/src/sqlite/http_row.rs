//! A row for any HTTP service, ready-made.

use super::{Row, SqliteLog, Values};
use crate::body::Ending;
use crate::log::{Exchange, Recorder};
use bytes::Bytes;
use http::{Request, response};
use rusqlite::params;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One HTTP exchange: a row of the table `http_log`.
///
/// `SqliteLog<HttpRow>` is a [`Recorder`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpRow {
    /// When the request came, in milliseconds since 1970.
    pub started_ms: u64,
    /// The method.
    pub method: String,
    /// The path without the query, which may hold secrets. At most 1024 characters.
    pub path: String,
    /// The status of the response. `None`: there was none.
    pub status: Option<u16>,
    /// Bytes of the response body that went by.
    pub bytes: u64,
    /// From the request to the end of the response, in milliseconds.
    pub ms: u64,
    /// How it ended.
    pub ending: Ending,
}

/// An exchange that becomes an [`HttpRow`].
#[derive(Debug)]
pub struct HttpExchange {
    log: SqliteLog<HttpRow>,
    row: HttpRow,
    started: Instant,
}

const MAX_PATH: usize = 1024;

impl Row for HttpRow {
    const MIGRATIONS: &'static [&'static str] = &["
        CREATE TABLE IF NOT EXISTS http_log (
            id INTEGER PRIMARY KEY,
            started_ms INTEGER NOT NULL,
            method TEXT NOT NULL,
            path TEXT NOT NULL,
            status INTEGER,
            bytes INTEGER NOT NULL,
            ms INTEGER NOT NULL,
            ending TEXT NOT NULL
        ) STRICT;
        CREATE INDEX IF NOT EXISTS http_log_started ON http_log (started_ms);
    "];
    const INSERT: &'static str = "
        INSERT INTO http_log (started_ms, method, path, status, bytes, ms, ending)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    const PRUNE_OLDER: &'static str = "
        DELETE FROM http_log WHERE id IN
        (SELECT id FROM http_log WHERE started_ms < ?1 ORDER BY started_ms LIMIT ?2)";
    const PRUNE_OLDEST: &'static str =
        "DELETE FROM http_log WHERE id IN (SELECT id FROM http_log ORDER BY id LIMIT ?1)";

    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()> {
        values.add(params![
            self.started_ms as i64,
            self.method,
            self.path,
            self.status,
            self.bytes as i64,
            self.ms as i64,
            self.ending.as_str(),
        ])
    }

    fn size(&self) -> usize {
        self.method.len() + self.path.len()
    }
}

impl<B> Recorder<B> for SqliteLog<HttpRow> {
    type Exchange = HttpExchange;

    fn begin(&self, request: &mut Request<B>) -> HttpExchange {
        let path = request.uri().path();
        let row = HttpRow {
            started_ms: millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            method: request.method().to_string(),
            path: path.chars().take(MAX_PATH).collect(),
            status: None,
            bytes: 0,
            ms: 0,
            ending: Ending::Cancelled,
        };
        HttpExchange { log: self.clone(), row, started: Instant::now() }
    }
}

impl Exchange for HttpExchange {
    fn response(&mut self, head: &response::Parts) {
        self.row.status = Some(head.status.as_u16());
    }

    fn data(&mut self, data: &Bytes) {
        self.row.bytes += data.len() as u64;
    }

    fn end(mut self, ending: Ending) {
        self.row.ms = millis(self.started.elapsed());
        self.row.ending = ending;
        self.log.push(self.row);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
