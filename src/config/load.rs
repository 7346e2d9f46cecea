//! Puts a configuration together: file, then environment, then flags; the later one wins.

use super::{
    Config, Upstream, address,
    environment::Draft,
    key_path::{KeyPath, Step},
    search,
    source::Source,
};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use toml::{Table, Value};

/// Where a configuration comes from.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file. Default when absent: `$UNIGATE_CONFIG`, `config.toml` in `dir`, `~/.config/unigate/config.toml`,
    /// `/etc/unigate/config.toml`, the first there is; else none.
    pub path: Option<PathBuf>,
    /// The directory that relative paths start from. Default: empty, the working directory.
    pub dir: PathBuf,
    /// The environment. Default: empty.
    pub env: BTreeMap<String, String>,
    /// Single keys and their values, as in `("server.listen", "127.0.0.1:0")`; stronger than all else. Default: none.
    pub flags: Vec<(String, String)>,
}

/// A configuration that can run, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, valid.
    pub config: Config,
    /// The file that was read; `None` when there was none.
    pub file: Option<PathBuf>,
    /// What the user should know although nothing is wrong, one sentence each.
    pub notes: Vec<String>,
    /// Where it came from, to load it again when the file has changed.
    pub sources: Sources,
}

/// Everything that is wrong with a configuration. `Display` shows one problem after the other, with the places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
}

// === impl Sources ===

impl Sources {
    /// This process's environment and working directory, no flags. Variables that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self { env: env.collect(), ..Self::default() }
    }
}

// Without the values: among them are the secrets that the configuration refers to.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("path", &self.path)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

// === impl ConfigError ===

impl ConfigError {
    /// What is wrong, one problem each; some have several lines, with a caret below the place.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl From<String> for ConfigError {
    fn from(problem: String) -> Self {
        Self { problems: vec![problem] }
    }
}

// === impl Config ===

impl Config {
    /// Reads the file, then the environment, then the flags, and checks the result. Connects to nothing, and reads no
    /// secret.
    ///
    /// # Errors
    /// The file's syntax error; else all keys of the file that are unknown or of the wrong type; else everything
    /// that is wrong with the values, variables and flags, with path and line.
    pub fn load(sources: Sources) -> Result<Loaded, ConfigError> {
        let mut notes = Vec::new();
        let found = search::find(sources.path.as_deref(), &sources.dir, &sources.env, &mut notes)?;
        let (file, text) = found.unzip();
        let text = text.unwrap_or_default();
        let name = file.clone().unwrap_or_default();
        // Editors on Windows put a mark before the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let source = Source::parse(&name, text)?;
        let problems = source.misfits();
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let draft =
            Draft { table, file: &source, said_by: Vec::new(), notes, problems: Vec::new() };
        let (draft, config) = finish(draft, &sources)?;
        let problems: Vec<String> = config
            .problems()
            .into_iter()
            .map(|problem| {
                let Place { before, after } = place(&source, &draft.said_by, &problem.path);
                format!("{before}{}{after}: {}", problem.path, problem.message)
            })
            .collect();
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        let notes = draft.notes;
        Ok(Loaded { config, file, notes, sources })
    }
}

/// Adds what the environment and the flags say, and fills the gaps that depend on several keys.
fn finish<'a>(mut draft: Draft<'a>, sources: &Sources) -> Result<(Draft<'a>, Config), ConfigError> {
    let none = |value: Option<&Value>| value.and_then(Value::as_table).is_none_or(Table::is_empty);
    if none(draft.table.get("upstream")) {
        let ollama = Value::try_from(Upstream { url: None, ..Upstream::ollama() });
        let ollama = ollama.map_err(|error| error.to_string())?;
        draft.table.insert(
            "upstream".into(),
            Value::Table([("ollama".into(), ollama)].into_iter().collect()),
        );
    }
    let listen = listen(&draft, sources);
    draft.port(&sources.env);
    draft.borrowed(&sources.env, &listen);
    draft.own(&sources.env);
    for (path, value) in &sources.flags {
        draft.set(&path.split('.').collect::<Vec<_>>(), value, "the command line");
    }
    if !draft.problems.is_empty() {
        return Err(ConfigError { problems: draft.problems });
    }
    let has_store = draft.get(&["cache", "store"]).is_some();
    let mut config: Config = match Value::Table(draft.table.clone()).try_into() {
        Ok(config) => config,
        Err(error) => return Err(error.to_string().into()),
    };
    if !has_store && config.cache.redis.is_some() {
        "redis".clone_into(&mut config.cache.store);
    }
    for (name, upstream) in &mut config.upstream {
        if upstream.provider.is_empty() {
            upstream.provider.clone_from(name);
        }
        if name == "ollama" && upstream.provider == "ollama" && upstream.url.is_none() {
            upstream.url = Some(Upstream::OLLAMA_URL.to_owned());
        }
    }
    let log_path = config.log.path.take().filter(|path| !path.as_os_str().is_empty());
    config.log.path = Some(log_path.unwrap_or_else(|| search::log_path(&sources.env)));
    Ok((draft, config))
}

/// The address that the gateway will listen on, as far as it can be told before everything is checked.
fn listen(draft: &Draft<'_>, sources: &Sources) -> String {
    let mut preview = Draft {
        table: draft.table.clone(),
        file: draft.file,
        said_by: Vec::new(),
        notes: Vec::new(),
        problems: Vec::new(),
    };
    preview.port(&sources.env);
    preview.own(&sources.env);
    let flag = sources.flags.iter().rfind(|(path, _)| path == "server.listen");
    if let Some((_, value)) = flag {
        preview.set(&["server", "listen"], value, "");
    }
    let listen = preview.get(&["server", "listen"]).and_then(Value::as_str).map(str::to_owned);
    listen.unwrap_or_else(|| super::Server::default().listen)
}

/// What stands before and after a path to say where its value came from.
struct Place {
    before: String,
    after: String,
}

fn place(source: &Source<'_>, said_by: &[(KeyPath, String)], path: &KeyPath) -> Place {
    let covers = |key: &KeyPath| path.steps().starts_with(key.steps());
    if let Some((_, who)) = said_by.iter().rfind(|(key, _)| covers(key)) {
        return Place { before: String::new(), after: format!(" (from {who})") };
    }
    // The nearest table says little about a key that only exists by default.
    let line = match path.steps() {
        [Step::Key(section), ..] if !source.says(&[section.as_str()]) => None,
        _ => source.line_of(path),
    };
    Place { before: line.map(|line| format!("{line}: ")).unwrap_or_default(), after: String::new() }
}

/// The URL that a bare address for `--ollama` means, by Ollama's own rules; a URL stays as it is.
pub(crate) fn ollama_url(text: &str) -> String {
    if text.contains("://") {
        return text.to_owned();
    }
    address::ollama_host(text).unwrap_or_else(|| text.to_owned())
}
