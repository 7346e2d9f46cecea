//! The golden cases, by number, and the tests that hold them: found by their names.

use regex::Regex;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    number: u32,
    title: String,
    /// What has changed since the case was written, or where else it is held.
    note: Option<String>,
}

/// How many there are.
const ALL: u32 = 80;

/// The table. A case that nobody holds is a failure.
pub(crate) fn write(failed: &mut Vec<String>) -> String {
    let path = crate::feature::root().join("golden.toml");
    let cases: Cases = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let numbers = cases.case.iter().map(|case| case.number);
    assert!(numbers.eq(1..=ALL), "golden.toml has every case from 1 to {ALL}, in order");
    let tests = tests();
    let mut page = String::from(
        "\n## Golden cases\n\nWhat must hold on the wire, one test or more each, by the number in their names.\n\n\
         | | case | held by |\n| --: | --- | --- |\n",
    );
    for case in &cases.case {
        let mut held: Vec<String> = tests.get(&case.number).cloned().unwrap_or_default();
        if held.is_empty() {
            failed.push(format!("golden {}: no test is named for it", case.number));
        }
        held.extend(case.note.clone());
        let _ = writeln!(page, "| {} | {} | {} |", case.number, case.title, held.join("; "));
    }
    page
}

/// The tests of each number, each with the file that has it.
fn tests() -> BTreeMap<u32, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "layers/src", "layers/tests"] {
        walk(&root.join(folder), &mut files);
    }
    files.sort();
    let name = Regex::new(r"golden_((?:\d+_(?:and_)?)+)\w+").unwrap();
    let mut tests: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let path = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        for found in name.captures_iter(&text) {
            let numbers = found[1].split('_').filter_map(|word| word.parse().ok());
            for number in numbers.filter(|number| (1..=ALL).contains(number)) {
                let held = tests.entry(number).or_default();
                held.push(format!("`{}` in {path}", &found[0]));
            }
        }
    }
    tests
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let kept = !matches!(name.to_str(), Some("node_modules" | "fixtures" | ".venv"));
        if path.is_dir() && kept {
            walk(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs" || end == "py" || end == "mjs") {
            files.push(path);
        }
    }
}
