//! Finds and replaces one top-level field of a JSON object without parsing, or touching, the rest.

use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Where the value of the *top-level* field `field` stands in this JSON object: one string, number,
/// literal, object or array, without the whitespace around it.
///
/// Fields of the same name inside other values do not count; if the object has the field more than
/// once, the first one is meant. A key may be spelled with escapes (`"mod\u0065l"`). `None`: the text
/// is no object, has no such field, or is broken before the field's value ends. What follows the
/// value is not looked at.
///
/// One pass, no recursion, no allocation; time is linear in the bytes before the end of the value.
pub fn find(body: &[u8], field: &str) -> Option<Range<usize>> {
    let mut at = skip_space(body, bom(body));
    if *body.get(at)? != b'{' {
        return None;
    }
    at = skip_space(body, at + 1);
    loop {
        // The key; also `}` of an empty object ends here.
        let key = at..string(body, at)?;
        at = skip_space(body, key.end);
        if *body.get(at)? != b':' {
            return None;
        }
        at = skip_space(body, at + 1);
        let end = value(body, at)?;
        if spells(body.get(key.start + 1..key.end - 1)?, field) {
            return Some(at..end);
        }
        at = skip_space(body, end);
        if *body.get(at)? != b',' {
            return None;
        }
        at = skip_space(body, at + 1);
    }
}

/// This JSON object with the value of its top-level field `field` replaced by the string `value`;
/// every other byte stays as it is. Which value is meant: see [`find`]. `None`: there is none.
///
/// Copies the body once, unless the value is already spelled that way.
pub fn splice(body: &Bytes, field: &str, value: &str) -> Option<Bytes> {
    let span = find(body, field)?;
    let quoted = quote(value);
    if body.get(span.clone())? == quoted.as_bytes() {
        return Some(body.clone());
    }
    let mut out = BytesMut::with_capacity(body.len() - span.len() + quoted.len());
    out.extend_from_slice(body.get(..span.start)?);
    out.extend_from_slice(quoted.as_bytes());
    out.extend_from_slice(body.get(span.end..)?);
    Some(out.freeze())
}

// Some editors put a byte order mark before JSON.
fn bom(body: &[u8]) -> usize {
    if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

fn skip_space(body: &[u8], mut at: usize) -> usize {
    while matches!(body.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

// The end of the value that begins at `at`.
fn value(body: &[u8], at: usize) -> Option<usize> {
    match body.get(at)? {
        b'"' => string(body, at),
        b'{' | b'[' => nested(body, at),
        _ => scalar(body, at),
    }
}

// The end of the string that begins at `at`, after its closing quote.
fn string(body: &[u8], at: usize) -> Option<usize> {
    if *body.get(at)? != b'"' {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', body.get(at..)?)?;
        match body.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2, // A backslash, and whatever it escapes.
        }
    }
}

// The end of the object or array that begins at `at`. Only depth is counted: which bracket closes which is
// for a parser to complain about.
fn nested(body: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match body.get(at)? {
            b'"' => {
                at = string(body, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

// The end of the number, `true`, `false` or `null` that begins at `at`.
fn scalar(body: &[u8], at: usize) -> Option<usize> {
    let rest = body.get(at..)?;
    let len = rest
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.'))?;
    (len > 0).then_some(at + len)
}

// Whether the inside of a JSON string means this text.
fn spells(mut raw: &[u8], text: &str) -> bool {
    let mut text = text.chars();
    loop {
        let plain = memchr::memchr(b'\\', raw).unwrap_or(raw.len());
        let (head, tail) = raw.split_at(plain);
        let Ok(head) = std::str::from_utf8(head) else { return false };
        for c in head.chars() {
            if text.next() != Some(c) {
                return false;
            }
        }
        if tail.is_empty() {
            return text.next().is_none();
        }
        let Some((c, rest)) = unescape(tail) else { return false };
        if text.next() != Some(c) {
            return false;
        }
        raw = rest;
    }
}

// The character that the escape at the front means, and what follows.
fn unescape(raw: &[u8]) -> Option<(char, &[u8])> {
    let c = match raw.get(1)? {
        b'u' => {
            let (first, rest) = (hex4(raw.get(2..6)?)?, raw.get(6..)?);
            if !(0xD800..0xDC00).contains(&first) {
                return Some((char::from_u32(first)?, rest));
            }
            if !rest.starts_with(b"\\u") {
                return None;
            }
            let second = hex4(rest.get(2..6)?)?;
            if !(0xDC00..0xE000).contains(&second) {
                return None;
            }
            let c = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            return Some((char::from_u32(c)?, rest.get(6..)?));
        }
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        c @ (b'"' | b'\\' | b'/') => char::from(*c),
        _ => return None,
    };
    Some((c, raw.get(2..)?))
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[(c as usize) >> 4]));
                out.push(char::from(HEX[(c as usize) & 15]));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
