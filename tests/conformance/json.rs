//! JSON that keeps what a comparison must see: the digits of a number, and the order of what a program will read.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// A number, `true`, `false` or `null`, by its text.
    Plain(String),
    Text(String),
    List(Vec<Self>),
    /// In the order of its keys on the wire.
    Object(Vec<(String, Self)>),
}

/// In an expected value: whatever is there, as long as something is.
const ANY: &str = "<any>";

/// Below these keys the order of the keys is part of what is said.
const ORDERED: [&str; 6] = ["arguments", "input", "parameters", "input_schema", "schema", "format"];

/// A list of them, and a schema with a name, are the dialect's own.
fn keeps_order(key: &str, value: &Json) -> bool {
    ORDERED.contains(&key) && matches!(value, Json::Object(_)) && !value.has("schema")
}

static NULL: Json = Json::Plain(String::new());

impl Json {
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let raw = serde_json::from_str::<&RawValue>(text);
        let raw = raw.map_err(|error| format!("{error}: {text}"))?;
        Self::of(raw).map_err(|error| format!("{error}: {text}"))
    }

    fn of(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let text = raw.get();
        Ok(match text.as_bytes()[0] {
            b'{' => {
                let fields = serde_json::from_str::<Fields<'_>>(text)?.0;
                let fields = fields.into_iter().map(|(key, raw)| Ok((key, Self::of(raw)?)));
                Self::Object(fields.collect::<Result<_, serde_json::Error>>()?)
            }
            b'[' => {
                let items = serde_json::from_str::<Vec<&RawValue>>(text)?;
                Self::List(items.into_iter().map(Self::of).collect::<Result<_, _>>()?)
            }
            b'"' => Self::Text(serde_json::from_str(text)?),
            _ => Self::Plain(text.to_owned()),
        })
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn object(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The field of an object; nothing where there is none.
    pub(crate) fn at(&self, key: &str) -> &Self {
        match self {
            Self::Object(fields) => {
                fields.iter().rev().find(|(name, _)| name == key).map_or(&NULL, |(_, value)| value)
            }
            _ => &NULL,
        }
    }

    pub(crate) fn at_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Object(fields) => {
                fields.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Adds a field, or replaces it.
    pub(crate) fn put(&mut self, key: &str, value: Self) {
        if let Self::Object(fields) = self {
            fields.retain(|(name, _)| name != key);
            fields.push((key.to_owned(), value));
        }
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Self> {
        let Self::Object(fields) = self else { return None };
        let at = fields.iter().position(|(name, _)| name == key)?;
        Some(fields.remove(at).1)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        !self.at(key).is_null()
    }

    /// Whether it is null, or not there at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Plain(text) if text.is_empty() || text == "null")
    }

    pub(crate) fn str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Plain(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Compact text, in the order that it was written in.
    pub(crate) fn compact(&self) -> String {
        self.print(true)
    }

    /// Text in which two values that say the same look the same.
    pub(crate) fn canonical(&self) -> String {
        self.print(false)
    }

    fn print(&self, ordered: bool) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::List(items) => {
                let items = items.iter().map(|item| item.print(ordered));
                format!("[{}]", items.collect::<Vec<_>>().join(","))
            }
            Self::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                if !ordered {
                    fields.sort_by(|one, other| one.0.cmp(&other.0));
                }
                let fields = fields.into_iter().map(|(key, value)| {
                    let ordered = ordered || keeps_order(key, value);
                    format!("{}:{}", serde_json::Value::from(key.as_str()), value.print(ordered))
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// Whether this is what `expected` says; the reason where it is not.
    pub(crate) fn is(&self, expected: &Self) -> Result<(), String> {
        let mut expected = expected.clone();
        expected.fill(self);
        if self.canonical() == expected.canonical() {
            return Ok(());
        }
        Err(format!("\n     got {}\nexpected {}", self.canonical(), expected.canonical()))
    }

    /// Puts what is there in the place of [`ANY`].
    fn fill(&mut self, from: &Self) {
        match (self, from) {
            (any @ Self::Text(_), from) if any.str() == Some(ANY) && !from.is_null() => {
                *any = from.clone();
            }
            (Self::List(items), Self::List(from)) => {
                items.iter_mut().zip(from).for_each(|(item, from)| item.fill(from));
            }
            (Self::Object(fields), from @ Self::Object(_)) => {
                fields.iter_mut().for_each(|(key, value)| value.fill(from.at(key)));
            }
            _ => {}
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.compact())
    }
}

struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Seen)
    }
}
