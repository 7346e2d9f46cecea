//! The configuration file as text: where a key stands in it, and a message that shows the place.

use super::{
    Config,
    key_path::{KeyPath, Step},
    secret::LITERAL,
    suggest,
};
use serde::Deserialize;
use std::{ops::Range, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Most wrong keys reported of one file; after that many, it is probably no configuration of ours.
const MAX_PROBLEMS: usize = 20;

/// A file that was read, with the places of its keys.
#[derive(Debug)]
pub(super) struct Source<'a> {
    name: String,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Source<'a> {
    /// # Errors
    /// The syntax error, with its line and a caret.
    pub(super) fn parse(path: &Path, text: &'a str) -> Result<Self, String> {
        let name = path.display().to_string();
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { name, text, root }),
            Err(error) => Err(show(&name, text, error.span(), error.message(), Line::Whole)),
        }
    }

    /// What does not fit the configuration's shape: unknown keys, wrong types, missing keys. All of it, in order.
    pub(super) fn misfits(&self) -> Vec<String> {
        let mut root = self.root.clone();
        let mut found = Vec::new();
        let mut misspelt = Vec::new();
        while found.len() < MAX_PROBLEMS {
            let attempt = Config::deserialize(toml::de::Deserializer::from(root.clone()));
            let Err(error) = attempt else { break };
            let span = error.span();
            let path = span.as_ref().map(|s| path_at(self.root.get_ref(), s)).unwrap_or_default();
            let (message, line) = if let Some((key, known)) = unknown_key(error.message()) {
                misspelt.extend(suggest::nearest(key, known).map(str::to_owned));
                (say(error.message()), Line::Key)
            } else if path.is_secret() {
                (secret_message(&path), Line::Not)
            } else {
                (say(error.message()), Line::Whole)
            };
            let prefix = if path.steps().is_empty() { String::new() } else { format!("{path}: ") };
            let text = format!("{prefix}{message}");
            // A key that is missing because it is misspelt has been told already.
            let missing = error.message().strip_prefix("missing field `");
            let told =
                missing.is_some_and(|m| misspelt.iter().any(|key| m.starts_with(key.as_str())));
            if told && remove(root.get_mut(), path.steps()) {
                continue;
            }
            found.push((
                span.as_ref().map_or(0, |s| s.start),
                show(&self.name, self.text, span, &text, line),
            ));
            // Without what was wrong, the next reading finds the next mistake.
            if !remove(root.get_mut(), path.steps()) {
                break;
            }
        }
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, text)| text).collect()
    }

    /// `file:line`, for a key that stands in the file, or for the nearest table above it.
    pub(super) fn line_of(&self, path: &KeyPath) -> Option<String> {
        let span = span_of(self.root.get_ref(), path.steps())?;
        Some(format!("{}:{}", self.name, position(self.text, span.start).0))
    }

    /// Whether the file says something about this key.
    pub(super) fn says(&self, path: &[&str]) -> bool {
        let mut table = Some(self.root.get_ref());
        for (at, key) in path.iter().enumerate() {
            let Some(value) = table.and_then(|t| t.get(*key)) else { return false };
            if at + 1 == path.len() {
                return true;
            }
            table = value.get_ref().as_table();
        }
        false
    }
}

/// What a wrong value in a secret's place is answered with. The value itself is never repeated.
pub(super) fn secret_message(path: &KeyPath) -> String {
    match path.steps() {
        [Step::Key(section), ..] if section == "cache" => {
            "write an address such as \"redis://127.0.0.1:6379\", \"env:NAME\" or \"file:PATH\""
                .into()
        }
        [Step::Key(section), _] if section == "server" => {
            format!("must be a list of references: {LITERAL}")
        }
        _ => LITERAL.to_owned(),
    }
}

/// Serde's words in ours: a misspelt key gets a suggestion.
pub(super) fn say(message: &str) -> String {
    match unknown_key(message) {
        Some((key, known)) if !known.is_empty() => {
            format!("unknown key {key:?}; {}", suggest::hint(key, known.iter().copied()))
        }
        Some((key, _)) => format!("unknown key {key:?}"),
        None => message.replace('`', "\""),
    }
}

/// The key that was not known, and those that would have been, as serde names them.
pub(super) fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut words = message.strip_prefix("unknown field")?.split('`').skip(1).step_by(2);
    Some((words.next()?, words.collect()))
}

/// The path of the smallest thing whose span covers `span`.
fn path_at(root: &DeTable<'_>, span: &Range<usize>) -> KeyPath {
    fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
        outer.start <= inner.start && inner.end <= outer.end
    }
    fn down(value: &DeValue<'_>, span: &Range<usize>, path: KeyPath) -> KeyPath {
        match value {
            DeValue::Table(table) => table_down(table, span, path),
            DeValue::Array(items) => {
                let found = items.iter().enumerate().find_map(|(at, item)| {
                    let inner = down(item.get_ref(), span, path.index(at));
                    let deeper = inner.steps().len() > path.steps().len() + 1;
                    (deeper || covers(&item.span(), span)).then_some(inner)
                });
                found.unwrap_or(path)
            }
            _ => path,
        }
    }
    fn table_down(table: &DeTable<'_>, span: &Range<usize>, path: KeyPath) -> KeyPath {
        let found = table.iter().find_map(|(key, value)| {
            let here = path.key(key.get_ref().as_ref());
            // A table's own span is its header alone, so what is below must be looked at in any case.
            let inner = down(value.get_ref(), span, here);
            let deeper = inner.steps().len() > path.steps().len() + 1;
            (deeper || covers(&key.span(), span) || covers(&value.span(), span)).then_some(inner)
        });
        found.unwrap_or(path)
    }
    table_down(root, span, KeyPath::default())
}

/// The span of the key, or of the nearest table above it that is in the file; `None` when not even its section is.
fn span_of(root: &DeTable<'_>, steps: &[Step]) -> Option<Range<usize>> {
    let mut span = None;
    let mut table = Some(root);
    let mut items = None;
    for step in steps {
        let value = match step {
            Step::Key(key) => {
                let Some((key, value)) = table.and_then(|t| t.get_key_value(key.as_str())) else {
                    break;
                };
                span = Some(key.span());
                value
            }
            Step::Index(index) => {
                let Some(value) = items.and_then(|i: &toml::de::DeArray<'_>| i.get(*index)) else {
                    break;
                };
                span = Some(value.span());
                value
            }
        };
        table = value.get_ref().as_table();
        items = value.get_ref().as_array();
    }
    span
}

/// Takes out what stands at a path, or the whole list that it stands in; false when there is nothing.
fn remove(table: &mut DeTable<'_>, steps: &[Step]) -> bool {
    let [Step::Key(key), rest @ ..] = steps else { return false };
    let inside = match table.get_mut(key.as_str()).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) if !rest.is_empty() => remove(inner, rest),
        Some(DeValue::Array(items)) => match rest {
            [Step::Index(at), rest @ ..] => items
                .get_mut(*at)
                .and_then(|item| match item.get_mut() {
                    DeValue::Table(inner) => Some(inner),
                    _ => None,
                })
                .is_some_and(|inner| remove(inner, rest)),
            _ => false,
        },
        _ => false,
    };
    inside || table.remove(key.as_str()).is_some()
}

/// Line and column, both from 1, the column in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// How much of the line is shown.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    Whole,
    /// Up to the equals sign: who misspells `key` may have written the key itself after it.
    Key,
    Not,
}

/// `file:line:column: message`, and below it the line with carets.
fn show(name: &str, text: &str, span: Option<Range<usize>>, message: &str, shown: Line) -> String {
    let Some(span) = span else { return format!("{name}: {message}") };
    let (line, column) = position(text, span.start);
    let head = format!("{name}:{line}:{column}: {message}");
    if shown == Line::Not {
        return head;
    }
    let content = text.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r');
    let cut = match content.split_once('=') {
        Some((key, _)) if shown == Line::Key => format!("{key}= …"),
        _ => content.to_owned(),
    };
    let wide = text.get(span).map_or(1, |s| s.split('\n').next().unwrap_or(s).chars().count());
    let room = content.chars().count().saturating_sub(column - 1);
    // A tab stays a tab, so that the caret stands below its column whatever a tab's width is.
    let indent: String = content
        .chars()
        .chain(std::iter::repeat(' '))
        .take(column - 1)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let gutter = " ".repeat(line.to_string().len());
    let carets = "^".repeat(wide.min(room).max(1));
    format!("{head}\n {gutter} |\n {line} | {cut}\n {gutter} | {indent}{carets}")
}
