//! How a Redis is doing.

/// How a Redis is doing, and what happened at it since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RedisHealth {
    /// Whether it is known to be away, so that nothing is asked of it now.
    pub failing: bool,
    /// Whether it is known to refuse writes, so that only look-ups are sent now.
    pub read_only: bool,
    /// Look-ups that found an entry.
    pub hits: u64,
    /// Look-ups that were answered and found none.
    pub misses: u64,
    /// Entries that were written.
    pub written: u64,
    /// Commands that took too long.
    pub timeouts: u64,
    /// Commands that failed, for another reason than time.
    pub failures: u64,
    /// Look-ups and writes that were not sent, because Redis was known to be away or to refuse them.
    pub skipped: u64,
    /// Writes that were not begun, because as many as there may be were under way.
    pub dropped: u64,
    /// Values that were not what we write, and so were misses. They are removed.
    pub garbage: u64,
}
