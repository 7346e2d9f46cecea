//! A point in time, as people write it: `1h`, `7d`, `2026-11-01`.

use super::Failure;
use rusqlite::Connection;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 of a time ago (`30s`, `15m`, `1h`, `7d`, `2w`) or of a date, local unless it ends in `Z`.
///
/// # Errors
/// How to write it, for anything else.
pub(super) fn parse(text: &str) -> Result<i64, Failure> {
    let text = text.trim();
    if let Some(ms) = ago(text) {
        return Ok(now_ms().saturating_sub(ms));
    }
    date(text).ok_or_else(|| {
        Failure::Usage(format!(
            "--since: {text:?} is no time; write 30s, 15m, 1h, 7d, 2w, 2026-11-01 or 2026-11-01T12:00"
        ))
    })
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn ago(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    let number =
        number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse::<i64>().ok())??;
    number.checked_mul(unit_ms)
}

/// SQLite reads the date, since it knows this machine's time zone.
fn date(text: &str) -> Option<i64> {
    // Its other forms (a bare number, "now") would be taken for something they are not.
    let b = text.as_bytes();
    if !(b.len() >= 10 && b[..4].iter().all(u8::is_ascii_digit) && b[4] == b'-') {
        return None;
    }
    let sql = match text.strip_suffix(['Z', 'z']) {
        Some(_) => "SELECT unixepoch(?1) * 1000",
        None => "SELECT unixepoch(?1, 'utc') * 1000",
    };
    Connection::open_in_memory().ok()?.query_row(sql, [text], |row| row.get(0)).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ago_has_a_unit() {
        assert_eq!(ago("30s"), Some(30_000));
        assert_eq!(ago("2w"), Some(1_209_600_000));
        for bad in ["", "h", "-1h", "1", "1.5h", "1y", "h1", "99999999999999999999d", "1é"] {
            assert_eq!(ago(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_date_is_read_in_either_form() {
        assert_eq!(date("2026-11-01T00:00:00Z"), Some(1_793_491_200_000));
        // Whatever the time zone, it is less than a day away.
        let local = date("2026-11-01").unwrap();
        assert!((local - 1_793_491_200_000).abs() < 86_400_000, "{local}");
        for bad in ["yesterday", "2026-13-01", "2026", "now", "20261101"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
