//! What a provider does differently, in words for people.

use super::{Credential, PROVIDERS, Provider};
use crate::dialect::{Formats, History, Place, StreamUsage, Switch};

impl Provider {
    /// What it does differently from others of its dialect, in a few words; empty where that is nothing.
    pub fn differences(&self) -> String {
        let quirks = &self.quirks;
        let mut all = Vec::new();
        let mut say = |there: bool, words: &str| {
            if there {
                all.push(words.to_owned());
            }
        };
        say(self.dialect.name() == "anthropic", "Anthropic's dialect");
        if let Credential::Header(name) = self.credential {
            say(true, &format!("key in `{name}`"));
        }
        say(quirks.max_completion_tokens, "`max_completion_tokens`");
        say(quirks.usage == StreamUsage::Unasked, "usage unasked");
        let effort = match quirks.thinking.place {
            Place::Plain => "`reasoning_effort`",
            Place::Nested => "`reasoning.effort`",
            Place::Template => "`chat_template_kwargs.reasoning_effort`",
        };
        let some = |thinking: &crate::dialect::Thinking| !thinking.efforts.is_empty();
        let efforts = some(&quirks.thinking);
        say(efforts, effort);
        let by_model = !efforts && quirks.models.iter().any(|model| some(&model.thinking));
        say(by_model, "`reasoning_effort` by model");
        match quirks.thinking.switch {
            Switch::Nothing | Switch::Effort => {}
            Switch::Typed => say(true, "`thinking.type`"),
            Switch::Enabled => say(true, "`reasoning.enabled`"),
            Switch::Template => say(true, "`chat_template_kwargs.enable_thinking`"),
        }
        match quirks.history {
            History::Never => {}
            History::Reasoning => say(true, "`reasoning` goes back"),
            History::ReasoningContent => say(true, "`reasoning_content` goes back"),
            History::Details => say(true, "`reasoning_details` go back"),
        }
        match quirks.formats {
            Formats::All => {}
            Formats::Object => say(true, "no `json_schema`"),
            Formats::Schema => say(true, "`json_schema` only"),
        }
        say(quirks.random_seed, "`random_seed`");
        let tenths = quirks.max_temperature_tenths;
        if tenths > 0 {
            say(true, &format!("temperature up to {}.{}", tenths / 10, tenths % 10));
        }
        say(quirks.short_ids, "ids of calls have nine characters");
        say(quirks.choice_is_a_word, "`tool_choice` is a word");
        say(quirks.call_seal.is_some(), "wants a seal on calls");
        let named = |names: &[&str]| {
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
        };
        if !quirks.takes.is_empty() {
            say(true, &format!("takes {}", named(quirks.takes)));
        }
        if !quirks.refuses.is_empty() {
            say(true, &format!("does not take {}", named(quirks.refuses)));
        }
        say(
            quirks.models.iter().any(|model| !model.refuses.is_empty()),
            "models that think take less",
        );
        all.join(", ")
    }

    /// Every provider with its address and what it does differently, as rows of a table.
    pub fn table() -> impl Iterator<Item = [String; 3]> {
        PROVIDERS.iter().map(|provider| {
            let url = if provider.url.is_empty() { "yours" } else { provider.url };
            [provider.name.to_owned(), url.to_owned(), provider.differences()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_table() {
        let readme = include_str!("../../README.md");
        let rows: String = Provider::table()
            .map(|[name, url, differences]| format!("| `{name}` | {url} | {differences} |\n"))
            .collect();
        let table = format!("| provider | address | differs in |\n| --- | --- | --- |\n{rows}");
        assert!(readme.contains(&table), "README.md must contain:\n{table}");
    }
}
