//! The request log, opened to be read only; the gateway may be running or not.

use super::{Failure, format::clean};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, types::ValueRef};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::{path::Path, time::Duration};

/// How long a reader waits for a writer that holds the file, as it does when it creates it.
const BUSY: Duration = Duration::from_secs(2);

/// A row as the table has it, for `--json`: every column by its name, in the table's order.
#[derive(Debug)]
pub(super) struct Record(Vec<(String, serde_json::Value)>);

/// Opens the log. `None` when there is no file, or no table in it yet.
pub(super) fn open(path: &Path) -> Result<Option<Connection>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let plain = connect(path.to_str().unwrap_or_default(), OpenFlags::empty());
    let found = match plain {
        // A log in WAL mode whose directory cannot be written: nobody else can be writing it either, unless there
        // is a WAL already, and then the first attempt would have worked.
        Err(error) if matches!(code(&error), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) => {
            let uri = format!("file:{}?immutable=1", escape(&path.display().to_string()));
            connect(&uri, OpenFlags::SQLITE_OPEN_URI)
        }
        other => other,
    };
    found.map_err(|error| unreadable(path, &error))
}

fn connect(name: &str, more: OpenFlags) -> rusqlite::Result<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(name, flags)?;
    connection.busy_timeout(BUSY)?;
    // The first read is where a file shows that it is no database.
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'request_logs'",
        [],
        |row| row.get(0),
    )?;
    Ok((tables > 0).then_some(connection))
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

/// A path inside a `file:` URI.
// Source: https://sqlite.org/uri.html, "The URI Path".
fn escape(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// What to tell when reading fails.
pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> Failure {
    Failure::Failed(format!("cannot read the request log {}: {error}", path.display()))
}

/// What to tell when there is nothing to read.
pub(super) fn nothing(path: &Path) -> String {
    format!("no requests logged yet in {}", path.display())
}

// === impl Record ===

impl Record {
    /// All columns of a row, but for those that begin with `_`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let statement = row.as_ref();
        let names = statement.column_names().enumerate();
        let columns = names.filter(|(_, name)| !name.starts_with('_')).map(|(at, name)| {
            let value = match row.get_ref(at)? {
                ValueRef::Null => serde_json::Value::Null,
                ValueRef::Integer(n) if matches!(name, "streamed" | "fallback_used") => {
                    (n != 0).into()
                }
                ValueRef::Integer(n) => n.into(),
                ValueRef::Real(x) => x.into(),
                ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into(),
            };
            Ok((name.to_owned(), value))
        });
        columns.collect::<rusqlite::Result<_>>().map(Self)
    }

    /// The columns that say something, with their values as text that a terminal may show.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            // A prompt keeps its lines.
            let text = text.lines().map(clean).collect::<Vec<_>>().join("\n");
            Some((name.as_str(), text))
        })
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
