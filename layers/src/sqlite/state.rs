//! How a log is, for whoever looks after it.

use std::time::SystemTime;

/// How a log is, at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SqliteState {
    /// Rows that are in the file, since this log was opened.
    pub written: u64,
    /// Rows in memory that wait to be written.
    pub queued: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Rows in the spool that wait to be brought into the file.
    pub spooled: u64,
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// Rows that found the queue full, and are lost.
    pub overflowed: u64,
    /// Rows that came after the end, and are lost.
    pub late: u64,
    /// Rows that the table refused, and are lost.
    pub rejected: u64,
    /// Rows that were in the queue or the spool and had to be given up.
    pub abandoned: u64,
    /// Rows that have begun and are not whole.
    pub running: u64,
    /// How often the file was begun anew, because it was corrupt or gone.
    pub replaced: u64,
    /// Why rows cannot be written at present. `None`: they can.
    pub failing: Option<Failing>,
}

/// Why a log cannot be written.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Failing {
    /// What the last try said.
    pub why: String,
    /// When it began.
    pub since: SystemTime,
}
