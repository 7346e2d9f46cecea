//! The database file: opened, brought up to date, noticed when it is gone, set aside when it is broken.

use super::{Row, SqliteError};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::fs::OpenOptions;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long another process may hold the file while it is opened for the first time: it may be creating it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Later on a wait would only keep in memory what is safe in the spool.
const BUSY: Duration = Duration::from_millis(10);

/// The open file, and which one it was.
pub(super) struct Open {
    pub(super) connection: Connection,
    path: PathBuf,
    database: Option<Identity>,
    wal: Option<Identity>,
}

/// What tells a file from another of the same name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity(u64, u64);

impl Open {
    /// Opens or creates the file and brings its schema up to date.
    pub(super) fn new<R: Row>(path: &Path, first: bool) -> Result<Self, SqliteError> {
        create_private(path);
        let failed = |source| SqliteError::Open { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(if first { PATIENCE } else { BUSY }).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        let (found, known) = (migrate::<R>(&mut connection).map_err(failed)?, R::MIGRATIONS.len());
        if found > known {
            return Err(SqliteError::Newer { path: path.to_owned(), found, known });
        }
        connection.busy_timeout(BUSY).map_err(failed)?;
        Ok(Self { connection, path: path.to_owned(), database: identity(path), wal: None })
    }

    /// Whether the file that is open is no longer the one of this name: what is written to it would be gone with it.
    pub(super) fn is_gone(&mut self) -> bool {
        let wal = identity(&beside(&self.path, "-wal"));
        if self.wal.is_none() {
            self.wal = wal;
        }
        identity(&self.path) != self.database || wal != self.wal
    }
}

/// Moves a file that is broken out of the way, with what belongs to it, and says where it is now. `None`: it is left
/// alone, for it does not look like a database of ours, or cannot be moved.
pub(super) fn set_aside(path: &Path) -> Option<PathBuf> {
    // Source: https://sqlite.org/fileformat.html#magic_header_string
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut head = [0xff; MAGIC.len()];
    std::fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    // A crash of the whole machine may leave a page that was allocated and never written.
    if head != MAGIC && head != [0; MAGIC.len()] {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let aside = beside(path, &format!(".corrupt-{now}"));
    std::fs::rename(path, &aside).ok()?;
    for end in ["-wal", "-shm"] {
        // The name of a log's WAL follows from its own: so the two can still be opened together.
        let _ = std::fs::rename(beside(path, end), beside(&aside, end));
    }
    Some(aside)
}

/// Whether the file itself is broken, and no other try will change that.
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The path with this behind it.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Length in bytes; 0 when there is none.
pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|meta| Identity(meta.dev(), meta.ino()))
}

// Elsewhere a file that is open cannot be deleted.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}

// Logs say who asked what; SQLite would create the file for everyone. Whatever goes wrong here, opening tells.
fn create_private(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // auto_vacuum comes first: it must be set before the file has its first page. Checkpoints are the writer's own.
    // Source: https://sqlite.org/pragma.html#pragma_auto_vacuum
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;
         PRAGMA cell_size_check = ON;",
    )
}

// The version the file had, if it is newer than what we know; else it is now at ours.
fn migrate<R: Row>(connection: &mut Connection) -> rusqlite::Result<usize> {
    let version = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
    };
    let known = R::MIGRATIONS.len();
    if usize::try_from(version(connection)?).unwrap_or(usize::MAX) == known {
        return Ok(known);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again, now that nobody else can change it.
    let found = usize::try_from(version(&transaction)?).unwrap_or(usize::MAX);
    for step in R::MIGRATIONS.get(found..).unwrap_or_default() {
        transaction.execute_batch(step)?;
    }
    if found < known {
        transaction.pragma_update(None, "user_version", known as i64)?;
    }
    transaction.commit()?;
    Ok(found.max(known))
}
