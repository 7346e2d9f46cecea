//! What translation costs: a streamed event and a request of 32 KiB, for each pair of dialects.
//!
//! `cargo bench --bench translate`. Beside them stand the plain ways: `serde_json::Value` read and written again, without any
//! state or rule, and the bytes copied. Allocations are counted along; `tests/allocations.rs` holds them to three an event.

mod streams;

use bytes::{Bytes, BytesMut};
use divan::{
    AllocProfiler, Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use serde_json::Value;
use std::fmt;
use streams::{EVENTS, NOW, flow};
use unigate::{
    dialect::{
        Dialect, Operation, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI,
        responses::RESPONSES,
    },
    provider::Provider,
    translate::{Aim, Flow, Pair},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// From an upstream's dialect to a client's, or the other way for a request.
#[derive(Clone, Copy)]
struct Way {
    from: &'static dyn Dialect,
    to: &'static dyn Dialect,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.name(), self.to.name())
    }
}

const CLIENTS: [&dyn Dialect; 4] = [&OPENAI, &OLLAMA, &ANTHROPIC, &RESPONSES];
const UPSTREAMS: [&dyn Dialect; 3] = [&OPENAI, &OLLAMA, &ANTHROPIC];

/// Every pair, those of one dialect apart.
fn ways(same: bool) -> Vec<Way> {
    let ways = UPSTREAMS.into_iter().flat_map(|from| CLIENTS.map(|to| Way { from, to }));
    ways.filter(|way| (way.from.name() == way.to.name()) == same).collect()
}

fn requests() -> Vec<Way> {
    ways(false).into_iter().map(|Way { from, to }| Way { from: to, to: from }).collect()
}

fn names() -> [&'static str; UPSTREAMS.len()] {
    UPSTREAMS.map(|dialect| dialect.name())
}

/// Streams of 200 events, each fed as it would come: one at a time. Figures are of the whole stream.
#[divan::bench_group(sample_count = 100, sample_size = 10)]
mod stream {
    use super::*;

    fn run(bencher: Bencher<'_, '_>, way: &Way, strip_usage: bool) {
        let events = streams::text(way.from.name());
        let new = || (flow(way.to, way.from, strip_usage), events.clone());
        let feed = |(mut flow, events): (Flow, Vec<Bytes>)| {
            let sent: usize = events.into_iter().map(|event| flow.feed(event, NOW).len()).sum();
            (sent, flow)
        };
        let (sent, ended) = feed(new());
        assert!(sent > 0 && ended.state().finished && ended.state().fault.is_none());
        bencher.counter(ItemsCount::new(EVENTS)).with_inputs(new).bench_local_values(feed);
    }

    #[divan::bench(args = ways(false))]
    fn translated(bencher: Bencher<'_, '_>, way: &Way) {
        run(bencher, way, false);
    }

    #[divan::bench(args = ways(true))]
    fn watched(bencher: Bencher<'_, '_>, way: &Way) {
        run(bencher, way, false);
    }

    #[divan::bench]
    fn watched_and_usage_taken_out(bencher: Bencher<'_, '_>) {
        run(bencher, &Way { from: &OPENAI, to: &OPENAI }, true);
    }

    #[divan::bench(args = names())]
    fn baseline_value(bencher: Bencher<'_, '_>, from: &str) {
        let events = streams::text(from);
        bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
            black_box(&events).iter().map(|event| through_value(event).len()).sum::<usize>()
        });
    }

    #[divan::bench(args = names())]
    fn baseline_copy(bencher: Bencher<'_, '_>, from: &str) {
        let events = streams::text(from);
        bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
            black_box(&events).iter().map(|event| BytesMut::from(&event[..]).len()).sum::<usize>()
        });
    }
}

/// The JSON of one event read and written, and nothing else done.
fn through_value(event: &[u8]) -> Vec<u8> {
    let start = event.iter().position(|byte| *byte == b'{').unwrap_or(event.len());
    match serde_json::from_slice::<Value>(&event[start..]) {
        Ok(value) => serde_json::to_vec(&value).unwrap_or_default(),
        // The terminal of an OpenAI stream.
        Err(_) => event.to_vec(),
    }
}

/// A chat of 32 KiB.
#[divan::bench_group(sample_count = 100, sample_size = 10)]
mod request {
    use super::*;

    #[divan::bench(args = requests())]
    fn translated(bencher: Bencher<'_, '_>, way: &Way) {
        let body = streams::request(way.from.name());
        let pair = Pair { client: way.from, upstream: way.to, operation: Operation::Chat };
        let quirks = Provider::named(way.to.name()).map(|row| row.quirks).unwrap_or_default();
        let aim = Aim { quirks, ..Aim::default() };
        assert!(pair.request(&body, &aim).is_ok_and(|sent| sent.body.len() > 30 * 1024));
        bencher
            .counter(BytesCount::of_slice(&body))
            .bench_local(|| pair.request(black_box(&body), &aim));
    }

    #[divan::bench]
    fn baseline_value(bencher: Bencher<'_, '_>) {
        let body = streams::request("openai");
        bencher
            .counter(BytesCount::of_slice(&body))
            .bench_local(|| through_value(black_box(&body)));
    }

    #[divan::bench]
    fn baseline_copy(bencher: Bencher<'_, '_>) {
        let body = streams::request("openai");
        bencher
            .counter(BytesCount::of_slice(&body))
            .bench_local(|| BytesMut::from(&black_box(&body)[..]));
    }
}
