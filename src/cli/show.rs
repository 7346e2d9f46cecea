//! `unigate show`: everything that is known of one request.

use super::{
    Failure,
    database::{self, Record, unreadable},
    format::json,
    settings::Where,
};
use clap::Args;
use rusqlite::{Connection, OptionalExtension};
use std::{io::Write, path::Path};

/// Which request, and how.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// The id (x-request-id), or a beginning or an end of it that no other has
    id: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) place: Where,
}

/// Most ids listed when a part of one fits several.
const MAX_LISTED: usize = 5;

pub(super) fn run(show: &Show, path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let Some(connection) = database::open(path)? else {
        return Ok(writeln!(out, "{}", database::nothing(path))?);
    };
    let id = find(&connection, &show.id).map_err(|error| unreadable(path, &error))?;
    let id = id.map_err(Failure::Failed)?;
    let record = connection
        .query_row("SELECT * FROM request_logs WHERE id = ?1", [id], Record::read)
        .map_err(|error| unreadable(path, &error))?;
    if show.json {
        return Ok(writeln!(out, "{}", json(&record)?)?);
    }
    let (long, short): (Vec<_>, Vec<_>) = record.shown().partition(|(_, text)| text.contains('\n'));
    let width = short.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, text) in short {
        writeln!(out, "{name:<width$}  {text}")?;
    }
    for (name, text) in long {
        writeln!(out, "\n{name}\n")?;
        for line in text.lines() {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// The whole id, or why there is not exactly one.
fn find(connection: &Connection, part: &str) -> rusqlite::Result<Result<String, String>> {
    let part = part.trim().trim_matches('.').to_lowercase();
    if part.is_empty() {
        return Ok(Err("an id is needed; \"unigate logs\" shows them".to_owned()));
    }
    let exact = "SELECT id FROM request_logs WHERE id = ?1";
    if let Some(id) = connection.query_row(exact, [&part], |row| row.get(0)).optional()? {
        return Ok(Ok(id));
    }
    let mut statement = connection.prepare(
        "SELECT id FROM request_logs \
         WHERE substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1 \
         ORDER BY rowid DESC LIMIT ?2",
    )?;
    let most = i64::try_from(MAX_LISTED + 1).unwrap_or(i64::MAX);
    let ids = statement.query_map((&part, most), |row| row.get(0))?;
    let mut ids: Vec<String> = ids.collect::<rusqlite::Result<_>>()?;
    Ok(match ids.len() {
        0 => Err(format!("no request has an id with {part:?} at its beginning or end")),
        1 => Ok(ids.remove(0)),
        n => {
            let more = if n > MAX_LISTED { "\n  …" } else { "" };
            ids.truncate(MAX_LISTED);
            Err(format!("several requests fit {part:?}:\n  {}{more}", ids.join("\n  ")))
        }
    })
}
