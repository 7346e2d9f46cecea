//! Requests: from a client of one dialect to upstreams of all of them, and back.

use crate::{OPERATIONS, ROWS, Row, aims, frame, heard::arguments};
use bytes::Bytes;
use serde_json::{Value, value::RawValue};
use std::collections::HashMap;
use unigate::{
    chat::{Choice, Message, Part, Request, Task},
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
        // Whoever asks for something else than JSON with one model gets no further, and who only wants a model
        // loaded is not translated.
        if client.ask(operation, data).is_err() || client.is_load(operation, data) {
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
    assert!(out.choices == first.choices || out.choices == 1);
    if out.calls_as_text {
        // The model is told how to call, in a message of ours.
        return;
    }
    same(&first, &second);
    let format = |request: &Request| match &request.task {
        Task::Chat(chat) => chat.format.is_some(),
        Task::Complete(completion) => completion.format.is_some(),
        Task::Embed(_) => false,
    };
    let said = out.dropped.iter().any(|name| name.ends_with("format"));
    assert!(said || format(&first) == format(&second), "the format: {:?} {text}", out.dropped);

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
            same_messages(&one.messages, &other.messages);
            let names = |tools: &[unigate::chat::Tool]| {
                tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>()
            };
            // Who may call none is offered none, and who may call some is offered those.
            if matches!(one.tool_choice, None | Some(Choice::Auto)) {
                assert_eq!(names(&one.tools), names(&other.tools), "the tools");
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

fn same_messages(one: &[Message], other: &[Message]) {
    if one.iter().map(role).eq(other.iter().map(role)) {
        // Some allow only these characters, and each id once.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let ids = || one.iter().flat_map(|message| &message.calls).map(|call| call.id.as_deref());
        let kept = |id: &str| {
            id.chars().all(plain) && ids().filter(|known| *known == Some(id)).count() == 1
        };
        one.iter().zip(other).for_each(|(one, other)| same_message(one, other, &kept));
        return;
    }
    // Some join what one says in a row, and put what the system says before everything else.
    let words = |messages: &[Message], roles: &[&str]| {
        let said = messages.iter().filter(|message| roles.contains(&&*role(message)));
        said.map(|message| message.text().split_whitespace().collect::<String>())
            .collect::<String>()
    };
    for roles in [&["system", "user"][..], &["assistant"], &["tool"]] {
        assert_eq!(words(one, roles), words(other, roles), "what {roles:?} said");
    }
    let calls = |messages: &[Message]| {
        let calls = messages.iter().flat_map(|message| message.calls.clone());
        calls.map(|call| (call.name, arguments(&call.arguments))).collect::<Vec<_>>()
    };
    assert_eq!(calls(one), calls(other), "the calls");
    let media = |messages: &[Message]| messages.iter().flat_map(Message::media).count();
    assert_eq!(media(one), media(other), "the pictures");
}

/// Who speaks. To most, developers are the system.
fn role(message: &Message) -> String {
    message.role.replace("developer", "system")
}

/// Whether a part of it says nothing: not everybody takes such parts.
fn blank(message: &Message) -> bool {
    message.content.iter().any(|part| matches!(part, Part::Text(text) if text.trim().is_empty()))
}

/// The lines that say something.
fn filled(message: &Message) -> Vec<String> {
    let text = message.text();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// `kept` says which ids every dialect can say.
fn same_message(one: &Message, other: &Message, kept: &dyn Fn(&str) -> bool) {
    // A mark says that a tool failed, where there is no place for it.
    let (said, heard) = (one.text(), other.text());
    let marked = one.failed && heard.ends_with(&*said);
    let same = marked || said == heard || blank(one) && filled(one) == filled(other);
    assert!(same, "{one:?} {other:?}");
    let media =
        |message: &Message| message.media().map(|media| media.source.clone()).collect::<Vec<_>>();
    assert_eq!(media(one), media(other), "the pictures");
    assert_eq!(one.calls.len(), other.calls.len(), "the calls");
    for (one, other) in one.calls.iter().zip(&other.calls) {
        assert_eq!(one.name, other.name);
        assert_eq!(arguments(&one.arguments), arguments(&other.arguments));
        let same = one.id == other.id || !one.id.as_deref().is_some_and(kept);
        assert!(same, "{one:?} {other:?}");
    }
    // Nobody else's message answers a call.
    let answers = one.role == "tool" && one.call_id.as_deref().is_some_and(kept);
    assert!(!answers || one.call_id == other.call_id, "which call it answers");
}
