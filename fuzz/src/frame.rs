//! Framing: how bytes are cut into lines and events, and what the frames that we write must look like.

use crate::{
    Row,
    cut::{pieces, places},
    heard::arguments,
};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;
use unigate::{
    dialect::Framing,
    wire::{Event, Events, Lines},
};

/// Server-sent events: any way to cut the stream gives the same events, and none has more in it than came.
pub fn sse(data: &[u8]) {
    let whole = events(&[data]);
    assert_eq!(whole, events(&pieces(data, &places::<3>(data))), "in pieces");
    assert_eq!(whole, events(&data.chunks(1).collect::<Vec<_>>()), "byte by byte");
    let bytes = whole.iter().map(|event| event.data.len()).sum::<usize>();
    assert!(bytes <= data.len(), "{bytes} bytes came out of {}", data.len());
    for event in &whole {
        assert!(!event.bare || event.error, "a bare event is an error");
        assert!(!event.data.contains(&b'\r'), "a CR ends a line");
    }
    // An event of a stream that stops is an event of the whole stream, up to the one that was cut.
    let [at] = places(data);
    let cut = events(&[&data[..at % (data.len() + 1)]]);
    let sure = cut.len().saturating_sub(1);
    assert_eq!(cut[..sure], whole[..sure], "what was given out stays");
}

/// NDJSON: any way to cut the stream gives the same lines, and they are what lies between the newlines.
pub fn ndjson(data: &[u8]) {
    let whole = lines(&[data]);
    assert_eq!(whole, lines(&pieces(data, &places::<3>(data))), "in pieces");
    assert_eq!(whole, lines(&data.chunks(1).collect::<Vec<_>>()), "byte by byte");
    let filled = |line: &&[u8]| !line.trim_ascii().is_empty();
    let expected = data.split(|byte| *byte == b'\n').filter(filled).collect::<Vec<_>>();
    assert_eq!(whole, expected);
}

fn lines(pieces: &[&[u8]]) -> Vec<Bytes> {
    let (mut cutter, mut out) = (Lines::default(), Vec::new());
    for piece in pieces {
        cutter.push(Bytes::copy_from_slice(piece));
        while let Some(line) = cutter.next() {
            out.push(line.expect("a line below the limit"));
            assert!(cutter.taken() <= piece.len(), "no more is taken than came");
        }
    }
    out.extend(cutter.end());
    out
}

fn events(pieces: &[&[u8]]) -> Vec<Event> {
    let (mut cutter, mut out) = (Events::default(), Vec::new());
    for piece in pieces {
        cutter.push(Bytes::copy_from_slice(piece));
        while let Some(event) = cutter.next() {
            out.push(event.expect("an event below the limit"));
            assert!(cutter.taken() <= piece.len(), "no more is taken than came");
        }
    }
    out.extend(cutter.end());
    out
}

/// The events of a stream, the last one also when its end is missing: whether it is is said beside it.
pub(crate) fn cut(framing: Framing, data: &[u8]) -> Vec<(Event, bool)> {
    let data = Bytes::copy_from_slice(data);
    let mut out = Vec::new();
    match framing {
        Framing::Lines => {
            let mut cutter = Lines::default();
            cutter.push(data);
            while let Some(Ok(line)) = cutter.next() {
                out.push((Event::line(line), true));
            }
            out.extend(cutter.end().map(|line| (Event::line(line), false)));
        }
        Framing::Events => {
            let mut cutter = Events::default();
            cutter.push(data);
            while let Some(Ok(event)) = cutter.next() {
                out.push((event, true));
            }
            out.extend(cutter.end().map(|event| (event, false)));
        }
    }
    out
}

/// Holds what we write to the form that the strictest reader of this dialect needs, and gives the payloads.
pub(crate) fn written<'a>(row: &Row, out: &'a [u8]) -> Vec<&'a str> {
    let text = std::str::from_utf8(out).expect("what we write is UTF-8");
    for cuts in
        ["\r", "\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{85}", "\u{2028}", "\u{2029}"]
    {
        assert!(!text.contains(cuts), "{cuts:?} cuts a line for some readers: {text:?}");
    }
    let payloads = match row.dialect.framing() {
        Framing::Lines => {
            assert!(text.is_empty() || text.ends_with('\n'), "every line has its end: {text:?}");
            text.lines().collect::<Vec<_>>()
        }
        Framing::Events => {
            assert!(text.is_empty() || text.ends_with("\n\n"), "every event has its end: {text:?}");
            text.split_terminator("\n\n").map(|event| payload(row, event)).collect()
        }
    };
    let (last, before) = match payloads.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, &[][..]),
    };
    for payload in before {
        assert!(object(payload), "one JSON object an event: {payload:?}");
    }
    if let Some(last) = last {
        let terminal = row.dialect.terminal();
        let bare = std::str::from_utf8(terminal).expect("a terminal is text");
        let ends = bare.contains(last) && !last.is_empty();
        assert!(object(last) || ends, "one JSON object an event: {last:?}");
    }
    payloads
}

fn payload<'a>(row: &Row, event: &'a str) -> &'a str {
    let lines = event.split('\n').collect::<Vec<_>>();
    assert_eq!(lines.len(), row.lines.len(), "{event:?}");
    let mut data = "";
    for (line, name) in lines.iter().zip(row.lines) {
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        let value = value.unwrap_or_else(|| panic!("a line {name:?} was to come: {event:?}"));
        if *name == "data" {
            data = value;
        }
    }
    data
}

pub(crate) fn object(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok() && text.trim_start().starts_with('{')
}

/// Whether an event may end an answer, as [`Row::ends`] says.
pub(crate) fn ends(row: &Row, event: &[u8]) -> bool {
    // Not every reader looks at every byte, nor at both halves of a surrogate pair.
    let text = String::from_utf8_lossy(event);
    let json = match serde_json::from_str::<Value>(&text) {
        Ok(value) => value.to_string(),
        Err(_) if object(&text) => arguments(&text),
        Err(_) => return row.ends.iter().any(|end| text.trim_ascii().starts_with(end)),
    };
    row.ends.iter().any(|end| end.starts_with('"') && json.contains(end))
}
