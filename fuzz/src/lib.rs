//! What must hold for any bytes that a client or an upstream may send: plain functions that panic where it does not.
//!
//! `cargo fuzz` calls them with bytes that it makes up, and `tests/` with the files below `corpus/`, on any machine.
//! Each [`Row`] of [`ROWS`] is a dialect and has three targets: what its clients ask (`request_x`), what its
//! upstreams answer whole (`answer_x`) and streamed (`stream_x`). Each of them goes to every dialect of the table,
//! its own among them, so that one more row is every pair with it.

mod answer;
mod config;
mod cut;
mod entry;
mod frame;
mod heard;
mod http;
mod key;
mod path;
mod request;
mod stream;

pub use self::http::http;
pub use config::config;
pub use entry::entry;
pub use frame::{ndjson, sse};
pub use key::key;
#[cfg(fuzzing)]
pub use libfuzzer_sys;
pub use path::path;

use std::{env, fs, process::ExitCode};
use unigate::{
    dialect::{
        Dialect, Operation, Reply, Wishes, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI,
        responses::RESPONSES,
    },
    provider::Provider,
    translate::Aim,
};

/// A dialect, and what can be told of its streams without reading them as it does.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The dialect.
    pub dialect: &'static dyn Dialect,
    /// An event that ends an answer has one of these in it, written without spaces; what is no JSON begins with it.
    pub ends: &'static [&'static str],
    /// The lines that its events are made of, in order; empty for NDJSON.
    pub lines: &'static [&'static str],
    /// Whether its last event says the whole answer once more, which may not be what was said before.
    pub repeats: bool,
}

impl Row {
    /// Whether clients of this dialect can ask for this.
    fn asks(&self, operation: Operation) -> bool {
        self.dialect.path(operation).is_some()
    }
}

/// Every dialect.
pub static ROWS: &[Row] = &[
    Row { dialect: &OLLAMA, ends: &["\"done\":true"], lines: &[], repeats: false },
    Row {
        dialect: &OPENAI,
        ends: &["[DONE]", "\"finish_reason\":\"", "\"finish_reason\":["],
        lines: &["data"],
        repeats: false,
    },
    Row {
        dialect: &ANTHROPIC,
        ends: &["\"type\":\"message_stop\"", "\"stop_reason\":\""],
        lines: &["event", "data"],
        repeats: false,
    },
    Row {
        dialect: &RESPONSES,
        ends: &["\"type\":\"response.completed\"", "\"type\":\"response.incomplete\""],
        lines: &["event", "data"],
        repeats: true,
    },
];

/// What may be known of where a request goes: nothing; what it understands; and that nothing may be lost, too.
fn aims() -> [Aim; 3] {
    let quirks = |name| Provider::named(name).expect("a row").quirks;
    let (newest, open) = (quirks("openai"), quirks("vllm"));
    [
        Aim::default(),
        Aim { quirks: newest, ..Aim::default() },
        Aim { quirks: open, strict: true, ..Aim::default() },
    ]
}

const OPERATIONS: [Operation; 4] =
    [Operation::Chat, Operation::Generate, Operation::Embed, Operation::EmbedOne];

/// What the model answers with words, which may be streamed.
const SPOKEN: [Operation; 2] = [Operation::Chat, Operation::Generate];

/// When everything happens, in milliseconds since 1970.
const NOW: u64 = 1_785_000_000_000;

fn reply(usage: bool, base64: bool) -> Reply {
    let id = "0123456789abcdef01234567".into();
    let wishes = Wishes { usage, base64, ..Wishes::default() };
    Reply { wishes, ..Reply::new(id, NOW, "asked".into()) }
}

/// The names of all targets.
pub fn targets() -> Vec<String> {
    let mut names =
        ["config", "entry", "http", "key", "ndjson", "path", "sse"].map(str::to_owned).to_vec();
    for kind in ["answer", "request", "stream"] {
        names.extend(ROWS.iter().map(|row| format!("{kind}_{}", row.dialect.name())));
    }
    names
}

/// Runs one target on these bytes.
///
/// # Panics
/// Where something does not hold that must, or no target has this name.
pub fn check(target: &str, data: &[u8]) {
    match target {
        "config" => return config(data),
        "entry" => return entry(data),
        "key" => return key(data),
        "http" => return http(data),
        "ndjson" => return ndjson(data),
        "path" => return path(data),
        "sse" => return sse(data),
        _ => {}
    }
    let (kind, row) = row(target);
    match kind {
        "answer" => answer::check(row, data),
        "request" => request::check(row, data),
        "stream" => stream::check(row, data),
        _ => panic!("there is no target {target}"),
    }
}

/// Cuts a stream at these places, in two and off and into pieces; each is taken modulo its length.
/// Does nothing for a target that reads no streams.
///
/// # Panics
/// As [`check`].
pub fn check_cuts(target: &str, data: &[u8], cuts: &[usize]) {
    if target.starts_with("stream_") {
        stream::check_cuts(row(target).1, data, cuts);
    }
}

fn row(target: &str) -> (&str, &'static Row) {
    let (kind, name) = target.split_once('_').expect("a target is named kind_dialect");
    let row = ROWS.iter().find(|row| row.dialect.name() == name);
    (kind, row.expect("a dialect of the table"))
}

/// Runs one target on the files that the command line names; what a program does when it is not fuzzing.
pub fn replay(target: &str) -> ExitCode {
    for path in env::args_os().skip(1) {
        match fs::read(&path) {
            Ok(data) => check(target, &data),
            Err(error) => {
                eprintln!("cannot read {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
        eprintln!("{target}: {} holds", path.display());
    }
    ExitCode::SUCCESS
}

/// The program of one target.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::check($name, data));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($name)
        }
    };
}
