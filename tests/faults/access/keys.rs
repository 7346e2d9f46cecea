//! A1: what is no key, and that its time says nothing of the keys.

use super::{KEY, reached, send};
use crate::rig::{Chaosd, End, Row, Setup, chat, note, times};
use http::{Request, Response};
use std::{convert::Infallible, hint::black_box, time::Instant};
use tower::{Layer, Service, service_fn};
use unigate::access::AccessLayer;

#[tokio::test]
async fn a1_nothing_but_a_key_is_one_and_all_the_rest_is_told_the_same() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).key(KEY).toml("[server]\nmax_failures_per_min = 0\n");
    let mut row = Row::start("A1", setup).await;
    let prefix = &KEY[..KEY.len() - 1];
    let long = "k".repeat(8 * 1024);
    let mut corpus: Vec<String> = vec![String::new()];
    for name in ["authorization: Bearer ", "x-api-key: ", "x-gateway-key: "] {
        for key in ["", " ", "wrong", prefix, &long, "null", "undefined", "ключ", "Bearer"] {
            corpus.push(format!("{name}{key}\r\n"));
        }
        corpus.push(format!("{name}{KEY}x\r\n"));
        corpus.push(format!("{name}{}\r\n", KEY.to_uppercase()));
        corpus.push(format!("{name}{KEY}, {KEY}\r\n"));
        corpus.push(format!("{name}\"{KEY}\"\r\n"));
        // The first one counts, and a wrong one is not made good by another.
        corpus.push(format!("{name}wrong\r\n{name}{KEY}\r\n"));
    }
    corpus.push(format!("authorization: {KEY}\r\n"));
    corpus.push(format!("authorization: Basic {KEY}\r\n"));
    corpus.push(format!("authorization: Bearer{KEY}\r\n"));
    corpus.push(format!("x-api-key: wrong\r\nauthorization: Bearer {KEY}\r\n"));
    corpus.push(format!("api-key: {KEY}\r\n"));
    corpus.push(format!("cookie: authorization=Bearer {KEY}\r\n"));
    let mut bodies = std::collections::BTreeSet::new();
    for lines in &corpus {
        let answer = send(&row, "POST", "/v1/chat/completions", lines).await;
        assert_eq!((answer.status, answer.end), (401, End::Refused), "{lines}");
        bodies.insert(answer.text().replace(answer.id(), ""));
        // Ollama's command line takes every 401 for its own business.
        assert_eq!(send(&row, "POST", "/api/chat", lines).await.status, 403, "{lines}");
    }
    // This is no HTTP at all, and does not come as far as a door.
    let nothing =
        b"POST /v1/chat/completions HTTP/1.1\r\nx-api-key: \0\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(row.raw(nothing).await.uncounted().finish().await.status, 400);
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(reached(&up), [""; 0]);
    for name in
        ["authorization: Bearer ", "authorization: bEARER ", "x-api-key: ", "x-gateway-key: "]
    {
        let answer = send(&row, "POST", "/v1/chat/completions", &format!("{name}{KEY}\r\n")).await;
        assert_eq!(answer.status, 200, "{name}");
    }
    let query = format!("/v1/chat/completions?key={KEY}&api_key={KEY}");
    assert_eq!(send(&row, "POST", &query, "").await.status, 401);
    row.figure(format!("{} that are none, one answer", corpus.len()));
    row.check().await;
}

/// T18. What a client could measure is far above it; here is the layer alone.
#[test]
fn a1_a_key_that_is_nearly_right_takes_as_long_as_any_other() {
    let layer = AccessLayer::new(&[KEY, "another-key-of-the-gateway"], vec![], vec![], true);
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
    let mut door = layer.layer(inner);
    let near = format!("{}X", &KEY[..KEY.len() - 1]);
    let far = "z".repeat(KEY.len());
    let mut took = [Vec::new(), Vec::new()];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..times(40_000, 1_000_000) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let which = (random & 1) as usize;
        let key = [near.as_str(), far.as_str()][which];
        let request = Request::post("/v1/chat/completions").header("x-api-key", key);
        let request = request.body(()).unwrap();
        let begun = Instant::now();
        drop(black_box(door.call(black_box(request))));
        took[which].push(begun.elapsed().as_nanos() as f64);
    }
    let t = welch(&mut took);
    note(
        "A1",
        true,
        &format!("|t| = {:.1} between near and far keys (below 4.5: no difference)", t.abs()),
    );
}

/// Welch's t of two samples, without the tenth of each that the machine spoilt.
fn welch(samples: &mut [Vec<f64>; 2]) -> f64 {
    let [a, b] = samples.each_mut().map(|sample| {
        sample.sort_by(f64::total_cmp);
        sample.truncate(sample.len() * 9 / 10);
        let n = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / n;
        let variance = sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    });
    (a.0 - b.0) / (a.1 + b.1).sqrt()
}

#[tokio::test]
async fn a1_without_keys_whatever_a_client_sends_as_one_is_let_in() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("A1", Setup::ollama(&up)).await;
    let headers = [("authorization", "Bearer local")];
    let answer = row.ledger.ask(row.program.addr, "/api/chat", &headers, &chat("m", 0, true)).await;
    assert_eq!((answer.status, answer.end), (200, End::Complete));
    row.check().await;
}
