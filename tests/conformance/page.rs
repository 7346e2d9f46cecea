//! `docs/conformance.md`: every cell, and what the numbers in them mean.

use crate::{cell::Cell, feature::Feature, golden, speakers::SPEAKERS};
use std::{fmt::Write, path::Path};

const HEAD: &str = "\
# Conformance

What becomes of each feature on its way from any client to any upstream, whole and streamed. This page is written by a test, which compares
what the gateway makes of the files in `tests/fixtures/conformance` with what it should: a row is an entry in `features.toml` there and a
folder of files. The test fails when this page is not what it would write; `UPDATE=1 cargo test --test conformance` writes it.

✓ says that the request arrives with everything in it, and the answer too; where both sides speak the same dialect, that the bytes are the same.
✓ with a number arrives too, and the list at the end says how. A number alone is not all there: *dropped* is left out and named in `x-unigate-warning` and in the log (with `translate.strict = true`
it is a 400 instead), *400* is refused with a reason, *–* cannot be said in one of the two dialects.
";

/// The notes, numbered in the order in which they come up.
#[derive(Default)]
struct Numbers(Vec<String>);

impl Numbers {
    fn of(&mut self, note: &str) -> usize {
        let known = self.0.iter().position(|known| known == note);
        known.unwrap_or_else(|| {
            self.0.push(note.to_owned());
            self.0.len() - 1
        }) + 1
    }
}

/// The page. `check` as in [`crate::cell::check`], its failures gathered in `failed`.
pub(crate) fn write(
    features: &[Feature],
    check: impl Fn(&Feature, usize, usize, bool) -> Result<Cell, String>,
    failed: &mut Vec<String>,
) -> String {
    let mut page = HEAD.to_owned();
    let mut numbers = Numbers::default();
    for (at, client) in SPEAKERS.iter().enumerate() {
        let upstreams: Vec<usize> =
            (0..SPEAKERS.len()).filter(|upstream| SPEAKERS[*upstream].serves(client)).collect();
        let heads = upstreams.iter().map(|upstream| SPEAKERS[*upstream].title);
        let heads: String = heads.map(|title| format!(" {title} | {title}, streamed |")).collect();
        let line = " :-: |".repeat(upstreams.len() * 2);
        let _ = write!(page, "\n## {} clients\n\n| |{heads}\n| --- |{line}\n", client.title);
        for feature in features {
            let _ = write!(page, "| {} |", feature.title);
            for upstream in &upstreams {
                for streamed in [false, true] {
                    let cell = match check(feature, at, *upstream, streamed) {
                        Ok(Cell::Good) => "✓".to_owned(),
                        Ok(Cell::Otherwise(how)) => format!("✓ {}", numbers.of(&how)),
                        Ok(Cell::Note(note)) => numbers.of(&note).to_string(),
                        Err(what) => {
                            failed.push(what);
                            "✗".to_owned()
                        }
                    };
                    let _ = write!(page, " {cell} |");
                }
            }
            page.push('\n');
        }
    }
    page.push_str("\n## What the numbers mean\n\n");
    for (at, note) in numbers.0.iter().enumerate() {
        let _ = writeln!(page, "{}. {note}", at + 1);
    }
    page.push_str(&golden::write(failed));
    page
}

/// Compares with the file, or writes it where `UPDATE` is set.
pub(crate) fn compare(page: &str) -> Result<(), String> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/conformance.md"));
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(path, page).map_err(|error| error.to_string());
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    if published == page {
        return Ok(());
    }
    let same = published.lines().zip(page.lines()).take_while(|(one, other)| one == other).count();
    Err(format!(
        "docs/conformance.md is not what this test would write, from line {}:\n{}\n\
         Write it with: UPDATE=1 cargo test --test conformance",
        same + 1,
        page.lines().nth(same).unwrap_or("(the end)"),
    ))
}
