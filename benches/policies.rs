//! What the policies cost: reading a body, splicing a model, making a key, guessing an intent.
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
