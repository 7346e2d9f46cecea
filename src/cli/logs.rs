//! `unigate logs`: one line a request.

use super::{
    Failure,
    database::{self, Record, unreadable},
    follow,
    format::{clean, count, json, millis, short},
    settings::Where,
    since,
    table::{Align, Table},
};
use clap::Args;
use rusqlite::{Connection, Row, ToSql};
use std::{io::Write, path::Path};

/// Which rows, and how.
#[derive(Args, Debug)]
pub(super) struct Logs {
    /// Keep showing requests as they end
    #[arg(short, long)]
    follow: bool,
    /// The newest so many
    #[arg(short, long, value_name = "ROWS", default_value_t = 50)]
    number: u32,
    /// Only those that failed
    #[arg(long)]
    errors: bool,
    /// Only those that asked for or got a model with this in its name
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Only those since then: 15m, 1h, 7d, 2026-11-01
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// One JSON object a line, with every column
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) place: Where,
}

impl Logs {
    /// The newest rows, whatever they say.
    pub(super) fn newest(number: u32) -> Self {
        Self {
            follow: false,
            number,
            errors: false,
            model: None,
            since: None,
            json: false,
            place: Where::default(),
        }
    }
}

/// What a row must be; the same for the first rows and for those that follow.
pub(super) struct Filter {
    clause: String,
    values: Vec<Box<dyn ToSql>>,
}

/// Writes rows, one by one.
pub(super) struct Printer {
    json: bool,
    dated: bool,
    table: Table,
}

/// One row as its line needs it.
struct Line {
    cells: Vec<String>,
    today: bool,
    date: String,
}

/// A request's failure, for a filter and for counting.
pub(super) const FAILED: &str = "(ending IN ('failed', 'lost') OR coalesce(status_code, 0) >= 400)";

const COLUMNS: &str = "rowid AS _row, \
     strftime('%m-%d', started_ms / 1000, 'unixepoch', 'localtime') AS _date, \
     strftime('%H:%M:%S', started_ms / 1000, 'unixepoch', 'localtime') AS _time, \
     date(started_ms / 1000, 'unixepoch', 'localtime') = date('now', 'localtime') AS _today, *";

/// Characters of the end of an id that are shown; its beginning is the time, which many share.
const ID: usize = 8;

/// Rows read at a time while following, so that a burst does not fill the memory.
const BATCH: u32 = 1000;

pub(super) fn run(logs: &Logs, path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let filter = Filter::new(logs)?;
    let mut printer = Printer::new(logs.json);
    let connection = database::open(path)?;
    let found = match &connection {
        Some(connection) => last(connection, &filter, logs.number, &mut printer, out)
            .map_err(|failure| failure.named(path))?,
        None => Found::default(),
    };
    if logs.follow {
        return follow::run(path, connection, found.newest, &filter, &mut printer, out);
    }
    if found.rows == 0 && !logs.json {
        let some = connection.is_some_and(|c| follow::newest(&c).is_ok_and(|row| row > 0));
        match some {
            true => writeln!(out, "no request in {} is like that", path.display())?,
            false => writeln!(out, "{}", database::nothing(path))?,
        }
    }
    Ok(())
}

/// What was shown.
#[derive(Default)]
struct Found {
    rows: usize,
    /// The newest row of the table when it was read, whether it was shown or not.
    newest: i64,
}

/// Reading failed, or writing did.
pub(super) enum Trouble {
    Read(rusqlite::Error),
    Write(Failure),
}

impl Trouble {
    pub(super) fn named(self, path: &Path) -> Failure {
        match self {
            Self::Read(error) => unreadable(path, &error),
            Self::Write(failure) => failure,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Shows the newest rows, the newest last.
fn last(
    connection: &Connection,
    filter: &Filter,
    number: u32,
    printer: &mut Printer,
    out: &mut impl Write,
) -> Result<Found, Trouble> {
    // First, so that a row which comes in between is shown twice at worst, and never lost. The bound makes it once.
    let newest = follow::newest(connection)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM request_logs WHERE {} AND rowid <= {newest} ORDER BY rowid DESC LIMIT {number}",
        filter.clause
    );
    let sql = format!("SELECT * FROM ({sql}) ORDER BY _row");
    let rows = printer.print(connection, &sql, filter, out)?;
    Ok(Found { rows, newest })
}

/// Shows what came after a row, and gives the newest row that was looked at.
pub(super) fn after(
    connection: &Connection,
    filter: &Filter,
    row: i64,
    printer: &mut Printer,
    out: &mut impl Write,
) -> Result<i64, Trouble> {
    let newest = follow::newest(connection)?;
    // Rows are numbered anew when the file is compacted; then there is nothing to be after.
    let row = row.min(newest);
    let end = newest.min(row.saturating_add(BATCH.into()));
    let sql = format!(
        "SELECT {COLUMNS} FROM request_logs WHERE {} AND rowid > {row} AND rowid <= {end} ORDER BY rowid",
        filter.clause
    );
    printer.print(connection, &sql, filter, out)?;
    out.flush()?;
    Ok(end)
}

// === impl Filter ===

impl Filter {
    fn new(logs: &Logs) -> Result<Self, Failure> {
        let mut clauses = vec!["1".to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        if logs.errors {
            clauses.push(FAILED.to_owned());
        }
        if let Some(model) = &logs.model {
            values.push(Box::new(model.to_lowercase()));
            clauses.push(
                "(instr(lower(model_requested), ?1) > 0 OR instr(lower(model_used), ?1) > 0)"
                    .into(),
            );
        }
        if let Some(text) = &logs.since {
            values.push(Box::new(since::parse(text)?));
            clauses.push(format!("started_ms >= ?{}", values.len()));
        }
        Ok(Self { clause: clauses.join(" AND "), values })
    }
}

// === impl Printer ===

impl Printer {
    fn new(json: bool) -> Self {
        let table = Table::new([
            (Align::Left, 8),
            (Align::Left, 3),
            (Align::Left, 24),
            (Align::Left, 8),
            (Align::Right, 7),
            (Align::Right, 8),
            (Align::Right, 10),
            (Align::Right, 9),
            (Align::Right, 5),
            (Align::Left, 4),
            (Align::Left, ID),
        ]);
        Self { json, dated: false, table }
    }

    fn print(
        &mut self,
        connection: &Connection,
        sql: &str,
        filter: &Filter,
        out: &mut impl Write,
    ) -> Result<usize, Trouble> {
        let mut statement = connection.prepare(sql)?;
        let values = rusqlite::params_from_iter(filter.values.iter());
        let mut rows = statement.query(values)?;
        let mut lines = Vec::new();
        let mut written = 0;
        while let Some(row) = rows.next()? {
            written += 1;
            if self.json {
                writeln!(out, "{}", json(&Record::read(row)?)?)?;
            } else {
                lines.push(Line::read(row)?);
            }
        }
        // One old row dates them all, so that the lines stay aligned.
        self.dated |= lines.iter().any(|line| !line.today);
        for line in &mut lines {
            if self.dated {
                line.cells[0] = format!("{} {}", line.date, line.cells[0]);
            }
            self.table.fit(&line.cells);
        }
        for line in &lines {
            writeln!(out, "{}", self.table.line(&line.cells))?;
        }
        Ok(written)
    }
}

// === impl Line ===

impl Line {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let text = |name: &str| -> rusqlite::Result<String> {
            Ok(clean(&row.get::<_, Option<String>>(name)?.unwrap_or_default()))
        };
        let number = |name: &str| -> rusqlite::Result<Option<u64>> {
            Ok(row.get::<_, Option<i64>>(name)?.map(|n| u64::try_from(n).unwrap_or_default()))
        };
        let (requested, used) = (text("model_requested")?, text("model_used")?);
        let model = match (requested.as_str(), used.as_str()) {
            ("", "") => format!("{} {}", text("method")?, text("path")?),
            (requested, "") => requested.to_owned(),
            (requested, used) if requested.is_empty() || requested == used => used.to_owned(),
            (requested, used) => format!("{requested} -> {used}"),
        };
        let (first_byte, latency) = (number("first_byte_ms")?, number("latency_ms")?);
        let completion = number("completion_tokens")?;
        let told = |value: Option<u64>, as_text: &dyn Fn(u64) -> String| {
            value.map(as_text).unwrap_or_default()
        };
        let ending = text("ending")?;
        let status = told(number("status_code")?, &|status| status.to_string());
        let cache = match text("cache")?.as_str() {
            "hit" => "HIT".to_owned(),
            "off" => String::new(),
            other => other.to_owned(),
        };
        let id = text("id")?;
        let tail = id.char_indices().rev().nth(ID - 1).map_or(0, |(at, _)| at);
        let mut cells = vec![
            text("_time")?,
            if status.is_empty() { "-".to_owned() } else { status },
            short(&model, 60),
            text("route")?,
            told(number("prompt_tokens")?, &|n| format!("{} in", count(n))),
            told(completion, &|n| format!("{} out", count(n))),
            told(first_byte, &|ms| format!("ttft {}", millis(ms))),
            speed(completion, first_byte, latency),
            told(latency, &millis),
            cache,
            id[tail..].to_owned(),
        ];
        let error = text("error_message")?;
        let why = if error.is_empty() { text("error_code")? } else { error };
        // Beyond the columns, since it is there for few and as long as it is.
        cells.push(match ending.as_str() {
            "complete" if why.is_empty() => text("client")?,
            "complete" => why,
            "cancelled" => "cancelled: the client left".to_owned(),
            _ if why.is_empty() => ending,
            _ => why,
        });
        Ok(Self { cells, today: row.get("_today")?, date: text("_date")? })
    }
}

/// Tokens a second, from the first byte on; nothing where it would say nothing.
fn speed(tokens: Option<u64>, first_byte: Option<u64>, latency: Option<u64>) -> String {
    let (Some(tokens), Some(first), Some(all)) = (tokens, first_byte, latency) else {
        return String::new();
    };
    match all.saturating_sub(first) {
        ms if ms < 10 || tokens < 2 => String::new(),
        ms => format!("{} tok/s", count((tokens as f64 * 1000.0 / ms as f64).round() as u64)),
    }
}
