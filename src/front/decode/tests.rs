//! Each coding, whole, broken and too large; and what becomes of the request.

use super::*;
use crate::dialect::{Operation, openai::OPENAI};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::StatusCode;
use http_body_util::BodyExt;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::{convert::Infallible, io::Write, task::Waker};
use tower::{ServiceExt, service_fn};
use unigate_layers::body::Buffered;

type Sent = Request<Buffered<Full<Bytes>>>;

const JSON: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"hello hello hello hello"}]}"#;
const ALL: [Coding; 3] = [Coding::Zstd, Coding::Gzip, Coding::Deflate];

/// [`JSON`] as the reference encoder (zstd 1.5) writes it: a file, a stream, a stream without a checksum.
const REFERENCE: [&str; 3] = [
    "28b52ffd244e2d0200d4037b226d6f64656c223a226d222c226d65737361676573223a5b7b22726f6c65223a2275736572222c\
     22636f6e74656e74223a2268656c6c6f20227d5d7d010099b94001b0fe216d",
    "28b52ffd04582d0200d4037b226d6f64656c223a226d222c226d65737361676573223a5b7b22726f6c65223a2275736572222c\
     22636f6e74656e74223a2268656c6c6f20227d5d7d010099b94001b0fe216d",
    "28b52ffd00582d0200d4037b226d6f64656c223a226d222c226d65737361676573223a5b7b22726f6c65223a2275736572222c\
     22636f6e74656e74223a2268656c6c6f20227d5d7d010099b94001",
];

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> =
        hex.bytes().filter_map(|c| (c as char).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn encode(coding: Coding, body: &[u8]) -> Bytes {
    match coding {
        Coding::Zstd => compress_to_vec(body, CompressionLevel::Fastest).into(),
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap().into()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap().into()
        }
    }
}

fn decoded(coding: Coding, body: Bytes, limit: usize) -> Result<Bytes, Error> {
    let mut decoder = Decoder::new(coding, body, limit);
    while !decoder.step()? {}
    Ok(decoder.finish())
}

fn status(coding: Coding, body: Bytes, limit: usize) -> StatusCode {
    decoded(coding, body, limit).map_or_else(|error| error.status(), |_| StatusCode::OK)
}

fn join(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

#[test]
fn what_the_reference_encoder_writes_is_read() {
    for hex in REFERENCE {
        assert_eq!(decoded(Coding::Zstd, bytes(hex), 4096).unwrap(), JSON);
    }
}

#[test]
fn a_body_may_have_several_parts() {
    for coding in ALL {
        let (one, two) = (encode(coding, b"{\"a\":"), encode(coding, b"1}"));
        let both = decoded(coding, join(&[&one, &two]), 64);
        match coding {
            Coding::Zstd | Coding::Gzip => assert_eq!(both.unwrap(), "{\"a\":1}"),
            Coding::Deflate => assert!(both.unwrap_err().to_string().contains("follows")),
        }
    }
    let (skipped, frame) = (b"\x5f\x2a\x4d\x18\x03\0\0\0abc", encode(Coding::Zstd, JSON));
    assert_eq!(decoded(Coding::Zstd, join(&[skipped, &frame, skipped]), 4096).unwrap(), JSON);
    let short = join(&[&frame, &skipped[..10]]);
    assert_eq!(status(Coding::Zstd, short, 4096), StatusCode::BAD_REQUEST);
}

#[test]
fn whatever_is_cut_off_is_refused() {
    for coding in ALL {
        let whole = encode(coding, JSON);
        for end in 1..whole.len() {
            let error = decoded(coding, whole.slice(..end), 4096).unwrap_err();
            assert!(matches!(&error, Error::BadRequest(_)), "{coding:?} at {end}: {error}");
        }
        let more = join(&[&whole, b"x"]);
        assert_eq!(status(coding, more, 4096), StatusCode::BAD_REQUEST, "{coding:?}");
    }
}

#[test]
fn a_flipped_bit_is_never_another_body() {
    let all = [
        (Coding::Zstd, bytes(REFERENCE[0])),
        (Coding::Zstd, bytes(REFERENCE[1])),
        (Coding::Gzip, encode(Coding::Gzip, JSON)),
        (Coding::Deflate, encode(Coding::Deflate, JSON)),
    ];
    for (coding, whole) in all {
        for bit in 0..whole.len() * 8 {
            let mut broken = whole.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            if let Ok(body) = decoded(coding, broken.into(), 4096) {
                assert_eq!(body, JSON, "{coding:?} bit {bit}");
            }
        }
    }
}

#[test]
fn what_is_in_another_coding_is_refused_with_the_name_that_was_wrong() {
    for coding in ALL {
        let error = decoded(coding, Bytes::from_static(JSON), 4096).unwrap_err();
        let name = format!("{coding:?}").to_lowercase();
        assert!(error.to_string().contains(&format!("not the {name} that")), "{error}");
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit_and_nothing_beyond_it_is_held() {
    let zeros = vec![0; 4 << 20];
    for coding in ALL {
        let bomb = encode(coding, &zeros);
        assert!(bomb.len() < 10_000, "{coding:?}: {}", bomb.len());
        for limit in [1, 1000, 300_000, (4 << 20) - 1] {
            let mut decoder = Decoder::new(coding, bomb.clone(), limit);
            let error = loop {
                match decoder.step() {
                    Ok(done) => assert!(!done),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE, "{coding:?} {error}");
            assert!(error.to_string().contains(&format!("{limit} bytes")), "{error}");
            let held = decoder.held();
            assert!(held <= limit + 1, "{coding:?}: {held} bytes for a limit of {limit}");
        }
        assert_eq!(decoded(coding, bomb, 4 << 20).unwrap(), zeros, "{coding:?}");
    }
}

#[test]
fn a_frame_that_asks_for_memory_gets_none() {
    // A terabyte in one segment; a window of 16 MiB; a size that is not kept to.
    let terabyte = bytes("28b52ffd e0 0000000000010000 010000");
    assert_eq!(status(Coding::Zstd, terabyte, 64 << 20), StatusCode::PAYLOAD_TOO_LARGE);
    let window = decoded(Coding::Zstd, bytes("28b52ffd 00 70 010000"), 64 << 20).unwrap_err();
    assert!(window.to_string().contains("window of 16777216 bytes"), "{window}");
    assert_eq!(window.status(), StatusCode::BAD_REQUEST);
    let longer = bytes("28b52ffd 20 05 190000 61 62 63");
    let longer = decoded(Coding::Zstd, longer, 4096).unwrap_err();
    assert!(longer.to_string().contains("as long as it says"), "{longer}");
    let dictionary = bytes("28b52ffd 01 00 07 010000");
    assert_eq!(status(Coding::Zstd, dictionary, 4096), StatusCode::BAD_REQUEST);
}

#[test]
fn the_header_names_one_coding_or_is_refused() {
    let of = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Coding::of(&headers).map_err(|error| error.to_string())
    };
    for (values, coding) in [
        (&[] as &[&str], None),
        (&[""], None),
        (&["identity"], None),
        (&["zstd"], Some(Coding::Zstd)),
        (&[" GZip "], Some(Coding::Gzip)),
        (&["x-gzip"], Some(Coding::Gzip)),
        (&["deflate, identity"], Some(Coding::Deflate)),
    ] {
        assert_eq!(of(values), Ok(coding), "{values:?}");
    }
    for (values, why) in [
        (&["br"] as &[&str], "\"br\" is not read"),
        (&["gzip, zstd"], "more than once"),
        (&["gzip", "gzip"], "more than once"),
        (&["é"], "is not read"),
    ] {
        let error = of(values).unwrap_err();
        assert!(error.contains(why) && error.contains("zstd, gzip, deflate"), "{error}");
    }
    assert!(of(&[&"x".repeat(5000)]).unwrap_err().len() < 300);
}

proptest! {
    // The encoders are slow where they are not optimized.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_body_comes_out_as_it_went_in(body in prop::collection::vec(0u8..4, 0..20_000)) {
        for coding in ALL {
            prop_assert_eq!(decoded(coding, encode(coding, &body), body.len()).unwrap(), &body);
        }
    }

    #[test]
    fn noise_is_refused_and_nothing_worse(noise in prop::collection::vec(any::<u8>(), 1..300)) {
        for (coding, start) in
            [(Coding::Zstd, "28b52ffd"), (Coding::Gzip, "1f8b0800000000000003"), (Coding::Deflate, "789c")]
        {
            let body = join(&[&bytes(start), &noise]);
            let _ = decoded(coding, body, 1 << 20);
            let _ = decoded(coding, noise.clone().into(), 1 << 20);
        }
    }
}

// === the layer ===

fn request(coding: &str, body: impl Into<Bytes>) -> Sent {
    let body = body.into();
    Request::post("/v1/chat/completions")
        .header(CONTENT_ENCODING, coding)
        .header(CONTENT_LENGTH, body.len())
        .extension(Front { dialect: &OPENAI, operation: Some(Operation::Chat) })
        .body(Buffered::whole(body))
        .unwrap()
}

/// What comes out below the layer, or what it answers itself.
async fn send(request: Sent) -> Result<Sent, Response<Bytes>> {
    let (out, seen) = std::sync::mpsc::sync_channel(1);
    let below = service_fn(move |request: Sent| {
        out.send(request).unwrap();
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) }
    });
    let response = DecodeLayer::new(1 << 20).layer(below).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    seen.try_recv().map_err(|_| Response::from_parts(head, body))
}

#[tokio::test]
async fn what_stands_below_sees_the_body_and_not_its_coding() {
    for (coding, name) in ALL.into_iter().zip(["zstd", "gzip", "deflate"]) {
        let sent = encode(coding, JSON);
        let seen = send(request(name, sent.clone())).await.unwrap();
        assert_eq!(seen.body().bytes().unwrap(), JSON);
        assert!(!seen.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(seen.headers()[CONTENT_LENGTH], JSON.len().to_string());

        let (mut head, mut body) = seen.into_parts();
        let encoded = head.extensions.remove::<Encoded>().unwrap();
        encoded.restore(&mut head.headers, &mut body);
        assert_eq!(body.bytes().unwrap(), &sent);
        assert_eq!(head.headers[CONTENT_ENCODING], name);
    }
}

#[tokio::test]
async fn a_body_that_was_written_anew_stays_as_it_is() {
    let seen = send(request("gzip", encode(Coding::Gzip, JSON))).await.unwrap();
    let (mut head, mut body) = seen.into_parts();
    let encoded = head.extensions.remove::<Encoded>().unwrap();
    for other in [Bytes::copy_from_slice(JSON), body.bytes().unwrap().slice(1..)] {
        body.set_bytes(other.clone());
        encoded.restore(&mut head.headers, &mut body);
        assert_eq!(body.bytes().unwrap(), &other);
        assert!(!head.headers.contains_key(CONTENT_ENCODING));
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_passes_with_its_header() {
    let streaming = request("br", "").map(|_| Buffered::streaming(Full::from("any bytes")));
    let seen = send(streaming).await.unwrap();
    assert_eq!(seen.headers()[CONTENT_ENCODING], "br");
    assert!(seen.extensions().get::<Encoded>().is_none());
    assert_eq!(seen.into_body().collect().await.unwrap().to_bytes(), "any bytes");
    for (coding, body) in [("zstd", ""), ("identity", "{}")] {
        let seen = send(request(coding, body)).await.unwrap();
        assert_eq!(seen.headers()[CONTENT_ENCODING], coding);
        assert_eq!(seen.body().bytes().unwrap(), body);
    }
}

#[tokio::test]
async fn a_refusal_is_in_the_clients_dialect_and_says_what_would_do() {
    let bomb = encode(Coding::Zstd, &vec![0; 2 << 20]);
    for (request, code, words) in [
        (request("br", "x"), 415, "\\\"br\\\" is not read"),
        (request("zstd", "x"), 400, "not the zstd"),
        (request("zstd", bomb), 413, "raise server.max_body_bytes"),
    ] {
        let answer = send(request).await.unwrap_err();
        assert_eq!(answer.status().as_u16(), code);
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(text.starts_with(r#"{"error":{"message":"#) && text.contains(words), "{text}");
        let accepted = answer.headers().get(ACCEPT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(accepted, (code == 415).then_some("zstd, gzip, deflate"));
    }
}

#[tokio::test]
async fn others_get_their_turn_while_a_large_body_is_decoded() {
    for (coding, name) in ALL.into_iter().zip(["zstd", "gzip", "deflate"]) {
        let below = service_fn(|_: Sent| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        let body = encode(coding, &vec![b'x'; 1 << 20]);
        let mut answer = Box::pin(DecodeLayer::new(1 << 20).layer(below).call(request(name, body)));
        let mut turns = 0;
        while answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            turns += 1;
        }
        assert!((4..20).contains(&turns), "{coding:?}: {turns}");
    }
}

#[tokio::test]
async fn what_decodes_to_nothing_is_also_done_in_turns() {
    // Empty blocks, empty members: much to read, nothing to show for it.
    let block = b"\0\0\0".repeat(100_000);
    let frame = join(&[&bytes("28b52ffd 00 58"), &block, b"\x01\0\0"]);
    let members: Bytes = encode(Coding::Gzip, b"").repeat(20_000).into();
    for (coding, body) in [(Coding::Zstd, frame), (Coding::Gzip, members)] {
        let mut decoder = Decoder::new(coding, body, 10);
        let mut turns = 1;
        while !decoder.step().unwrap() {
            turns += 1;
        }
        assert!((3..=6).contains(&turns), "{coding:?}: {turns}");
        assert_eq!(decoder.finish(), "");
    }
}
