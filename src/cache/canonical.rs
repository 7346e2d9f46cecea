//! One spelling for all bodies that say the same: keys sorted, spaces gone, transport fields left out.
//!
//! Numbers and strings stay as they were written, so that two different big integers never become one key.

use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// The canonical bytes of a JSON object without the top-level fields in `dropped`; `None` for anything else.
pub(super) fn canonical(body: &[u8], dropped: &[&str]) -> Option<Vec<u8>> {
    let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).ok()?;
    let mut out = Vec::with_capacity(body.len());
    object(fields.iter().filter(|(name, _)| !dropped.contains(&name.as_ref())), &mut out, 0)?;
    Some(out)
}

/// Deeper than serde reads; a bound for the recursion here.
const MAX_DEPTH: usize = 128;

fn object<'a>(
    fields: impl Iterator<Item = (&'a Cow<'a, str>, &'a &'a RawValue)>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Option<()> {
    out.push(b'{');
    for (at, (name, value)) in fields.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, name).ok()?;
        out.push(b':');
        any(value, out, depth + 1)?;
    }
    out.push(b'}');
    Some(())
}

fn any(value: &RawValue, out: &mut Vec<u8>, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let text = value.get();
    match text.as_bytes().first()? {
        b'{' => {
            let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
            object(fields.iter(), out, depth)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                any(item, out, depth + 1)?;
            }
            out.push(b']');
            Some(())
        }
        b'"' => {
            // `\u00e9` and `é` say the same.
            let text: Cow<'_, str> = serde_json::from_str(text).ok()?;
            serde_json::to_writer(out, &text).ok()
        }
        _ => {
            out.extend_from_slice(text.as_bytes());
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> String {
        String::from_utf8(canonical(body.as_bytes(), &["model", "stream"]).unwrap()).unwrap()
    }

    #[test]
    fn order_space_escapes_and_transport_fields_do_not_matter() {
        assert_eq!(
            of(r#"{"stream":true, "b" : [1, {"y":1,"x":"\u00e9"}], "a":null,"model":"m"}"#),
            of(r#"{"a":null,"b":[1,{"x":"é","y":1}]}"#)
        );
    }

    #[test]
    fn big_numbers_and_the_order_of_lists_do() {
        assert_ne!(of(r#"{"a":18446744073709551617}"#), of(r#"{"a":18446744073709551616}"#));
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
    }

    #[test]
    fn a_field_of_the_same_name_further_in_is_kept() {
        assert_ne!(of(r#"{"a":{"model":"x"}}"#), of(r#"{"a":{"model":"y"}}"#));
    }

    #[test]
    fn what_is_not_an_object_has_no_key() {
        for body in ["", "[]", "1", "{", r#"{"a":}"#] {
            assert!(canonical(body.as_bytes(), &[]).is_none(), "{body}");
        }
    }
}
