//! T12 and T13: every recorded stream, split at random and cut after each byte, on its way to clients of all dialects.
//! Without sockets, so that millions of them are a matter of minutes.

use crate::rig::{full, note, said, times};
use bytes::Bytes;
use std::{fs, path::Path, sync::Arc};
use unigate::{
    dialect::{
        Dialect, Operation, Reply, Wishes, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI,
        responses::RESPONSES,
    },
    error::Error,
    translate::Pair,
};

const NOW: u64 = 1_785_000_002_000;

static DIALECTS: [&'static dyn Dialect; 4] = [&OLLAMA, &OPENAI, &ANTHROPIC, &RESPONSES];

/// A stream as some upstream sent it.
struct Recorded {
    name: String,
    dialect: &'static dyn Dialect,
    bytes: Bytes,
}

/// All that are in the fixtures and in the fuzzers' corpus.
fn recorded() -> Vec<Recorded> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    let mut folders = vec![root.join("tests/fixtures"), root.join("fuzz/corpus")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let dialect = DIALECTS.into_iter().find(|dialect| name.contains(dialect.name()));
            if path.is_dir() {
                folders.push(path);
            } else if let Some(dialect) = dialect
                && (name.ends_with(".sse") || name.ends_with(".ndjson") || name.contains("stream_"))
            {
                all.push(Recorded { name, dialect, bytes: fs::read(path).unwrap().into() });
            }
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// What a client gets of these pieces, and whether it was told that this is all.
fn through(pair: Pair, pieces: &[Bytes], broken: bool) -> (Vec<u8>, bool) {
    let wishes = Wishes { usage: true, ..Wishes::default() };
    let reply =
        Reply { wishes, ..Reply::new("0123456789abcdef01234567".into(), NOW - 2000, "m".into()) };
    let name: Arc<str> = "up".into();
    let mut flow = pair.flow(&reply, false);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&flow.feed(piece.clone(), NOW));
    }
    let error = Error::Broken { upstream: name.clone(), why: "reset".into() };
    out.extend_from_slice(&if broken { flow.fail(&error) } else { flow.end(&name, NOW) });
    (out, flow.state().finished)
}

/// Every way of a stream: to clients of each dialect that is served by its upstream.
fn ways(recorded: &Recorded) -> impl Iterator<Item = Pair> {
    let upstream = recorded.dialect;
    let clients = DIALECTS
        .into_iter()
        .filter(move |client| upstream.name() != "responses" || client.name() == "responses");
    clients.map(move |client| Pair { client, upstream, operation: Operation::Chat })
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as usize
    }

    /// Pieces of these bytes, from one byte to all of them.
    fn split(&mut self, bytes: &Bytes) -> Vec<Bytes> {
        let scale = 1 << (1 + self.below(11));
        let most = 1 + self.below(bytes.len().min(scale));
        let mut pieces = Vec::new();
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            pieces.push(rest.split_to((1 + self.below(most)).min(rest.len())));
        }
        pieces
    }
}

#[test]
fn t12_a_recorded_stream_split_at_random_is_the_same_stream() {
    let (all, mut dice) = (recorded(), Dice(0x9e37_79b9_7f4a_7c15));
    let mut splits = 0;
    let mut pairs = 0;
    for recorded in &all {
        for pair in ways(recorded) {
            let whole = through(pair, std::slice::from_ref(&recorded.bytes), false);
            pairs += 1;
            for _ in 0..times(15, 13_000) {
                let pieces = dice.split(&recorded.bytes);
                let (out, finished) = through(pair, &pieces, false);
                splits += 1;
                // An empty line behind the last event says nothing.
                assert!(
                    finished == whole.1 && out.trim_ascii_end() == whole.0.trim_ascii_end(),
                    "{} for {} in {:?}:\n{}\ninstead of\n{}",
                    recorded.name,
                    pair.client.name(),
                    pieces.iter().map(Bytes::len).collect::<Vec<_>>(),
                    String::from_utf8_lossy(&out),
                    String::from_utf8_lossy(&whole.0)
                );
            }
        }
    }
    assert!(all.len() >= 150, "{} streams", all.len());
    note(
        "T12",
        true,
        &format!("{splits} splits of {} streams in {pairs} ways, 0 differences", all.len()),
    );
}

#[test]
fn t13_a_recorded_stream_cut_after_any_byte_is_never_a_success_that_it_was_not() {
    let all = recorded();
    let (mut cuts, mut told, mut whole_before) = (0, 0, 0);
    for recorded in &all {
        for pair in ways(recorded) {
            let (out, finished) = through(pair, std::slice::from_ref(&recorded.bytes), false);
            // What goes wrong by itself later on may be whole where it is cut.
            if !finished {
                continue;
            }
            let expected = said(&String::from_utf8_lossy(&out));
            let step = if full() { 1 } else { 37 };
            for cut in (0..recorded.bytes.len()).step_by(step) {
                for broken in [false, true] {
                    let (out, good) = through(pair, &[recorded.bytes.slice(..cut)], broken);
                    cuts += 1;
                    told += usize::from(!good);
                    whole_before += usize::from(good);
                    let text = String::from_utf8_lossy(&out);
                    let what = || {
                        let client = pair.client.name();
                        format!(
                            "{} for {client}, cut at {cut}, broken {broken}:\n{text}",
                            recorded.name
                        )
                    };
                    assert!(!good || said(&text) == expected, "half a success: {}", what());
                    let end = text.lines().any(|line| line == "data: [DONE]");
                    assert!(good || !end, "both: {}", what());
                }
            }
        }
    }
    note(
        "T13",
        true,
        &format!(
            "{cuts} cuts of {} streams: {told} told, {whole_before} whole before the cut, 0 false",
            all.len()
        ),
    );
}
