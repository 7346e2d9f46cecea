//! Secrets: where they stand (a reference, which may be shown) and what they are (which may not).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, fs, path::PathBuf};

/// Where a secret stands: `env:NAME` or `file:PATH`. May be printed; it is not the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef(Place);

/// A secret. `Debug` shows `***`, there is no `Display`, and it is never empty.
#[derive(Clone)]
pub struct Secret(String);

/// An address that may hold a password: `scheme://…`, or a [`SecretRef`] to one. Printed without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Env(String),
    File(PathBuf),
}

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Plain(String),
    Reference(SecretRef),
}

/// What a refused literal secret is answered with. Whoever shows the error must not show the line it stands in.
pub(super) const LITERAL: &str = "a secret does not stand in the configuration itself; \
     write \"env:NAME\" for an environment variable or \"file:PATH\" for a file";

// === impl SecretRef ===

impl SecretRef {
    /// A reference to an environment variable.
    pub fn env(name: impl Into<String>) -> Self {
        Self(Place::Env(name.into()))
    }

    /// A reference to a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into()))
    }

    /// Reads `env:NAME` or `file:PATH`.
    ///
    /// # Errors
    /// How to write it, for anything else. The text given is not repeated, since it may be the secret itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::env(name))
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::file(path)),
            _ => Err(LITERAL.to_owned()),
        }
    }

    /// Fetches the secret from this process's environment, or from the file without the space around it.
    ///
    /// # Errors
    /// The reason, naming the variable or the file, when it is missing, unreadable, not UTF-8 or empty.
    pub fn read(&self) -> Result<Secret, String> {
        self.read_with(|name| std::env::var(name).ok())
    }

    /// As [`SecretRef::read`], with the environment given as a function.
    ///
    /// # Errors
    /// As [`SecretRef::read`].
    pub fn read_with(&self, env: impl Fn(&str) -> Option<String>) -> Result<Secret, String> {
        match &self.0 {
            Place::Env(name) => env(name)
                .and_then(|value| Secret::new(&value))
                .ok_or_else(|| format!("the environment variable {name} is not set, or is empty")),
            Place::File(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|e| format!("cannot read the file {}: {e}", path.display()))?;
                Secret::new(&text).ok_or_else(|| format!("the file {} is empty", path.display()))
            }
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Env(name) => write!(f, "env:{name}"),
            Place::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

// === impl Secret ===

impl Secret {
    /// The text without the space around it; `None` when nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The secret itself. For the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

// === impl SecretUrl ===

impl SecretUrl {
    /// Reads `env:NAME`, `file:PATH` or `scheme://…`.
    ///
    /// # Errors
    /// How to write it, for anything else. The text given is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(reference) = SecretRef::parse(text) {
            return Ok(Self(Form::Reference(reference)));
        }
        if text
            .split_once("://")
            .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
        {
            return Ok(Self(Form::Plain(text.to_owned())));
        }
        Err("write an address such as \"redis://127.0.0.1:6379\", \"env:NAME\" or \"file:PATH\""
            .to_owned())
    }

    /// The whole address, password included.
    ///
    /// # Errors
    /// As [`SecretRef::read`], when it is a reference.
    pub fn read(&self) -> Result<Secret, String> {
        self.read_with(|name| std::env::var(name).ok())
    }

    /// As [`SecretUrl::read`], with the environment given as a function.
    ///
    /// # Errors
    /// As [`SecretRef::read`], when it is a reference.
    pub fn read_with(&self, env: impl Fn(&str) -> Option<String>) -> Result<Secret, String> {
        match &self.0 {
            Form::Plain(url) => Ok(Secret(url.clone())),
            Form::Reference(reference) => reference.read_with(env),
        }
    }

    /// The scheme, where the address stands in the configuration itself.
    pub(super) fn scheme(&self) -> Option<&str> {
        match &self.0 {
            Form::Plain(url) => url.split_once("://").map(|(scheme, _)| scheme),
            Form::Reference(_) => None,
        }
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Reference(reference) => reference.fmt(f),
            Form::Plain(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
                // Without the query as well: redis-rs takes credentials there too.
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                match rest.rsplit_once('@') {
                    Some((_, host)) => write!(f, "{scheme}://***@{host}"),
                    None => write!(f, "{scheme}://{rest}"),
                }
            }
        }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_the_environment_it_is_given() {
        let key = SecretRef::parse("env:KEY").unwrap();
        let read = key.read_with(|name| (name == "KEY").then(|| " s3cret\n".to_owned()));
        assert_eq!(read.unwrap().expose(), "s3cret");
        assert_eq!(key.to_string(), "env:KEY");
    }

    #[test]
    fn a_missing_or_empty_variable_is_named() {
        let key = SecretRef::env("KEY");
        for value in [None, Some(String::new()), Some(" \n".to_owned())] {
            let error = key.read_with(|_| value.clone()).unwrap_err();
            assert!(error.contains("KEY"), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_without_its_last_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "s3cret\r\n").unwrap();
        let key = SecretRef::parse(&format!("file:{}", path.display())).unwrap();
        assert_eq!(key.read().unwrap().expose(), "s3cret");
        fs::write(&path, "\n").unwrap();
        assert!(key.read().unwrap_err().contains("is empty"));
        fs::remove_file(&path).unwrap();
        assert!(key.read().unwrap_err().contains("cannot read"));
    }

    #[test]
    fn a_literal_is_refused_and_not_repeated() {
        for literal in ["sk-12345", "", "env:", "file:", "sk:12345", "ENV:KEY"] {
            let error = SecretRef::parse(literal).unwrap_err();
            assert!(error.contains("env:NAME") && error.contains("file:PATH"), "{error}");
            assert!(!error.contains("12345"), "{error}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("s3cret").unwrap()), "***");
        let url = SecretUrl::parse("redis://user:p@ss@host:6379/0?password=x").unwrap();
        for shown in [format!("{url:?}"), url.to_string()] {
            assert_eq!(shown, "redis://***@host:6379/0");
        }
        assert_eq!(url.read().unwrap().expose(), "redis://user:p@ss@host:6379/0?password=x");
    }

    #[test]
    fn an_address_may_be_a_reference() {
        let url = SecretUrl::parse("env:REDIS_URL").unwrap();
        assert_eq!(url.to_string(), "env:REDIS_URL");
        assert_eq!(url.read_with(|_| Some("redis://h".into())).unwrap().expose(), "redis://h");
        assert!(SecretUrl::parse("localhost:6379").is_err());
    }
}
