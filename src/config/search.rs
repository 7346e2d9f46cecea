//! Where the configuration file is, and where the log goes when nobody says.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The top-level keys of a configuration of ours.
pub(super) const SECTIONS: [&str; 8] =
    ["server", "upstream", "models", "aliases", "route", "cache", "retry", "log"];

/// The file that is used, with its text; `None` when there is none anywhere.
///
/// A file that was named must be there. `config.toml` in the working directory is a common name: one that has
/// none of our sections belongs to another program, and is passed over with a note.
pub(super) fn find(
    named: Option<&Path>,
    dir: &Path,
    env: &BTreeMap<String, String>,
    notes: &mut Vec<String>,
) -> Result<Option<(PathBuf, String)>, String> {
    let from_env = env.get("UNIGATE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = named.map(Path::to_owned).or(from_env) {
        let path = dir.join(path);
        return match fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        };
    }
    let here = dir.join("config.toml");
    let home = directory(env, "XDG_CONFIG_HOME", ".config").map(|d| d.join("unigate/config.toml"));
    let system = Some(PathBuf::from("/etc/unigate/config.toml"));
    for path in [Some(here.clone()), home, system].into_iter().flatten() {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // Nothing there, or below something that is no directory.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        if path == here && !is_ours(&text) {
            notes.push(format!(
                "{} ignored: it has none of this program's sections; name it with --config if it is meant",
                path.display()
            ));
            continue;
        }
        return Ok(Some((path, text)));
    }
    Ok(None)
}

/// Whether a file looks like ours: it has one of our sections, or says nothing at all.
fn is_ours(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let ours = |line: &str| {
        let name = line.trim_start_matches('[').split(['.', ']', '=', ' ']).next().unwrap_or("");
        SECTIONS.contains(&name)
    };
    // By lines and not by parsing, so that a file of ours with a syntax error is still ours.
    lines.clone().next().is_none() || lines.any(ours)
}

/// The request log's file: `unigate/requests.db` in `$XDG_DATA_HOME` or `~/.local/share`, else in the working directory.
pub(super) fn log_path(env: &BTreeMap<String, String>) -> PathBuf {
    let data = directory(env, "XDG_DATA_HOME", ".local/share").map(|d| d.join("unigate"));
    data.unwrap_or_default().join("requests.db")
}

/// A base directory: `$name` when it is absolute, else `fallback` in the home directory.
// Source: XDG Base Directory Specification 0.8: relative paths in these variables are to be ignored.
fn directory(env: &BTreeMap<String, String>, name: &str, fallback: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(name).or_else(|| Some(absolute("HOME")?.join(fallback)))
}
