//! The rows: what each dialect says of one thing, read from `tests/fixtures/conformance`.

use crate::speakers::Speaker;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};
use unigate::dialect::Operation;

/// One row of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(default)]
    operation: What,
    #[serde(default = "yes")]
    pub(crate) streamed: bool,
    #[serde(default)]
    pub(crate) fails: bool,
    /// The status of a refusal, and the one that a client of another dialect is told.
    #[serde(default)]
    status: u16,
    told: Option<u16>,
    #[serde(default)]
    openai: Notes,
    #[serde(default)]
    ollama: Notes,
    #[serde(default)]
    anthropic: Notes,
    #[serde(default)]
    responses: Notes,
    #[serde(default)]
    pair: BTreeMap<String, Notes>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    #[default]
    Chat,
    Generate,
    Embed,
    Models,
}

/// Why a dialect has no file, or another one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notes {
    asks: Option<String>,
    asked: Option<Asked>,
    answers: Option<String>,
    answered: Option<String>,
    status: Option<u16>,
}

/// What becomes of a request that an upstream cannot be asked as it stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default)]
    pub(crate) dropped: Vec<String>,
    pub(crate) refused: Option<String>,
    pub(crate) why: String,
}

#[derive(Deserialize)]
struct Rows {
    feature: Vec<Feature>,
}

fn yes() -> bool {
    true
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/conformance"))
}

/// Every row. A folder that is no row would never be looked at, and is a mistake.
pub(crate) fn all() -> Vec<Feature> {
    let text = std::fs::read_to_string(root().join("features.toml")).unwrap();
    let rows: Rows = toml::from_str(&text).unwrap_or_else(|error| panic!("features.toml: {error}"));
    for folder in std::fs::read_dir(root()).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let row = rows.feature.iter().any(|feature| feature.name == name);
        assert!(row || folder.path().is_file(), "{name} has no row in features.toml");
    }
    rows.feature
}

impl Feature {
    pub(crate) fn operation(&self) -> Operation {
        match self.operation {
            What::Chat => Operation::Chat,
            What::Generate => Operation::Generate,
            What::Embed => Operation::Embed,
            What::Models => Operation::Models,
        }
    }

    /// A file of this feature.
    pub(crate) fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(root().join(&self.name).join(name)).ok()
    }

    /// Whether any dialect has such a file.
    pub(crate) fn has(&self, kind: &str) -> bool {
        let folder = std::fs::read_dir(root().join(&self.name));
        let folder = folder.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let prefix = format!("{kind}.");
        folder.flatten().any(|file| file.file_name().to_string_lossy().starts_with(&prefix))
    }

    /// What a dialect says itself: `request`, `answer`, `stream`, `error` or `models`.
    pub(crate) fn said(&self, kind: &str, by: &Speaker) -> Option<Vec<u8>> {
        self.file(&format!("{kind}.{}.{}", by.name, by.ending(kind)))
    }

    /// What becomes of it on its way.
    pub(crate) fn becomes(&self, kind: &str, from: &Speaker, to: &Speaker) -> Option<Vec<u8>> {
        let ending = to.ending(kind);
        self.file(&format!("{kind}.{}-to-{}.{ending}", from.name, to.name))
            .or_else(|| self.file(&format!("{kind}.to-{}.{ending}", to.name)))
            .or_else(|| self.said(kind, to))
    }

    fn notes(&self, of: &Speaker) -> &Notes {
        match of.name {
            "openai" => &self.openai,
            "ollama" => &self.ollama,
            "anthropic" => &self.anthropic,
            _ => &self.responses,
        }
    }

    fn pair(&self, from: &Speaker, to: &Speaker) -> Option<&Notes> {
        self.pair.get(&format!("{}-to-{}", from.name, to.name))
    }

    /// Why clients of this dialect cannot ask for it.
    pub(crate) fn asks(&self, client: &Speaker) -> Option<&str> {
        self.notes(client).asks.as_deref()
    }

    /// What an upstream is asked instead.
    pub(crate) fn asked(&self, client: &Speaker, upstream: &Speaker) -> Option<&Asked> {
        let pair = self.pair(client, upstream).and_then(|notes| notes.asked.as_ref());
        pair.or(self.notes(upstream).asked.as_ref())
    }

    /// Why upstreams of this dialect do not answer so.
    pub(crate) fn answers(&self, upstream: &Speaker) -> Option<&str> {
        self.notes(upstream).answers.as_deref()
    }

    /// What a client is told instead.
    pub(crate) fn answered(&self, upstream: &Speaker, client: &Speaker) -> Option<&str> {
        let pair = self.pair(upstream, client).and_then(|notes| notes.answered.as_deref());
        pair.or(self.notes(client).answered.as_deref())
    }

    /// The status that this upstream refuses with, and the one that a client of another dialect is told.
    pub(crate) fn statuses(&self, upstream: &Speaker) -> (u16, u16) {
        (self.notes(upstream).status.unwrap_or(self.status), self.told.unwrap_or(self.status))
    }
}
