//! How a log writes, and how much it keeps.

use std::time::Duration;

/// How [`SqliteLog`](super::SqliteLog) writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SqliteOptions {
    /// Rows that may wait. Default 8192, at least 1.
    pub queue: usize,
    /// Bytes that waiting rows may have together. Default 16 MiB; one row always fits.
    pub queue_bytes: usize,
    /// Rows in a transaction. Default 512, at least 1; a smaller batch is written after 3 ms.
    pub batch: usize,
    /// Rows older than this go, by [`Row::PRUNE_OLDER`](super::Row::PRUNE_OLDER). Default: none go.
    pub max_age: Option<Duration>,
    /// Above this size in bytes the oldest rows go, by [`Row::PRUNE_OLDEST`](super::Row::PRUNE_OLDEST). Default: the file may grow.
    pub max_bytes: Option<u64>,
    /// Bytes of rows that are kept beside the file while it cannot be written. Default 256 MiB; 0 keeps none.
    pub spool_bytes: u64,
    /// Bytes that the write-ahead log may have. A reader that does not end keeps it from being emptied: then rows go
    /// to the spool until it does. Default 64 MiB.
    pub wal_bytes: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            queue: 8192,
            queue_bytes: 16 << 20,
            batch: 512,
            max_age: None,
            max_bytes: None,
            spool_bytes: 256 << 20,
            wal_bytes: 64 << 20,
        }
    }
}
