//! The matrix itself: every row of it is shown by a test, or is said to be shown elsewhere; `docs/faults.md` lists them.

use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// Rows that nothing shows yet. Goes; nothing is added.
const OPEN: &[&str] = &[];

#[derive(Deserialize)]
struct Matrix {
    row: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    id: String,
    severity: String,
    fault: String,
    expect: String,
    never: Option<String>,
}

#[derive(Default, Deserialize)]
struct Elsewhere {
    #[serde(default)]
    row: Vec<Instead>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Instead {
    id: String,
    why: String,
    instead: String,
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults")
}

fn matrix() -> Vec<Fault> {
    let text = fs::read_to_string(here().join("matrix.toml")).unwrap();
    toml::from_str::<Matrix>(&text).unwrap().row
}

fn elsewhere() -> Vec<Instead> {
    let text = fs::read_to_string(here().join("elsewhere.toml")).unwrap();
    toml::from_str::<Elsewhere>(&text).unwrap().row
}

/// The tests of each row, by id, as sentences.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources(&here()) {
        let text = fs::read_to_string(path).unwrap();
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if let Some(rest) = line.split("fn ").nth(1).filter(|_| marked) {
                let name = rest.split('(').next().unwrap_or_default();
                let (id, sentence) = name.split_once('_').unwrap_or_default();
                tests.entry(id.to_uppercase()).or_default().push(sentence.replace('_', " "));
                marked = false;
            } else if !line.starts_with('#') && !line.starts_with("//") {
                marked = false;
            }
        }
    }
    tests
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[test]
fn every_row_of_the_matrix_is_shown() {
    let (matrix, elsewhere, tests) = (matrix(), elsewhere(), tests());
    assert_eq!(matrix.len(), 95);
    let known: BTreeSet<&str> = matrix.iter().map(|fault| fault.id.as_str()).collect();
    let named = elsewhere.iter().map(|row| row.id.as_str()).chain(OPEN.iter().copied());
    let unknown: Vec<&str> = named.filter(|id| !known.contains(id)).collect();
    assert_eq!(unknown, [""; 0], "rows that the matrix does not have");
    let missing: Vec<&str> = known
        .iter()
        .copied()
        .filter(|id| {
            let instead = elsewhere.iter().any(|row| row.id == *id);
            !tests.contains_key(*id) && !instead && !OPEN.contains(id)
        })
        .collect();
    assert_eq!(missing, [""; 0], "rows that nothing shows");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (_, tail) = rest.split_once(END).expect("where the table ends");
    let written = format!("{head}{BEGIN}\n{}{END}{tail}", table(&matrix, &elsewhere, &tests));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, written).unwrap();
    } else if OPEN.is_empty() {
        assert!(
            page == written,
            "docs/faults.md is not what this test would write; UPDATE=1 cargo test --test faults every_row writes it"
        );
    }
}

const BEGIN: &str = "<!-- matrix -->";
const END: &str = "<!-- /matrix -->";

fn table(matrix: &[Fault], elsewhere: &[Instead], tests: &BTreeMap<String, Vec<String>>) -> String {
    let mut page = String::new();
    let groups = [
        ('U', "Upstreams"),
        ('C', "Clients"),
        ('R', "Redis"),
        ('S', "The log"),
        ('O', "Operation"),
        ('A', "Access"),
    ];
    for (letter, title) in groups {
        let _ = write!(
            page,
            "\n### {title}\n\n| | | What breaks | What happens | Shown by |\n| --- | --- | --- | --- | --- |\n"
        );
        for fault in matrix.iter().filter(|fault| fault.id.starts_with(letter)) {
            let mut shown: Vec<String> = tests.get(&fault.id).cloned().unwrap_or_default();
            for row in elsewhere.iter().filter(|row| row.id == fault.id) {
                shown.push(format!("elsewhere: {}; {}", row.why, row.instead));
            }
            if shown.is_empty() {
                shown.push("not yet".to_owned());
            }
            let never = fault.never.as_ref();
            let never = never.map_or_else(String::new, |never| format!("; never: {never}"));
            let _ = writeln!(
                page,
                "| {} | {} | {} | {}{never} | {} |",
                fault.id,
                fault.severity,
                fault.fault,
                fault.expect,
                shown.join("<br>")
            );
        }
    }
    page.push('\n');
    page
}
