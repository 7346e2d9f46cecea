//! Puts single values, given as text, into a configuration: from the environment and from flags.

use super::{
    Config,
    key_path::KeyPath,
    source::{say, secret_message, unknown_key},
};
use toml::{Table, Value};

/// Why a value was not taken.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// There is no such key: the step that is wrong, and what it could have been.
    Unknown { step: String, known: Vec<String> },
    /// The key exists, and the value does not fit.
    Value(String),
}

impl Refusal {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Value(message) => message.clone(),
            Self::Unknown { step, known } if known.is_empty() => format!("unknown key {step:?}"),
            Self::Unknown { step, known } => {
                let known = known.iter().map(String::as_str);
                format!("unknown key {step:?}; {}", super::suggest::hint(step, known))
            }
        }
    }
}

/// Sets the key at `path` to what `text` says, and gives the path as the configuration writes it.
///
/// The text is read as a TOML value, else as a string, else as a list with commas, whichever the key takes. A step
/// finds a name in any case and with `_` for `-`, since a variable's name cannot say it otherwise.
pub(super) fn set(table: &mut Table, path: &[&str], text: &str) -> Result<KeyPath, Refusal> {
    let text = text.trim();
    let list = || {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
    };
    let candidates =
        [literal(text), Some(Value::String(text.to_owned())), Some(list())].into_iter().flatten();
    let mut first = None;
    for candidate in candidates {
        let mut attempt = table.clone();
        let key = place(&mut attempt, path, candidate)?;
        match Value::Table(attempt.clone()).try_into::<Config>() {
            Ok(_) => {
                *table = attempt;
                return Ok(key);
            }
            Err(error) => {
                if let Some((step, known)) = unknown_key(error.message()) {
                    let known = known.into_iter().map(str::to_owned).collect();
                    return Err(Refusal::Unknown { step: step.to_owned(), known });
                }
                first.get_or_insert_with(|| match key.is_secret() {
                    true => secret_message(&key),
                    false => say(error.message()),
                });
            }
        }
    }
    Err(Refusal::Value(first.unwrap_or_default()))
}

/// The text as a TOML value: a number, a truth, a quoted string, a list, a table.
fn literal(text: &str) -> Option<Value> {
    let table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    if table.len() != 1 {
        return None;
    }
    table.into_iter().next().map(|(_, value)| value)
}

fn place(table: &mut Table, path: &[&str], value: Value) -> Result<KeyPath, Refusal> {
    let Some((first, rest)) = path.split_first() else {
        return Err(Refusal::Value("no key is named".to_owned()));
    };
    let key = same(table, first);
    let mut shown = KeyPath::new(&key);
    if rest.is_empty() {
        table.insert(key, value);
        return Ok(shown);
    }
    let mut here = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
    for (at, step) in rest.iter().enumerate() {
        let last = at + 1 == rest.len();
        here = match here {
            Value::Table(inner) => {
                let key = same(inner, step);
                shown = shown.key(&key);
                inner.entry(key).or_insert_with(|| Value::Table(Table::new()))
            }
            Value::Array(items) => {
                let index: usize = step.parse().map_err(|_| {
                    Refusal::Value(format!("{shown} is a list; {step:?} is no place in it"))
                })?;
                if index >= items.len() {
                    let have = items.len();
                    return Err(Refusal::Value(format!("{shown} has {have} entries, from 0")));
                }
                shown = shown.index(index);
                &mut items[index]
            }
            _ => return Err(Refusal::Value(format!("{shown} is a value; nothing is below it"))),
        };
        if last {
            *here = value;
            return Ok(shown);
        }
    }
    Ok(shown)
}

/// The name in the table that `step` means, or `step` itself.
fn same(table: &Table, step: &str) -> String {
    let plain = |name: &str| name.to_lowercase().replace(['-', '.'], "_");
    if table.contains_key(step) {
        return step.to_owned();
    }
    let found = table.keys().find(|key| plain(key) == plain(step));
    found.cloned().unwrap_or_else(|| step.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(path: &[&str], text: &str) -> Result<Config, String> {
        let mut table: Table = toml::from_str(
            "[upstream.gpu-box]\nprovider = 'vllm'\n[[route]]\nname = 'a'\nmodel = 'b'\n",
        )
        .unwrap();
        set(&mut table, path, text).map_err(|refusal| refusal.message())?;
        Ok(Value::Table(table).try_into().unwrap())
    }

    #[test]
    fn a_value_takes_the_type_of_its_key() {
        assert_eq!(after(&["cache", "ttl_s"], "60").unwrap().cache.ttl_s, 60);
        assert!(!after(&["log", "enabled"], "false").unwrap().log.enabled);
        let digits = after(&["models", "default"], "123").unwrap();
        assert_eq!(digits.models.default.as_deref(), Some("123"));
        let seconds = after(&["upstream", "gpu_box", "idle_s"], "5").unwrap();
        assert_eq!(seconds.upstream["gpu-box"].idle_s, Some(5.0));
    }

    #[test]
    fn a_list_is_written_with_commas() {
        let config = after(&["server", "allowed_hosts"], "a.lan, b.lan").unwrap();
        assert_eq!(config.server.allowed_hosts, ["a.lan", "b.lan"]);
        let config = after(&["models", "fallback"], "one").unwrap();
        assert_eq!(config.models.fallback, ["one"]);
        let config = after(&["aliases"], "{\"gpt-4o\" = \"auto\"}").unwrap();
        assert_eq!(config.aliases["gpt-4o"], "auto");
    }

    #[test]
    fn an_entry_of_a_list_is_named_by_its_place() {
        assert_eq!(after(&["route", "0", "model"], "small").unwrap().route[0].model, "small");
        assert!(after(&["route", "1", "model"], "small").unwrap_err().contains("1 entries"));
    }

    #[test]
    fn an_unknown_key_gets_a_suggestion() {
        let error = after(&["server", "listn"], "x").unwrap_err();
        assert_eq!(error, "unknown key \"listn\"; did you mean \"listen\"?");
    }

    #[test]
    fn a_value_that_does_not_fit_says_what_would() {
        let error = after(&["cache", "ttl_s"], "soon").unwrap_err();
        assert!(error.contains("\"soon\"") && error.contains("u64"), "{error}");
    }

    #[test]
    fn a_literal_secret_is_refused_and_not_repeated() {
        for path in [&["server", "keys"][..], &["upstream", "gpu-box", "key"]] {
            for text in ["sk-12345", "12345", "\"12345\""] {
                let error = after(path, text).unwrap_err();
                assert!(!error.contains("12345") && error.contains("env:NAME"), "{error}");
            }
        }
    }
}
