//! The verdict: the client's account, the upstreams' and the log must agree, and nothing secret may be anywhere.

use super::{PROMPT, judge::End, ledger::Entry, program::Program, setup::Setup};
use std::{collections::BTreeMap, fs, path::Path};

/// What is broken, but for what was waived.
pub(crate) struct Breaches {
    waived: Vec<&'static str>,
    found: Vec<String>,
}

impl Breaches {
    pub(crate) fn new(waived: &[&'static str]) -> Self {
        Self { waived: waived.to_vec(), found: Vec::new() }
    }

    pub(crate) fn expect(&mut self, invariant: &str, holds: bool, what: impl FnOnce() -> String) {
        if !holds && !self.waived.contains(&invariant) {
            self.found.push(format!("{invariant}: {}", what()));
        }
    }

    pub(crate) fn text(&self) -> String {
        let more = self.found.len().saturating_sub(6);
        let mut text = self.found[..self.found.len() - more].join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }
}

/// Notes a verdict for `tests/faults/run`, under the name of the test that runs.
pub(crate) fn note(id: &str, good: bool, figure: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    let _ = fs::create_dir_all(&folder);
    let thread = std::thread::current();
    let name = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or(id).to_owned();
    let line =
        format!("{id}\t{}\t{}\n", if good { "ok" } else { "FAILED" }, figure.replace('\n', " "));
    fs::write(folder.join(format!("{name}.txt")), line).unwrap();
}

/// Says loudly that a row cannot be shown here. Where CI is set, nothing is left out.
pub(crate) fn skip(id: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{id} cannot be left out here: {why}");
    note(id, true, &format!("SKIPPED: {why}"));
    eprintln!("SKIPPED {id}: {why}");
}

/// Invariants 1, 2, 3, 7 and 8, once the gateway is over.
pub(crate) fn check(
    breaches: &mut Breaches,
    program: &Program,
    entries: &[Entry],
    setup: &Setup,
    attempts: usize,
) {
    let integrity = program.integrity();
    breaches.expect("I7", integrity == "ok", || integrity.clone());
    if integrity == "ok" {
        rows(breaches, program, entries);
    }
    secrets(breaches, program, entries, setup);
    let asked = entries.iter().filter(|entry| entry.method == "POST").count();
    let calls: usize = setup.upstreams.iter().map(|(_, chaosd)| chaosd.calls().len()).sum();
    breaches.expect("I8", calls <= asked * attempts, || {
        format!("{calls} calls upstream for {asked} requests")
    });
}

/// I1: one row a request, with the status that its client saw. I2: `complete` only with a terminal.
fn rows(breaches: &mut Breaches, program: &Program, entries: &[Entry]) {
    let rows = program.rows();
    let mut by_id: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for row in &rows {
        by_id.entry(row["id"].as_str().unwrap_or_default()).or_default().push(row);
    }
    let mut nameless = 0;
    for entry in entries {
        breaches.expect("I2", entry.end != End::Lie, || {
            format!("{} {} both succeeded and failed: {}", entry.method, entry.path, entry.text())
        });
        if entry.id().is_empty() {
            nameless += usize::from(entry.counts);
            continue;
        }
        let Some(rows) = by_id.remove(entry.id()) else {
            breaches.expect("I1", false, || format!("no row of {} {}", entry.path, entry.id()));
            continue;
        };
        let what = |row: &super::LogLine| {
            format!(
                "{} {:?} {} is {} in the log",
                entry.path, entry.end, entry.status, row["ending"]
            )
        };
        for row in &rows {
            let ending = row["ending"].as_str().unwrap_or_default();
            let fits = match entry.end {
                End::Complete => ending == "complete",
                End::Refused | End::ErrorEvent | End::Cut | End::Lie => ending != "complete",
                // Its last bytes may have been on their way.
                End::Left => true,
            };
            breaches.expect("I2", fits, || what(row));
            let status = row["status_code"].as_u64();
            breaches.expect("I1", status == Some(u64::from(entry.status)), || {
                format!("{}, status {status:?}", what(row))
            });
        }
        breaches.expect("I1", rows.len() == 1, || format!("{} rows of {}", rows.len(), entry.id()));
    }
    // Who left before a head came knows no id: as many rows must be without an entry, and none of them complete.
    let others: Vec<_> = by_id.into_values().flatten().collect();
    breaches.expect("I1", others.len() == nameless, || {
        let paths: Vec<_> = others.iter().map(|row| row["path"].to_string()).collect();
        format!("{} rows without a request, for {nameless} without an id: {paths:?}", others.len())
    });
    for row in others.iter().filter(|_| others.len() == nameless) {
        breaches.expect("I2", row["ending"] != "complete", || {
            format!("complete without a client: {row:?}")
        });
    }
}

/// I3: no secret anywhere but where it belongs.
fn secrets(breaches: &mut Breaches, program: &Program, entries: &[Entry], setup: &Setup) {
    let said = program.said().into_bytes();
    let mut places: Vec<(String, Vec<u8>)> = vec![("the output".into(), said)];
    places.extend(
        program.written().into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)),
    );
    if !setup.prompts {
        for (place, bytes) in &places {
            breaches.expect("I3", !holds(bytes, PROMPT), || format!("a prompt in {place}"));
        }
    }
    for entry in entries {
        places.push((format!("the answer of {}", entry.path), entry.body.clone()));
        places.push((format!("the head of {}", entry.path), entry.head.clone().into_bytes()));
    }
    for canary in &setup.canaries {
        for (place, bytes) in &places {
            breaches.expect("I3", !holds(bytes, &canary.text), || format!("a secret in {place}"));
        }
        for (name, chaosd) in &setup.upstreams {
            if canary.upstream.as_ref() == Some(name) {
                continue;
            }
            for call in chaosd.all() {
                let seen =
                    holds(call.head.as_bytes(), &canary.text) || holds(&call.body, &canary.text);
                breaches.expect("I3", !seen, || format!("a secret reached {name}{}", call.path));
            }
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}
