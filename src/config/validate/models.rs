//! What names mean: roles, targets and aliases.

use super::Found;
use crate::config::{Models, key_path::KeyPath, suggest};

impl Found<'_> {
    pub(super) fn models(&mut self) {
        let at = KeyPath::new("models");
        let Models { default, coder, small, fallback, refresh_s, .. } = &self.config.models;
        for (key, model) in [("default", default), ("coder", coder), ("small", small)] {
            if let Some(model) = model {
                self.target(at.key(key), model);
            }
        }
        for (index, model) in fallback.iter().enumerate() {
            self.target(at.key("fallback").index(index), model);
        }
        self.at_least_one(at.key("refresh_s"), *refresh_s);
    }

    /// A model, or an upstream and a model.
    pub(super) fn target(&mut self, path: KeyPath, target: &str) {
        let (upstream, model) = self.config.split(target);
        if model.trim().is_empty() {
            return self.say(path, format!("{target:?} names no model"));
        }
        if is_auto(target) {
            return self.say(
                path,
                format!("{target:?} is what is to be decided here; name a model of an upstream"),
            );
        }
        // The first part of "org/model" may belong to the model; only a slip of a known name is surely a mistake.
        if let (None, Some((prefix, _))) = (upstream, target.split_once('/'))
            && prefix.len() > 3
            && let Some(meant) = self.config.upstream.keys().find(|n| suggest::is_slip(prefix, n))
        {
            self.say(path, format!("unknown upstream {prefix:?}; did you mean {meant:?}?"));
        }
    }

    pub(super) fn aliases(&mut self) {
        let at = KeyPath::new("aliases");
        for (alias, target) in &self.config.aliases {
            let path = at.key(alias);
            if alias.trim().is_empty() {
                self.say(path, "an alias needs a name");
            } else if is_auto(alias) {
                self.say(path, "this name belongs to the gateway");
            } else if target == alias {
                self.say(path, "means itself");
            } else if self.config.aliases.contains_key(target) {
                self.say(path, format!("means {target:?}, which is an alias too; name the model"));
            } else if !is_auto(target) {
                self.target(path, target);
            }
        }
    }
}

/// Whether a name is the virtual model's.
fn is_auto(name: &str) -> bool {
    name == "auto" || name.starts_with("auto:")
}
