//! JSON read one level at a time, so that what need not be understood stays as it was written, and JSON written on one line.

mod loose;

pub(crate) use loose::{Count, Few, Loose};

use crate::{chat::Number, error::Error};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{ser::Formatter, value::RawValue};
use std::{borrow::Cow, fmt, io};

/// The fields of one object, with the path to it for error messages.
///
/// Nothing below the fields is looked at until it is asked for. `null` counts as absent. Of fields that
/// are given twice the last one counts, as it does for Go and Python.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    list: Vec<(Cow<'a, str>, &'a RawValue)>,
    path: String,
    fold: bool,
}

impl<'a> Fields<'a> {
    /// Reads a whole body.
    pub(crate) fn body(text: &'a str) -> Result<Self, Error> {
        match serde_json::from_str::<Object<'_>>(text) {
            Ok(object) => Ok(Self { list: object.0, path: String::new(), fold: false }),
            Err(error) => Err(not_json(&error)),
        }
    }

    /// Also finds fields written in another case. Source: Go's encoding/json, which Ollama reads with.
    pub(crate) fn folded(mut self) -> Self {
        self.fold = true;
        self
    }

    /// Reads an object inside a body; `path` says where.
    pub(crate) fn of(raw: &'a RawValue, path: String, fold: bool) -> Result<Self, Error> {
        match serde_json::from_str::<Object<'_>>(raw.get()) {
            Ok(object) => Ok(Self { list: object.0, path, fold }),
            Err(_) => Err(Error::BadRequest(format!("{path} must be an object"))),
        }
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let same = |key: &str| key == name || self.fold && key.eq_ignore_ascii_case(name);
        let (_, raw) = self.list.iter().rev().find(|(key, _)| same(key))?;
        (raw.get() != "null").then_some(*raw)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Whether any of these fields has something in it.
    pub(crate) fn any(&self, names: &[&str]) -> bool {
        let empty = |raw: &RawValue| matches!(compact(raw.get()).as_str(), "\"\"" | "{}" | "[]");
        names.iter().any(|name| self.raw(name).is_some_and(|raw| !empty(raw)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.list.iter().map(|(key, raw)| (&**key, *raw))
    }

    /// The path of a field, for an error message.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The path of the object itself; empty for a whole body.
    pub(crate) fn place(&self) -> &str {
        &self.path
    }

    pub(crate) fn wrong(&self, name: &str, expected: &str) -> Error {
        Error::BadRequest(format!("{} must be {expected}", self.path(name)))
    }

    fn read<T: Deserialize<'a>>(&self, name: &str, expected: &str) -> Result<Option<T>, Error> {
        self.raw(name)
            .map(|raw| serde_json::from_str(raw.get()).map_err(|_| self.wrong(name, expected)))
            .transpose()
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, Error> {
        let wrong = || self.wrong(name, "a string");
        self.raw(name).map(|raw| text(raw).ok_or_else(wrong)).transpose()
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, Error> {
        self.read(name, "true or false")
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<Number>, Error> {
        self.raw(name)
            .map(|raw| Number::new(raw).ok_or_else(|| self.wrong(name, "a number")))
            .transpose()
    }

    pub(crate) fn list(&self, name: &str) -> Result<Vec<&'a RawValue>, Error> {
        Ok(self.read(name, "a list")?.unwrap_or_default())
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, Error> {
        self.raw(name).map(|raw| Fields::of(raw, self.path(name), self.fold)).transpose()
    }

    /// A list of objects, each with its place in its path.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Self>, Error> {
        let path = self.path(name);
        self.list(name)?
            .into_iter()
            .enumerate()
            .map(|(index, raw)| Fields::of(raw, format!("{path}[{index}]"), self.fold))
            .collect()
    }
}

/// Whether this is an array.
pub(crate) fn is_list(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
}

/// The text of a JSON string; `None` for anything else.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    let json = raw.get();
    let mended = || json.starts_with('"').then(|| mended(json.as_bytes())).flatten();
    serde_json::from_str(json).ok().or_else(|| serde_json::from_str(&mended()?).ok())
}

/// Reads JSON, [`mended`] where it has to be; `room` is where that is kept.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    json: &'a [u8],
    room: &'a mut Option<String>,
) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match mended(json) {
        None => Err(error),
        Some(text) => serde_json::from_str(room.insert(text)),
    })
}

/// The same JSON with U+FFFD for what is no character: bytes that are no UTF-8, and halves of surrogate pairs, as of
/// a text that was cut inside an emoji. `None` where there is nothing to mend.
///
/// Go reads JSON so, and Ollama with it; our reader takes neither.
// Source: Go's encoding/json, "Unmarshal".
pub(crate) fn mended(json: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(json);
    let mut out = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        let here = at + found;
        at = (here + 2).min(text.len());
        let Some(unit) = surrogate(&text, here) else { continue };
        let pair = unit < 0xdc00 && surrogate(&text, here + 6).is_some_and(|low| low >= 0xdc00);
        at = here + if pair { 12 } else { 6 };
        if !pair {
            out.push_str(&text[done..here]);
            out.push_str("\\ufffd");
            done = at;
        }
    }
    let lossy = matches!(text, Cow::Owned(_));
    (done > 0 || lossy).then(|| out + &text[done..])
}

/// The surrogate that is written as an escape here.
fn surrogate(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    let unit = u32::from_str_radix(digits, 16).ok()?;
    (0xd800..0xe000).contains(&unit).then_some(unit)
}

/// The error for a body that is no JSON object.
pub(crate) fn not_json(error: &serde_json::Error) -> Error {
    Error::BadRequest(format!("request body is not valid JSON: {}", why(error)))
}

/// Why and where JSON could not be read, without the text that stands there: it may be a prompt, and long.
pub(crate) fn why(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    if let (Some(from), Some(to)) = (text.find("string \""), text.rfind("\", expected "))
        && from < to
    {
        text.replace_range(from + "string".len()..=to, "");
    }
    cut(&mut text, 256);
    text
}

/// An object as its fields, in order.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(Loose(key)) = map.next_key()? {
                    let key = key.ok_or_else(|| A::Error::custom("a key must be a string"))?;
                    list.push((key, map.next_value()?));
                }
                Ok(Object(list))
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

/// Cuts a text to at most so many bytes, between two characters.
pub(crate) fn cut(text: &mut String, bytes: usize) {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}

/// The same JSON without white space between its tokens.
pub(crate) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(open) = rest.find('"') {
        out.extend(rest[..open].split_ascii_whitespace());
        let mut end = open + 1;
        while let Some(at) = memchr::memchr2(b'"', b'\\', &rest.as_bytes()[end..]) {
            let quote = rest.as_bytes()[end + at] == b'"';
            end += at + if quote { 1 } else { 2 };
            if quote || end >= rest.len() {
                break;
            }
        }
        let end = end.min(rest.len());
        out.push_str(&rest[open..end]);
        rest = &rest[end..];
    }
    out.extend(rest.split_ascii_whitespace());
    out
}

/// Writes JSON that no line splitter cuts: U+0085, U+2028 and U+2029 leave as escapes.
///
/// Source: Python's `str.splitlines`, with which httpx cuts streams. The other characters it cuts at are
/// control characters, which JSON escapes anyway.
pub(crate) fn write(out: &mut impl io::Write, value: &impl Serialize) {
    struct OneLine;
    impl Formatter for OneLine {
        fn write_string_fragment<W: ?Sized + io::Write>(
            &mut self,
            writer: &mut W,
            fragment: &str,
        ) -> io::Result<()> {
            let mut rest = fragment;
            // All three begin with C2 or E2 in UTF-8; most text has neither.
            let cuts = |c| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
            while memchr::memchr2(0xc2, 0xe2, rest.as_bytes()).is_some() {
                let Some(at) = rest.find(cuts) else { break };
                let (before, after) = rest.split_at(at);
                let Some(cut) = after.chars().next() else { break };
                write!(writer, "{before}\\u{:04x}", u32::from(cut))?;
                rest = &after[cut.len_utf8()..];
            }
            writer.write_all(rest.as_bytes())
        }
        fn write_raw_fragment<W: ?Sized + io::Write>(
            &mut self,
            writer: &mut W,
            fragment: &str,
        ) -> io::Result<()> {
            self.write_string_fragment(writer, fragment)
        }
    }
    let mut serializer = serde_json::Serializer::with_formatter(out, OneLine);
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "plain structs into memory: {written:?}");
}

/// [`write`] into new bytes.
pub(crate) fn bytes(value: &impl Serialize) -> bytes::Bytes {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_touches_nothing_inside_strings() {
        let json = "{ \"a b\" : [ 1 ,\n 2.50 ],\t\"c\\\" d\\\\\" : \" e \\n \" }";
        assert_eq!(compact(json), r#"{"a b":[1,2.50],"c\" d\\":" e \n "}"#);
        assert_eq!(compact("  {} \n"), "{}");
        assert_eq!(compact("\"open\\"), "\"open\\");
    }

    #[test]
    fn golden_56_line_separators_leave_as_escapes() {
        let mut out = Vec::new();
        write(&mut out, &"a\u{85}b\u{2028}c\u{2029}dé€\u{b}");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\u0085b\\u2028c\\u2029dé€\\u000b\"");
    }

    #[test]
    fn what_is_no_character_is_mended_and_nothing_else() {
        for (json, expected) in [
            (&br#""a\ud83d\ude00 \\ud83d""#[..], None),
            (br#""a\ud83d""#, Some(r#""a\ufffd""#)),
            (br#""\ud83d\ud83d\ude00\ude00""#, Some(r#""\ufffd\ud83d\ude00\ufffd""#)),
            (b"\"\xf0\x9f\"", Some("\"\u{fffd}\"")),
            (br#""\ud8"#, None),
            (b"\"\\", None),
            (br#""\u+d83""#, None),
        ] {
            assert_eq!(mended(json).as_deref(), expected, "{}", String::from_utf8_lossy(json));
        }
        let fields = Fields::body(r#"{"a":"x\udc00","b":5}"#).unwrap();
        assert_eq!(fields.string("a").unwrap().unwrap(), "x\u{fffd}");
        assert!(fields.string("b").is_err());
    }

    #[test]
    fn no_error_tells_the_text_that_stands_there() {
        let error = serde_json::from_str::<Vec<u8>>(r#""my \", expected secret""#).unwrap_err();
        assert_eq!(why(&error), "invalid type: string, expected a sequence at line 1 column 24");
        let error = serde_json::from_str::<Vec<u8>>("[1,").unwrap_err();
        assert_eq!(why(&error), error.to_string());
    }

    #[test]
    fn fields_count_null_as_absent_and_the_last_of_two() {
        let fields = Fields::body(r#"{"a":1,"b":null,"a":2,"C":"x"}"#).unwrap();
        assert_eq!(fields.raw("a").unwrap().get(), "2");
        assert!(!fields.has("b") && !fields.has("c"));
        assert_eq!(fields.folded().string("c").unwrap().unwrap(), "x");
    }
}
