//! `unigate stats`: the requests, added up.

use super::{
    Failure,
    database::{self, unreadable},
    format::{clean, count, json, millis, short},
    logs::FAILED,
    settings::Where,
    since,
    table::{Align, Table},
};
use clap::{Args, ValueEnum};
use rusqlite::{Connection, Row};
use serde::Serialize;
use std::{collections::HashMap, io::Write, path::Path};

/// Which rows, and how they are grouped.
#[derive(Args, Debug)]
pub(super) struct Stats {
    /// Only requests since then: 15m, 1h, 7d, 2026-11-01 [default: all]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// A line for each
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) place: Where,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Model,
    Client,
    Route,
}

/// What a group adds up to.
#[derive(Debug, Default)]
struct Sums {
    requests: u64,
    errors: u64,
    cancelled: u64,
    fallbacks: u64,
    hits: u64,
    looked_up: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    first_byte_ms: Vec<u32>,
    latency_ms: Vec<u32>,
}

/// The same, as it is told.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    requests: u64,
    errors: u64,
    cancelled: u64,
    fallbacks: u64,
    cache_hits: u64,
    /// Of those that were looked up; absent when none was.
    cache_hit_percent: Option<f64>,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Of the answers that were complete and no errors, as all times are.
    first_byte_p50_ms: Option<u32>,
    first_byte_p95_ms: Option<u32>,
    total_p50_ms: Option<u32>,
    total_p95_ms: Option<u32>,
}

pub(super) fn run(stats: &Stats, path: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let since = stats.since.as_deref().map(since::parse).transpose()?;
    let groups = match database::open(path)? {
        Some(connection) => read(&connection, stats.by, since.unwrap_or(i64::MIN))
            .map_err(|error| unreadable(path, &error))?,
        None => Vec::new(),
    };
    if groups.is_empty() && !stats.json {
        match since {
            Some(_) => writeln!(out, "no requests since then in {}", path.display())?,
            None => writeln!(out, "{}", database::nothing(path))?,
        }
        return Ok(());
    }
    let told: Vec<Told<'_>> = groups.iter().map(|(name, sums)| sums.tell(name, stats.by)).collect();
    if stats.json {
        for group in &told {
            writeln!(out, "{}", json(group)?)?;
        }
        return Ok(());
    }
    match stats.by {
        Some(_) => print_table(&told, out),
        None => told.iter().try_for_each(|all| print_list(all, out)),
    }
}

/// Groups by number of requests, the largest first.
fn read(
    connection: &Connection,
    by: Option<By>,
    since: i64,
) -> rusqlite::Result<Vec<(String, Sums)>> {
    let name = match by {
        None => "''",
        Some(By::Model) => "coalesce(model_used, model_requested, '-')",
        // "openai-python/1.2 (…)" is the same client in its next version.
        Some(By::Client) => "coalesce(client, '-')",
        Some(By::Route) => "coalesce(route, '-')",
    };
    let mut statement = connection.prepare(&format!(
        "SELECT {name}, {FAILED}, ending, cache, fallback_used, prompt_tokens, completion_tokens, \
         first_byte_ms, latency_ms FROM request_logs WHERE started_ms >= ?1"
    ))?;
    let tokens = |row: &Row<'_>, at| -> rusqlite::Result<u64> {
        Ok(u64::try_from(row.get::<_, Option<i64>>(at)?.unwrap_or_default()).unwrap_or_default())
    };
    let mut rows = statement.query([since])?;
    let mut groups: HashMap<String, Sums> = HashMap::new();
    while let Some(row) = rows.next()? {
        let mut name: String = row.get(0)?;
        if matches!(by, Some(By::Client)) {
            name.truncate(name.find(['/', ' ']).unwrap_or(name.len()));
        }
        let sums = groups.entry(name).or_default();
        let cancelled = row.get_ref(2)?.as_str()? == "cancelled";
        let failed = row.get::<_, bool>(1)? && !cancelled;
        sums.requests += 1;
        sums.errors += u64::from(failed);
        sums.cancelled += u64::from(cancelled);
        let cache = row.get_ref(3)?.as_str_or_null()?;
        sums.hits += u64::from(cache == Some("hit"));
        sums.looked_up += u64::from(matches!(cache, Some("hit" | "miss")));
        sums.fallbacks += u64::from(row.get::<_, bool>(4)?);
        sums.prompt_tokens += tokens(row, 5)?;
        sums.completion_tokens += tokens(row, 6)?;
        if !failed && !cancelled {
            sums.first_byte_ms.extend(row.get::<_, Option<u32>>(7)?);
            sums.latency_ms.push(row.get(8)?);
        }
    }
    let mut groups: Vec<(String, Sums)> = groups.into_iter().collect();
    groups.sort_by(|(a, x), (b, y)| y.requests.cmp(&x.requests).then_with(|| a.cmp(b)));
    for (_, sums) in &mut groups {
        sums.first_byte_ms.sort_unstable();
        sums.latency_ms.sort_unstable();
    }
    Ok(groups)
}

// === impl Sums ===

impl Sums {
    fn tell<'a>(&self, name: &'a str, by: Option<By>) -> Told<'a> {
        let hits = self.hits as f64 * 100.0 / self.looked_up as f64;
        Told {
            model: matches!(by, Some(By::Model)).then_some(name),
            client: matches!(by, Some(By::Client)).then_some(name),
            route: matches!(by, Some(By::Route)).then_some(name),
            requests: self.requests,
            errors: self.errors,
            cancelled: self.cancelled,
            fallbacks: self.fallbacks,
            cache_hits: self.hits,
            cache_hit_percent: (self.looked_up > 0).then(|| (hits * 10.0).round() / 10.0),
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            first_byte_p50_ms: percentile(&self.first_byte_ms, 50),
            first_byte_p95_ms: percentile(&self.first_byte_ms, 95),
            total_p50_ms: percentile(&self.latency_ms, 50),
            total_p95_ms: percentile(&self.latency_ms, 95),
        }
    }
}

/// The smallest of the sorted values that is not below so many percent of them (nearest rank).
fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn time(ms: Option<u32>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| millis(ms.into()))
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}%"))
}

fn print_table(groups: &[Told<'_>], out: &mut impl Write) -> Result<(), Failure> {
    let head = match groups.first() {
        Some(Told { model: Some(_), .. }) => "model",
        Some(Told { client: Some(_), .. }) => "client",
        _ => "route",
    };
    let titles = [
        head,
        "requests",
        "errors",
        "left",
        "fallback",
        "hits",
        "in",
        "out",
        "first p50",
        "p95",
        "total p50",
        "p95",
    ];
    let rows = groups.iter().map(|group| {
        let name = group.model.or(group.client).or(group.route).unwrap_or_default();
        vec![
            short(&clean(name), 60),
            count(group.requests),
            count(group.errors),
            count(group.cancelled),
            count(group.fallbacks),
            percent(group.cache_hit_percent),
            count(group.prompt_tokens),
            count(group.completion_tokens),
            time(group.first_byte_p50_ms),
            time(group.first_byte_p95_ms),
            time(group.total_p50_ms),
            time(group.total_p95_ms),
        ]
    });
    let rows: Vec<Vec<String>> =
        std::iter::once(titles.map(str::to_owned).into()).chain(rows).collect();
    let columns = (0..titles.len()).map(|at| (if at == 0 { Align::Left } else { Align::Right }, 0));
    let mut table = Table::new(columns);
    rows.iter().for_each(|row| table.fit(row));
    for row in &rows {
        writeln!(out, "{}", table.line(row))?;
    }
    Ok(())
}

fn print_list(all: &Told<'_>, out: &mut impl Write) -> Result<(), Failure> {
    let pair = |a: Option<u32>, b: Option<u32>| format!("{} p50, {} p95", time(a), time(b));
    let lines = [
        ("requests", count(all.requests)),
        ("errors", count(all.errors)),
        ("cancelled", count(all.cancelled)),
        ("fallbacks", count(all.fallbacks)),
        ("cache hits", format!("{} ({})", count(all.cache_hits), percent(all.cache_hit_percent))),
        (
            "tokens",
            format!("{} in, {} out", count(all.prompt_tokens), count(all.completion_tokens)),
        ),
        ("first byte", pair(all.first_byte_p50_ms, all.first_byte_p95_ms)),
        ("total", pair(all.total_p50_ms, all.total_p95_ms)),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<10}  {value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=20).collect();
        assert_eq!(percentile(&values, 50), Some(10));
        assert_eq!(percentile(&values, 95), Some(19));
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[7], 95), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
