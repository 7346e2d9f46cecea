//! A `route` section.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When `auto` means which model. Every condition that is set must hold; a rule without any takes everything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique: in `auto:<name>`, in `x-unigate-route` and in the log.
    pub name: String,
    /// Keywords, at least one of which stands in the prompt as a whole word, in any case. Default: not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<String>,
    /// Regular expressions, at least one of which matches the prompt. Default: not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regex: Vec<String>,
    /// The shipped reading of the prompt: `code`, `short` or `general`. Default: not looked at.
    #[serde(default)]
    pub intent: Option<String>,
    /// Estimated tokens of the request, at least. Default: any.
    #[serde(default)]
    pub min_tokens: Option<usize>,
    /// Estimated tokens of the request, at most. Default: any.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// What the request must carry, all of them: `tools`, `images`, `thinking`. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub has: Vec<String>,
    /// Request headers, all of them: name to exact value, or `*` for any value. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Where it leads: `coder`, `small`, `default`, `model` or `upstream/model`.
    pub model: String,
    /// Tried in this order when `model` fails, in the same form. Default: `models.fallback`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
}

impl Rule {
    /// The rules that hold when the configuration has none: code goes to the coder, short prompts to the small model.
    pub fn shipped() -> Vec<Self> {
        [("code", "code", "coder"), ("short", "short", "small")]
            .map(|(name, intent, model)| Self {
                name: name.to_owned(),
                intent: Some(intent.to_owned()),
                model: model.to_owned(),
                ..Self::default()
            })
            .into()
    }
}
