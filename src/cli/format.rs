//! Numbers and foreign text, as a person reads them on a terminal.

use serde::Serialize;
use std::io;

/// As JSON on one line, the fields in their order.
pub(super) fn json(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// Text from a client or an upstream without what a terminal would obey: escapes, line ends, other controls.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// At most so many characters, the last one `…` when something was cut off.
pub(super) fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// A count: `950`, `1.2k`, `35k`, `1.2M`.
pub(super) fn count(n: u64) -> String {
    match n {
        0..=999 => n.to_string(),
        1_000..=9_949 => format!("{:.1}k", n as f64 / 1e3),
        9_950..=999_499 => format!("{:.0}k", n as f64 / 1e3),
        999_500..=9_949_999 => format!("{:.1}M", n as f64 / 1e6),
        _ => format!("{:.0}M", n as f64 / 1e6),
    }
}

/// A time in milliseconds: `95ms`, `7.1s`, `3m05s`, `2h10m`.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms}ms"),
        1_000..=99_949 => format!("{:.1}s", ms as f64 / 1e3),
        _ => {
            let s = ms.saturating_add(500) / 1000;
            match s {
                0..=3599 => format!("{}m{:02}s", s / 60, s % 60),
                _ => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
            }
        }
    }
}

/// A time in whole seconds: `45 s`, `10 min`, `1 h`, `30 d`, in the largest unit that leaves no rest.
pub(super) fn seconds(s: u64) -> String {
    match s {
        0 => "0 s".to_owned(),
        _ if s.is_multiple_of(86_400) => format!("{} d", s / 86_400),
        _ if s.is_multiple_of(3600) => format!("{} h", s / 3600),
        _ if s.is_multiple_of(60) => format!("{} min", s / 60),
        _ => format!("{s} s"),
    }
}

/// Bytes: `512 B`, `64 KiB`, `256 MiB`, `1.5 GiB`.
pub(super) fn bytes(n: u64) -> String {
    let (mut value, mut unit) = (n as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    let digits = usize::from(value.fract() != 0.0);
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nobody_elses_text() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(short("äöü", 3), "äöü");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0, 999, 1234, 9_960, 34_600, 999_900, 12_300_000].map(count),
            ["0", "999", "1.2k", "10k", "35k", "1.0M", "12M"]
        );
        assert_eq!(
            [95, 7_140, 99_950, 185_000, 7_800_000].map(millis),
            ["95ms", "7.1s", "1m40s", "3m05s", "2h10m"]
        );
        assert_eq!(
            [0, 45, 600, 3600, 90_000, 2_592_000].map(seconds),
            ["0 s", "45 s", "10 min", "1 h", "25 h", "30 d"]
        );
        assert_eq!(
            [512, 65_536, 268_435_456, 1_610_612_736].map(bytes),
            ["512 B", "64 KiB", "256 MiB", "1.5 GiB"]
        );
    }
}
