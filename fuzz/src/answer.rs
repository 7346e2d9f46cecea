//! Unstreamed answers, errors and lists of models: from an upstream of one dialect to clients of all of them.

use crate::{
    NOW, OPERATIONS, ROWS, Row, SPOKEN, frame,
    heard::{Ending, Heard, same},
    reply,
};
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;
use unigate::{
    chat::{Answer, Said, Vector},
    dialect::{Dialect, Operation},
    translate::{Pair, complete, restream, unstream},
};

/// Everything that must hold when an upstream of this dialect answers with these bytes.
pub(crate) fn check(upstream: &Row, data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    for client in ROWS {
        for operation in OPERATIONS.into_iter().filter(|operation| client.asks(*operation)) {
            // Who has no vectors is asked for none; a prompt may have become a chat.
            if !SPOKEN.contains(&operation) && !upstream.asks(operation) {
                continue;
            }
            for base64 in [false, true] {
                let pair = Pair { client: client.dialect, upstream: upstream.dialect, operation };
                if pair.same() {
                    passed(pair, &body, base64);
                } else {
                    translated(pair, client, &body, base64);
                }
            }
        }
        failed(client.dialect, upstream.dialect, &body);
        listed(client.dialect, upstream.dialect, data);
    }
    for operation in SPOKEN {
        kept(upstream.dialect, operation, &body);
    }
}

fn passed(pair: Pair, body: &Bytes, base64: bool) {
    let name: Arc<str> = "up".into();
    let reply = reply(true, base64);
    let answer = pair.answer(&name, body, &reply, NOW);
    let read = pair.upstream.read_answer(pair.operation, body);
    assert_eq!(answer.is_ok(), read.is_ok());
    if let Ok((out, state)) = answer {
        assert_eq!(out, body, "the very same bytes");
        assert!(state.fault.is_none());
    }
}

fn translated(pair: Pair, client: &Row, body: &Bytes, base64: bool) {
    let name: Arc<str> = "up".into();
    let reply = reply(true, base64);
    let whole = pair.answer(&name, body, &reply, NOW);
    let stream = pair.whole_as_stream(&name, body, &reply, NOW);
    let Ok((out, state)) = whole else {
        assert!(stream.is_err(), "what is no answer is none as a stream: {stream:?}");
        return;
    };
    assert!(state.finished && state.fault.is_none() && state.meaningful);
    assert!(out.len() <= 256 * body.len() + (1 << 17), "{} bytes", out.len());
    let up = pair.upstream.read_answer(pair.operation, body).expect("it was read already");
    let down = pair.client.read_answer(pair.operation, &out);
    let down = down.unwrap_or_else(|why| panic!("{why:?} of our own answer {out:?}"));
    match (up, down) {
        (Answer::Said(up), Answer::Said(down)) => {
            same(pair.operation, &up, &down, true);
            streamed(pair, client, &up, &stream.expect("an answer can be a stream").0);
        }
        (Answer::Vectors { vectors: up, .. }, Answer::Vectors { vectors: down, .. }) => {
            // Ollama's old form has room for one.
            let one = pair.operation == Operation::EmbedOne && down.len() == 1;
            assert!(one || down.len() == up.len(), "{} of {}", down.len(), up.len());
            for (up, down) in up.iter().zip(&down) {
                assert_eq!(floats(up), floats(down));
            }
        }
        (up, down) => panic!("{up:?} has become {down:?}"),
    }
}

fn streamed(pair: Pair, client: &Row, up: &Said, stream: &[u8]) {
    frame::written(client, stream);
    let heard = Heard::new(pair.client, pair.operation, stream);
    assert_eq!(heard.ending, Ending::End);
    same(pair.operation, up, &heard.said, true);
}

/// An answer that was kept says the same in its other form, and again when that is turned back.
fn kept(dialect: &'static dyn Dialect, operation: Operation, body: &Bytes) {
    let Ok(Answer::Said(said)) = dialect.read_answer(operation, body) else { return };
    let Some(stream) = restream(dialect, operation, body, &reply(true, false)) else { return };
    assert!(complete(dialect, operation, true, &stream).is_some(), "{stream:?}");
    let heard = Heard::new(dialect, operation, &stream);
    assert_eq!(heard.ending, Ending::End);
    same(operation, &said, &heard.said, true);
    if let Some(whole) = unstream(dialect, operation, &stream, &reply(true, false)) {
        match dialect.read_answer(operation, &whole) {
            Ok(Answer::Said(again)) => same(operation, &said, &again, true),
            other => panic!("{other:?} was read from {whole:?}"),
        }
    }
}

/// The bits, because what is no number equals nothing.
fn floats(vector: &Vector) -> Vec<u32> {
    let floats = match vector {
        Vector::Written(raw) => serde_json::from_str::<Vec<f32>>(raw.get()).expect("numbers"),
        Vector::Floats(floats) => floats.clone(),
    };
    floats.into_iter().map(f32::to_bits).collect()
}

/// An error keeps its words.
fn failed(client: &'static dyn Dialect, upstream: &'static dyn Dialect, body: &Bytes) {
    let pair = Pair { client, upstream, operation: Operation::Chat };
    for status in [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::BAD_GATEWAY] {
        let (shown, out) = pair.error(status, body);
        if pair.same() {
            assert_eq!((shown, &out), (status, body));
            continue;
        }
        let (said, _) = upstream.read_error(status, body);
        let (heard, _) = client.read_error(shown, &out);
        assert!(!said.is_empty() && said.len() < 5000, "{said:?}");
        assert!(std::str::from_utf8(&out).is_ok_and(frame::object), "{out:?}");
        if status != StatusCode::UNAUTHORIZED && said.len() < 4000 {
            assert_eq!(said, heard);
        }
    }
}

/// A list of models keeps its names.
fn listed(client: &dyn Dialect, upstream: &dyn Dialect, body: &[u8]) {
    let Ok(models) = upstream.read_models(body) else { return };
    let out = client.write_models(&models);
    let again = client.read_models(&out).expect("our own list can be read");
    let names = |models: &[unigate::chat::Model]| {
        models.iter().map(|model| model.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&models), names(&again));
    for model in &models {
        let out = client.write_model(model);
        assert!(std::str::from_utf8(&out).is_ok_and(frame::object), "{out:?}");
    }
}
