//! Points in time as the dialects write them.

use std::fmt;

/// Milliseconds since 1970, shown as RFC 3339 in UTC: `2026-11-23T21:16:46.123Z`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Utc(pub(crate) u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

impl serde::Serialize for Utc {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Seconds since 1970 of an RFC 3339 text, fractions dropped; `None` for anything else or before 1970.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let (day, clock) = text.split_once(['T', 't', ' '])?;
    let mut day = day.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (day.next()??, day.next()??, day.next()??);
    let zone = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at(zone);
    // Two digits each: what cannot be a time cannot overflow one either.
    let small = |part: &str| part.parse::<u8>().ok().map(i64::from);
    let mut clock = clock.split('.').next()?.splitn(3, ':').map(small);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let offset = if zone.eq_ignore_ascii_case("z") {
        0
    } else {
        let (hours, minutes) = zone[1..].split_once(':')?;
        let offset = small(hours)? * 3600 + small(minutes)? * 60;
        if zone.starts_with('-') { -offset } else { offset }
    };
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Howard Hinnant's days_from_civil: the year begins in March, so that the leap day is its last.
    let years = year - i64::from(month <= 2);
    let (era, of_era) = (years.div_euclid(400), years.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    u64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second - offset).ok()
}

fn date(days: u64) -> (u64, u64, u64) {
    // The other way, civil_from_days; the same March years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_785_000_000_123, "2026-07-25T17:20:00.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(Utc(millis).to_string(), text);
            assert_eq!(seconds(text), Some(millis / 1000));
        }
        assert_eq!(seconds("2026-07-25T19:20:00.5+02:00"), Some(1_785_000_000));
        assert_eq!(seconds("2026-07-25T10:20:00.123456789-07:00"), Some(1_785_000_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2026-07-25",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00+9999999999999999:00",
            "1960-01-01T00:00:00Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
