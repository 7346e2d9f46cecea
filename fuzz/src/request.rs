//! Requests: from a client of one dialect to upstreams of all of them, and back.

use crate::{OPERATIONS, ROWS, Row, aims, frame, heard::arguments};
use bytes::Bytes;
use serde_json::{Value, value::RawValue};
use std::collections::HashMap;
use unigate::{
    chat::{Choice, Message, Request, Task},
    dialect::{Dialect, Operation, Prompt},
    error::Error,
    translate::{Outgoing, Pair},
};

/// Everything that must hold when a client of this dialect asks with these bytes.
pub(crate) fn check(client: &Row, data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    for operation in OPERATIONS.into_iter().filter(|operation| client.asks(*operation)) {
        let client = client.dialect;
        looked_at(client, operation, data);
        // Whoever asks for something else than JSON with one model gets no further.
        if client.ask(operation, data).is_err() {
            continue;
        }
        for upstream in ROWS {
            let pair = Pair { client, upstream: upstream.dialect, operation };
            for aim in aims() {
                match pair.request(&body, &aim) {
                    Ok(out) if pair.same() => passed(pair, &body, &out),
                    Ok(out) => written(pair, &body, &out),
                    Err(error) => refused(pair, &error),
                }
            }
        }
    }
}

/// What the router and the cache look at can be asked of any bytes.
fn looked_at(client: &dyn Dialect, operation: Operation, data: &[u8]) {
    let prompt = client.prompt(operation, data);
    assert!(prompt.text.len() <= Prompt::MAX_TEXT);
    client.deterministic(operation, data);
    client.wishes(operation, data);
    client.is_load(operation, data);
    if client.ask(operation, data).is_ok() {
        assert!(object(data), "only a JSON object is asked");
    }
}

fn object(data: &[u8]) -> bool {
    // Go, and so Ollama, reads what is no UTF-8 as U+FFFD.
    frame::object(&String::from_utf8_lossy(data))
}

fn refused(pair: Pair, error: &Error) {
    assert!(!pair.same(), "nothing is refused in the same dialect: {error}");
    match error {
        Error::BadRequest(_) | Error::Untranslatable { .. } | Error::Unsupported(_) => {}
        other => panic!("a request cannot fail so: {other:?}"),
    }
    assert!(
        error.status().is_client_error() || matches!(error, Error::Unsupported(_)),
        "{error:?}"
    );
    let words = error.to_string();
    assert!(!words.is_empty() && words.len() < 8192, "few words: {words}");
}

/// The same dialect: nothing is changed but that usage is asked for.
fn passed(pair: Pair, body: &Bytes, out: &Outgoing) {
    assert_eq!(out.strip_usage, out.body != body);
    assert_eq!(out.operation, pair.operation);
    assert!(out.dropped.is_empty());
    if !out.strip_usage {
        return;
    }
    // Half a surrogate pair is none of this reader's.
    let json = |body: &[u8]| serde_json::from_slice::<Value>(body);
    let (Ok(mut before), Ok(mut after)) = (json(body), json(&out.body)) else { return };
    assert_eq!(after["stream_options"]["include_usage"], true);
    for value in [&mut before, &mut after] {
        if let Some(options) = value["stream_options"].as_object_mut() {
            options.remove("include_usage");
        }
        if value["stream_options"].as_object().is_none_or(serde_json::Map::is_empty) {
            value.as_object_mut().expect("an object").remove("stream_options");
        }
    }
    assert_eq!(before, after, "everything else stays");
}

/// Another dialect: the upstream can read it, and reads in it what the client wrote.
fn written(pair: Pair, body: &Bytes, out: &Outgoing) {
    let text = String::from_utf8_lossy(&out.body);
    let fields = serde_json::from_str::<HashMap<String, &RawValue>>(&text);
    let fields = fields.unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(fields.values().all(|value| value.get() != "null"), "a field is null: {text}");
    assert!(pair.upstream.path(out.operation).is_some(), "there is a path for it");
    assert!(out.body.len() <= 64 * body.len() + 4096);

    let asked = pair.client.ask(pair.operation, body).expect("it was asked already");
    let asks = pair.upstream.ask(out.operation, &out.body).expect("ours can be asked");
    let model = |model: &Option<std::sync::Arc<str>>| model.clone().unwrap_or_default();
    assert_eq!(model(&asked.model), model(&asks.model), "the model");
    assert_eq!(asked.stream, asks.stream, "whether it is streamed");

    let first = pair.client.read_request(pair.operation, body).expect("it was read already");
    let second = pair.upstream.read_request(out.operation, &out.body);
    let second = second.unwrap_or_else(|error| panic!("{error} in our own request: {text}"));
    same(&first, &second);
    assert!(out.choices == first.choices || out.choices == 1);

    let back = Pair { client: pair.upstream, upstream: pair.client, operation: out.operation };
    for aim in aims() {
        let Ok(again) = back.request(&out.body, &aim) else { continue };
        let third = pair.client.read_request(again.operation, &again.body);
        let third = third.unwrap_or_else(|error| panic!("{error} on the way back from {text}"));
        same(&first, &third);
    }
}

/// Holds that two requests ask for the same.
fn same(one: &Request, other: &Request) {
    assert_eq!(one.model, other.model, "the model");
    assert_eq!(one.stream, other.stream, "whether it is streamed");
    match (&one.task, &other.task) {
        (Task::Chat(one), Task::Chat(other)) => {
            assert_eq!(one.messages.len(), other.messages.len(), "the messages");
            for (one, other) in one.messages.iter().zip(&other.messages) {
                same_message(one, other);
            }
            let names = |tools: &[unigate::chat::Tool]| {
                tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>()
            };
            // Who may call none is offered none, and who may call some is offered those.
            if matches!(one.tool_choice, None | Some(Choice::Auto)) {
                assert_eq!(names(&one.tools), names(&other.tools), "the tools");
                assert_eq!(one.format.is_some(), other.format.is_some(), "the format");
            }
        }
        (Task::Complete(one), Task::Complete(other)) => {
            assert_eq!((&one.prompt, &one.suffix), (&other.prompt, &other.suffix));
        }
        // A plain prompt becomes a conversation where nothing else has a template.
        (Task::Complete(one), Task::Chat(other)) => {
            let last = other.messages.last().expect("the prompt is a message");
            assert_eq!((&*one.prompt, "user"), (&*last.text(), &*last.role));
            assert_eq!(one.media.len(), last.media().count(), "the pictures");
            let system = other.messages.len() == 2;
            assert_eq!(one.system.is_some(), system, "the system message");
        }
        (Task::Embed(one), Task::Embed(other)) => assert_eq!(one.input, other.input),
        (one, other) => panic!("{one:?} has become {other:?}"),
    }
}

fn same_message(one: &Message, other: &Message) {
    let role = |message: &Message| message.role.replace("developer", "system");
    assert_eq!((role(one), one.text()), (role(other), other.text()));
    let media =
        |message: &Message| message.media().map(|media| media.source.clone()).collect::<Vec<_>>();
    assert_eq!(media(one), media(other), "the pictures");
    assert_eq!(one.calls.len(), other.calls.len(), "the calls");
    for (one, other) in one.calls.iter().zip(&other.calls) {
        assert_eq!(one.name, other.name);
        assert_eq!(arguments(&one.arguments), arguments(&other.arguments));
        assert!(one.id.is_none() || one.id == other.id, "{one:?} {other:?}");
    }
    // Nobody else's message answers a call.
    let answers = one.role == "tool" && one.call_id.is_some();
    assert!(!answers || one.call_id == other.call_id, "which call it answers");
}
