//! Reads what a request asks for in one pass over its body, borrowing everything and keeping two fields.

use super::json;
use crate::error::Error;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// The fields that the gateway decides on, as far as the body has them.
#[derive(Debug, Default)]
pub(crate) struct Scan<'a> {
    pub(crate) model: Option<Cow<'a, str>>,
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) stream: Option<bool>,
}

/// Deepest nesting of lists and objects that is read. No request needs more; Go would take 10,000.
const MAX_DEPTH: usize = 127;

/// Scans a body. `name` says whether the field `name` counts as `model` does.
pub(crate) fn scan(body: &[u8], name: bool) -> Result<Scan<'_>, Error> {
    if body.trim_ascii().is_empty() {
        // Source: ollama server/routes.go, an empty body on a JSON route.
        return Err(Error::BadRequest("missing request body".into()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let whole = Whole::deserialize(&mut reader)
        .and_then(|whole| reader.end().map(|()| whole))
        .map_err(|error| json::not_json(&error))?;
    if too_deep(body) {
        return Err(Error::BadRequest(format!(
            "request body is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    whole.decide(name).map_err(Error::BadRequest)
}

fn too_deep(body: &[u8]) -> bool {
    if memchr::memchr2_iter(b'[', b'{', body).nth(MAX_DEPTH).is_none() {
        return false;
    }
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(found) = memchr::memchr2(b'"', b'\\', body.get(at..).unwrap_or(&[]))
                {
                    at += found + 1;
                    if body[at - 1] == b'"' {
                        break;
                    }
                    at += 1;
                }
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

#[derive(Debug, Default)]
struct Whole<'a> {
    model: Field<'a>,
    name: Field<'a>,
    stream: Field<'a>,
}

#[derive(Debug, Default)]
struct Field<'a> {
    value: Option<Value<'a>>,
    twice: bool,
    variant: Option<Box<str>>,
}

#[derive(Debug)]
enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Bool(bool),
    Other,
}

enum Key {
    Model,
    Name,
    Stream,
    Variant(&'static str, Box<str>),
    Other,
}

impl<'a> Whole<'a> {
    fn decide(self, name: bool) -> Result<Scan<'a>, String> {
        let text = |field: &'static str, value| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Other) => Err(format!("{field} must be a string")),
        };
        Ok(Scan {
            model: text("model", self.model.once("model")?)?,
            name: if name { text("name", self.name.once("name")?)? } else { None },
            stream: match self.stream.once("stream")? {
                None | Some(Value::Null) => None,
                Some(Value::Bool(stream)) => Some(stream),
                Some(Value::Text(_) | Value::Other) => {
                    return Err("stream must be true or false".into());
                }
            },
        })
    }
}

impl<'a> Field<'a> {
    /// The value, if nobody can read another one. Ollama takes the last of equal names in any case, others the first.
    fn once(self, name: &str) -> Result<Option<Value<'a>>, String> {
        match self.variant {
            Some(variant) => Err(format!(
                "{variant:?} is read as {name:?} by some servers and not by others; write {name:?}, once"
            )),
            None if self.twice => Err(format!("{name:?} is given twice; write it once")),
            None => Ok(self.value),
        }
    }
}

impl<'de> Deserialize<'de> for Whole<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Whole<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut whole = Whole::default();
                while let Some(key) = map.next_key()? {
                    let field = match key {
                        Key::Model => &mut whole.model,
                        Key::Name => &mut whole.name,
                        Key::Stream => &mut whole.stream,
                        Key::Variant(name, variant) => {
                            map.next_value::<IgnoredAny>()?;
                            let field = match name {
                                "model" => &mut whole.model,
                                "name" => &mut whole.name,
                                _ => &mut whole.stream,
                            };
                            field.variant = Some(variant);
                            continue;
                        }
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    field.twice = field.value.is_some();
                    field.value = Some(map.next_value()?);
                }
                Ok(whole)
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "model" => Key::Model,
                    "name" => Key::Name,
                    "stream" => Key::Stream,
                    _ => match ["model", "name", "stream"].into_iter().find(|n| folds(key, n)) {
                        Some(name) => Key::Variant(name, key.into()),
                        None => Key::Other,
                    },
                })
            }
        }
        deserializer.deserialize_str(Seen)
    }
}

/// Whether Go takes the one name for the other. Source: encoding/json foldName, which uses Unicode simple folding.
fn folds(key: &str, name: &str) -> bool {
    // A name of ASCII letters has no folded form longer than two bytes more (the long s).
    if key.len() < name.len() || key.len() > name.len() + 2 {
        return false;
    }
    let fold = |c: char| if c == '\u{17f}' { 's' } else { c.to_ascii_lowercase() };
    key.chars().map(fold).eq(name.chars())
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Value<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Value::Bool(value))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Value::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Value::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Value::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        scan(body.as_bytes(), true).unwrap_err().to_string()
    }

    #[test]
    fn golden_3_a_model_that_is_named_twice_is_refused_in_any_case() {
        for body in [
            r#"{"model":"a","Model":"b"}"#,
            r#"{"MODEL":"b"}"#,
            r#"{"model":"a","model":"a"}"#,
            r#"{"model":"a","mod\u0065l":"b"}"#,
            r#"{"stream":true,"STREAM":false}"#,
            r#"{"ſtream":true}"#,
            r#"{"name":"a","Name":"b"}"#,
        ] {
            assert!(refused(body).contains("once"), "{body}");
        }
        assert!(scan(br#"{"name":"a","Name":"b"}"#, false).is_ok());
    }

    #[test]
    fn wrong_types_are_named() {
        assert_eq!(refused(r#"{"model":5}"#), "model must be a string");
        assert_eq!(refused(r#"{"model":{"a":[1]}}"#), "model must be a string");
        assert_eq!(refused(r#"{"stream":"yes"}"#), "stream must be true or false");
        let scan = scan(br#"{"model":null,"stream":null}"#, true).unwrap();
        assert!(scan.model.is_none() && scan.stream.is_none());
    }

    #[test]
    fn what_is_no_json_object_is_refused_with_its_place() {
        assert_eq!(refused(" \n"), "missing request body");
        assert!(refused("{\"model\":\n\"a\" \"b\"}").ends_with("at line 2 column 5"));
        assert!(refused("[1]").starts_with("request body is not valid JSON: invalid type"));
        assert!(refused("{} {}").contains("trailing characters"));
    }

    #[test]
    fn deep_json_is_refused_without_recursion() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(refused(&nested(200)).contains("nested deeper than 127"));
        assert!(refused(&nested(100_000)).contains("nested deeper than 127"));
        assert!(scan(nested(126).as_bytes(), true).is_ok());
        let brackets = format!(r#"{{"a":"{}\\\"[","b":[]}}"#, "[{".repeat(500));
        assert!(scan(brackets.as_bytes(), true).is_ok());
    }

    #[test]
    fn the_model_is_borrowed_from_the_body() {
        let body = br#" {"messages":[{"model":"no"}],"model":"a:b","stream":false}"#;
        let scan = scan(body, true).unwrap();
        assert!(matches!(scan.model, Some(Cow::Borrowed("a:b"))));
        assert_eq!(scan.stream, Some(false));
    }
}
