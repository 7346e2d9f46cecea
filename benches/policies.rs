//! What the policies cost: reading a body, splicing a model, translating a stream, making a key, guessing an intent.
//!
//! `cargo bench --bench policies`. Beside each stands the plain way to the same end, so that a figure means something
//! on another machine: `serde_json::Value` for JSON, SHA-256 of the raw bytes for the key, substrings for the intent.

mod traffic;

use bytes::Bytes;
use divan::{Bencher, black_box, counter::BytesCount};
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use traffic::{KB, asked, body, prose, value};
use unigate::dialect::{Dialect, Operation, openai::OPENAI};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Which model, streamed or not.
#[divan::bench_group(sample_size = 100)]
mod ask {
    use super::*;

    #[divan::bench(args = KB)]
    fn read(bencher: Bencher<'_, '_>, kb: usize) {
        let body = body(kb);
        bencher
            .counter(BytesCount::of_slice(&body))
            .bench(|| OPENAI.ask(Operation::Chat, black_box(&body)).expect("valid"));
    }

    #[divan::bench(args = KB)]
    fn baseline_value(bencher: Bencher<'_, '_>, kb: usize) {
        let body = body(kb);
        bencher.counter(BytesCount::of_slice(&body)).bench(|| {
            let value = value(black_box(&body));
            (value["model"].as_str().map(str::to_owned), value["stream"].as_bool())
        });
    }
}

/// What the router's rules look at.
#[divan::bench_group(sample_size = 50)]
mod prompt {
    use super::*;

    #[divan::bench(args = KB)]
    fn read(bencher: Bencher<'_, '_>, kb: usize) {
        let body = body(kb);
        bencher
            .counter(BytesCount::of_slice(&body))
            .bench(|| OPENAI.prompt(Operation::Chat, black_box(&body)));
    }

    #[divan::bench(args = KB)]
    fn baseline_value(bencher: Bencher<'_, '_>, kb: usize) {
        let body = body(kb);
        bencher.counter(BytesCount::of_slice(&body)).bench(|| {
            let value = value(black_box(&body));
            let messages = value["messages"].as_array().expect("a list");
            let text = |message: &Value| message["content"].as_str().map(str::to_owned);
            let bytes: usize = messages.iter().filter_map(text).map(|text| text.len()).sum();
            (messages.last().and_then(text), bytes, messages.len())
        });
    }
}

/// The model's value replaced. It stands behind the messages, as the Python SDK writes it.
#[divan::bench_group(sample_size = 100)]
mod splice {
    use super::*;

    const MODEL: &str = "qwen2.5-coder:7b";

    #[divan::bench(args = KB)]
    fn in_place(bencher: Bencher<'_, '_>, kb: usize) {
        let body = body(kb);
        bencher
            .counter(BytesCount::of_slice(&body))
            .bench(|| unigate_layers::rewrite::splice(black_box(&body), "model", MODEL));
    }

    #[divan::bench(args = KB)]
    fn baseline_value(bencher: Bencher<'_, '_>, kb: usize) {
        let body = body(kb);
        bencher.counter(BytesCount::of_slice(&body)).bench(|| {
            let mut value = value(black_box(&body));
            value["model"] = MODEL.into();
            serde_json::to_vec(&value)
        });
    }
}

/// Streams of 200 events, each fed as it would come: one at a time.
#[divan::bench_group(sample_size = 10)]
mod stream {
    use super::*;
    use divan::counter::ItemsCount;
    use traffic::{EVENTS, chunks, flow, lines, naive};
    use unigate::{dialect::ollama::OLLAMA, translate::Flow};

    const NOW: u64 = 1_785_000_002_000;

    fn run(
        bencher: Bencher<'_, '_>,
        client: &'static dyn Dialect,
        upstream: &'static dyn Dialect,
        strip_usage: bool,
    ) {
        let events = if upstream.name() == "ollama" { lines() } else { chunks() };
        let feed = |(mut flow, events): (Flow, Vec<Bytes>)| {
            let sent: usize = events.into_iter().map(|event| flow.feed(event, NOW).len()).sum();
            (sent, flow)
        };
        let (sent, flow_) = feed((flow(client, upstream, strip_usage), events.clone()));
        assert!(sent > 0 && flow_.state().finished && flow_.state().fault.is_none());
        bencher
            .counter(ItemsCount::new(EVENTS))
            .with_inputs(|| (flow(client, upstream, strip_usage), events.clone()))
            .bench_values(feed);
    }

    #[divan::bench]
    fn ndjson_to_sse(bencher: Bencher<'_, '_>) {
        run(bencher, &OPENAI, &OLLAMA, false);
    }

    #[divan::bench]
    fn sse_to_ndjson(bencher: Bencher<'_, '_>) {
        run(bencher, &OLLAMA, &OPENAI, false);
    }

    #[divan::bench]
    fn watch_ndjson(bencher: Bencher<'_, '_>) {
        run(bencher, &OLLAMA, &OLLAMA, false);
    }

    #[divan::bench]
    fn watch_sse(bencher: Bencher<'_, '_>) {
        run(bencher, &OPENAI, &OPENAI, false);
    }

    #[divan::bench]
    fn watch_sse_and_take_usage_out(bencher: Bencher<'_, '_>) {
        run(bencher, &OPENAI, &OPENAI, true);
    }

    /// One line in, one event out, by way of two `Value`s, without any state or rule.
    #[divan::bench]
    fn baseline_ndjson_to_sse_by_value(bencher: Bencher<'_, '_>) {
        let events = lines();
        bencher
            .counter(ItemsCount::new(EVENTS))
            .bench(|| black_box(&events).iter().map(|line| naive(line).len()).sum::<usize>());
    }
}

/// The cache's key: what was asked, in one spelling.
#[divan::bench_group(sample_size = 50)]
mod key {
    use super::*;
    use sha2::{Digest, Sha256};
    use unigate::cache::ChatKey;
    use unigate_layers::body::Buffered;

    #[divan::bench(args = KB)]
    fn canonical(bencher: Bencher<'_, '_>, kb: usize) {
        let request: Request<Buffered<Full<Bytes>>> = asked(kb);
        let key = ChatKey::default();
        assert!(key.key(&request).is_some());
        bencher
            .counter(BytesCount::of_slice(&body(kb)))
            .bench_local(|| key.key(black_box(&request)));
    }

    #[divan::bench(args = KB)]
    fn baseline_sha256_of_the_bytes(bencher: Bencher<'_, '_>, kb: usize) {
        let body = body(kb);
        bencher.counter(BytesCount::of_slice(&body)).bench(|| Sha256::digest(black_box(&body)));
    }
}

/// What a prompt is for. Prose, in which nothing is found early.
#[divan::bench_group(sample_size = 10)]
mod intent {
    use super::*;
    use unigate::intent::{self, CodeIntent};

    #[divan::bench(args = KB)]
    fn read(bencher: Bencher<'_, '_>, kb: usize) {
        let text = prose(kb * 1024);
        CodeIntent::shipped();
        assert_eq!(intent::read(&text, text.len() / 4, 1).intent, intent::Intent::General);
        bencher
            .counter(BytesCount::of_str(&text))
            .bench(|| intent::read(black_box(&text), text.len() / 4, 1));
    }

    #[divan::bench(args = KB)]
    fn baseline_ten_substrings(bencher: Bencher<'_, '_>, kb: usize) {
        const WORDS: [&str; 10] = [
            "code",
            "python",
            "function",
            "import",
            "debug",
            "class",
            "def ",
            "script",
            "sql",
            "traceback",
        ];
        let text = prose(kb * 1024);
        bencher.counter(BytesCount::of_str(&text)).bench(|| {
            let text = black_box(&text).to_lowercase();
            WORDS.iter().any(|word| text.contains(word))
        });
    }
}
