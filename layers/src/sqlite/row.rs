//! What a row must say of itself to be kept in a table.

use super::Values;

/// A row that knows its table.
pub trait Row: Send + 'static {
    /// The schema, as steps: step *n* takes a file from `user_version` *n* to *n* + 1. Only ever append. All
    /// missing steps run in one transaction when the file is opened.
    const MIGRATIONS: &'static [&'static str];

    /// The statement whose parameters [`bind`](Self::bind) gives. Rows that were spooled may come twice, after a
    /// crash: a table with a primary key of its own and `INSERT OR REPLACE` makes them one.
    const INSERT: &'static str;

    /// Deletes what is older than `?1`, milliseconds since 1970, `?2` rows at most: it is run until nothing is left.
    /// Default: empty, rows have no age.
    const PRUNE_OLDER: &'static str = "";

    /// Deletes the oldest `?1` rows. Default: empty, the file may grow.
    const PRUNE_OLDEST: &'static str = "";

    /// Writes an open row, for what has begun and takes long: `?1` is this process, `?2` the row's ticket, the rest
    /// is [`Begun::bind`]'s. Default: empty, there are none.
    const OPEN: &'static str = "";

    /// Deletes the open row of process `?1` and ticket `?2`.
    const CLOSE: &'static str = "";

    /// What becomes of open rows that are not process `?1`'s, when no other process uses the file any more: they were
    /// left by a crash. Run when the file is opened, one after the other; done twice they must do no harm.
    const RECOVER: &'static [&'static str] = &[];

    /// Gives this row's values, in the order of the statement's parameters.
    ///
    /// # Errors
    /// Whatever `values` says.
    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()>;

    /// Bytes that the row keeps beside its own size: its texts. Default 0.
    fn size(&self) -> usize {
        0
    }
}

/// What is known of a row that is not whole yet.
pub trait Begun: Send + Sync + 'static {
    /// Gives the values of its open row, as they are now.
    ///
    /// # Errors
    /// Whatever `values` says.
    fn bind(&self, values: &mut Values<'_>) -> rusqlite::Result<()>;
}

/// Called when a row is where a crash of the process cannot reach it (`true`), or was given up (`false`). Runs on the
/// writer's thread and must not block it. Dropped without a call when the log ends before.
pub type Told = Box<dyn FnOnce(bool) + Send>;
