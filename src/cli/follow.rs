//! `unigate logs --follow`: shows rows as they are written, by anyone.

use super::{
    Failure, database,
    logs::{self, Filter, Printer},
};
use rusqlite::Connection;
use std::{io::Write, path::Path, thread, time::Duration};

/// Between two looks. The writer batches rows anyway, and a person does not notice.
const PAUSE: Duration = Duration::from_millis(300);

/// Shows what comes after `newest`, until the process is told to stop or nobody reads any more.
pub(super) fn run(
    path: &Path,
    mut connection: Option<Connection>,
    mut newest: i64,
    filter: &Filter,
    printer: &mut Printer,
    out: &mut impl Write,
) -> Result<(), Failure> {
    if connection.is_none() {
        eprintln!("{}; waiting", database::nothing(path));
    }
    out.flush()?;
    loop {
        if let Some(open) = &connection {
            let looked = logs::after(open, filter, newest, printer, out);
            newest = looked.map_err(|trouble| trouble.named(path))?;
        } else {
            connection = database::open(path)?;
            if connection.is_some() {
                continue;
            }
        }
        thread::sleep(PAUSE);
    }
}

/// The number of the newest row; 0 when there is none.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(rowid), 0) FROM request_logs", [], |row| row.get(0))
}
