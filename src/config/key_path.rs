//! The path of a key, as messages show it: `route[2].model`, `aliases."gpt-3.5"`.

use std::fmt;

/// Where in the configuration something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a table.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl KeyPath {
    pub(super) fn new(section: &str) -> Self {
        Self::default().key(section)
    }

    #[must_use]
    pub(super) fn key(&self, key: impl Into<String>) -> Self {
        self.with(Step::Key(key.into()))
    }

    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    #[cfg(feature = "gateway")]
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether what stands here is a secret or a reference to one, so that its value must not be shown.
    #[cfg(feature = "gateway")]
    pub(super) fn is_secret(&self) -> bool {
        let mut keys = self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        });
        match (keys.next(), keys.next(), keys.next()) {
            (Some("server"), Some("keys"), _) | (Some("cache"), Some("redis" | "seal"), _) => true,
            (Some("upstream"), _, Some(key)) => key == "key",
            _ => false,
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    f.write_str(if at == 0 { "" } else { "." })?;
                    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                    if !key.is_empty() && key.bytes().all(bare) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_file() {
        let rule = KeyPath::new("route").index(2);
        assert_eq!(rule.key("model").to_string(), "route[2].model");
        assert_eq!(KeyPath::new("aliases").key("gpt-3.5").to_string(), "aliases.\"gpt-3.5\"");
    }

    #[test]
    #[cfg(feature = "gateway")]
    fn the_places_of_secrets_are_known() {
        assert!(KeyPath::new("server").key("keys").index(0).is_secret());
        assert!(KeyPath::new("upstream").key("x").key("key").is_secret());
        assert!(KeyPath::new("cache").key("redis").is_secret());
        assert!(!KeyPath::new("upstream").key("key").key("url").is_secret());
    }
}
