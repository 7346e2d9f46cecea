//! Import arrows point down. This reads the `use` lines and holds the table.

use std::{collections::BTreeMap, fs, path::Path};

/// Each module, and what it may import. What stands lower may be imported by what stands higher, never the reverse.
const MAY: &[(&str, &[&str])] = &[
    // Ground: plain data, pure functions.
    ("error", &[]),
    ("memory", &[]),
    ("wire", &[]),
    ("config", &[]),
    ("intent", &[]),
    ("peer", &[]),
    ("pick", &[]),
    ("record", &["dialect"]),
    // Languages: `chat` and the dialects are one idea in two places.
    ("chat", &["dialect"]),
    ("dialect", &["chat", "error", "wire"]),
    ("translate", &["chat", "dialect", "error", "wire"]),
    ("provider", &["chat", "config", "dialect"]),
    ("catalog", &["chat", "pick"]),
    ("models", &["catalog", "chat", "dialect", "pick"]),
    // The face to the client.
    ("front", &["dialect", "error", "memory", "record"]),
    ("heartbeat", &["dialect", "error", "front", "record"]),
    // Policies, the leaf and the desk: strangers to one another.
    ("access", &["dialect", "error", "front", "peer", "record"]),
    ("cache", &["chat", "dialect", "front", "record", "translate"]),
    ("log", &["dialect", "front", "record"]),
    ("retry", &["error", "record"]),
    // What the leaf learns of those it asks, and who stands above it shows.
    ("health", &["error"]),
    (
        "route",
        &["catalog", "config", "dialect", "error", "front", "intent", "models", "pick", "record"],
    ),
    (
        "upstream",
        &[
            "chat",
            "config",
            "dialect",
            "error",
            "front",
            "health",
            "provider",
            "record",
            "translate",
            "wire",
        ],
    ),
    // What looks around, and what answers from what was seen.
    ("discovery", &["catalog", "chat", "config", "models", "provider", "upstream"]),
    (
        "local",
        &[
            "catalog",
            "dialect",
            "discovery",
            "error",
            "front",
            "health",
            "metrics",
            "models",
            "pick",
            "readiness",
            "record",
            "route",
            "upstream",
        ],
    ),
    ("readiness", &[]),
    ("metrics", &["front", "log", "record"]),
    ("listen", &["peer"]),
    // The door: what may be read at all.
    ("edge", &["error", "front", "listen", "memory", "record"]),
    // The order of the stack.
    (
        "gateway",
        &[
            "access",
            "cache",
            "catalog",
            "config",
            "dialect",
            "discovery",
            "edge",
            "front",
            "heartbeat",
            "health",
            "local",
            "log",
            "memory",
            "metrics",
            "models",
            "provider",
            "readiness",
            "retry",
            "route",
            "translate",
            "upstream",
        ],
    ),
    // The program.
    (
        "run",
        &[
            "catalog",
            "config",
            "discovery",
            "gateway",
            "health",
            "listen",
            "log",
            "memory",
            "metrics",
            "readiness",
            "upstream",
        ],
    ),
    ("demo", &["config", "run"]),
    (
        "cli",
        &[
            "catalog",
            "config",
            "demo",
            "discovery",
            "error",
            "front",
            "gateway",
            "log",
            "provider",
            "route",
            "run",
            "upstream",
        ],
    ),
    ("main", &["cli"]),
];

#[test]
fn every_import_points_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table: BTreeMap<&str, &[&str]> = MAY.iter().copied().collect();
    let mut wrong = Vec::new();
    for file in files(&root) {
        let relative = file.strip_prefix(&root).unwrap().to_str().unwrap();
        let module = relative.split(['/', '.']).next().unwrap();
        if module == "lib" || relative.ends_with("tests.rs") || relative.contains("/tests/") {
            continue;
        }
        let Some(may) = table.get(module) else {
            wrong.push(format!("{relative}: module {module} is not in the table"));
            continue;
        };
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            if import != module && !may.contains(&import.as_str()) {
                wrong.push(format!("{relative} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn layers_do_not_import_one_another_and_know_no_language_model() {
    const GROUND: [&str; 2] = ["body", "notes"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("layers/src");
    let mut wrong = Vec::new();
    for file in files(&root) {
        let relative = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let module = relative.split(['/', '.']).next().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        if module == "lib" || module == "testing" || relative.ends_with("tests.rs") {
            continue;
        }
        // A store is part of what it stores for.
        let parent = match module.as_str() {
            "memory" | "redis" => "cache",
            "sqlite" => "log",
            _ => "",
        };
        for import in imports(code) {
            if import != module && import != parent && !GROUND.contains(&import.as_str()) {
                wrong.push(format!("{relative} imports {import}"));
            }
        }
        for word in ["ollama", "openai", "prompt", "token_count"] {
            if code.to_lowercase().contains(word) {
                wrong.push(format!("{relative} knows {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_seam_erases_a_service() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let with: Vec<String> = files(&root)
        .into_iter()
        .filter(|file| fs::read_to_string(file).unwrap().contains("BoxCloneSyncService::new"))
        .map(|file| file.strip_prefix(&root).unwrap().display().to_string())
        .collect();
    assert_eq!(with, ["gateway.rs"]);
}

/// First path segments behind `crate::`, in `use` lines of the code above the tests.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    let mut add = |name: &str| {
        let name = name.trim();
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            found.push(name.to_owned());
        }
    };
    let mut rest = code;
    while let Some(at) = rest.find("use crate::") {
        rest = &rest[at + "use crate::".len()..];
        let end = rest.find(';').unwrap_or(rest.len());
        let tree = &rest[..end];
        match tree.strip_prefix('{') {
            None => add(tree.split("::").next().unwrap()),
            Some(list) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            add(item.split("::").next().unwrap());
                            item.clear();
                            continue;
                        }
                        _ => {}
                    }
                    item.push(c);
                }
                add(item.trim_end_matches('}').split("::").next().unwrap());
            }
        }
    }
    found
}

fn files(root: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(path);
        }
    }
    all.sort();
    all
}
