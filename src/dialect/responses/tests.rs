use super::*;
use serde_json::{Value, json};

fn fixture(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/responses/");
    std::fs::read(format!("{root}{path}")).unwrap()
}

fn data(stream: &[u8]) -> Vec<Bytes> {
    let lines = std::str::from_utf8(stream).unwrap().lines();
    lines
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| data.to_owned().into())
        .collect()
}

#[test]
fn only_the_making_of_an_answer_is_its_own() {
    let post = Method::POST;
    assert_eq!(RESPONSES.operation(&post, "/v1/responses"), Some(Operation::Chat));
    for (method, path) in [
        (Method::GET, "/v1/responses"),
        (Method::GET, "/v1/responses/resp_1"),
        (Method::DELETE, "/v1/responses/resp_1"),
        (Method::POST, "/v1/responses/resp_1/cancel"),
        (Method::POST, "/v1/responses/"),
        (Method::POST, "/v1/chat/completions"),
    ] {
        assert_eq!(RESPONSES.operation(&method, path), None, "{method} {path}");
    }
    assert_eq!(RESPONSES.path(Operation::Chat), Some("/v1/responses"));
    assert_eq!(RESPONSES.path(Operation::Embed), None);
}

#[test]
fn a_model_is_asked_for_unless_a_template_names_it() {
    let ask = |body: &str| RESPONSES.ask(Operation::Chat, body.as_bytes());
    assert!(!ask(r#"{"model":"m","input":"x"}"#).unwrap().stream);
    assert!(ask(r#"{"model":"m","stream":true}"#).unwrap().stream);
    assert_eq!(ask(r#"{"input":"x"}"#).unwrap_err().to_string(), "model is required");
    assert_eq!(ask(r#"{"prompt":{"id":"p"}}"#).unwrap().model, None);
}

#[test]
fn the_router_sees_the_newest_words_of_the_user() {
    let prompt = RESPONSES.prompt(
        Operation::Chat,
        br#"{"instructions":"abc","input":[
        {"role":"user","content":[{"type":"input_text","text":"see"},
            {"type":"input_image","image_url":"x"},{"type":"input_text","text":"this"}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":"no"}],
        "tools":[{}],"reasoning":{"effort":"low"}}"#,
    );
    assert_eq!((prompt.text.as_str(), prompt.messages, prompt.bytes), ("see\nthis", 3, 17));
    assert!(prompt.images && prompt.tools && prompt.thinking && !prompt.verbatim);
    let prompt = RESPONSES.prompt(Operation::Chat, br#"{"input":"hi"}"#);
    assert_eq!((prompt.text.as_str(), prompt.messages), ("hi", 1));
}

#[test]
fn what_changes_something_upstream_is_told_from_a_question() {
    for (body, acts) in [
        (r#"{"model":"m","input":"x"}"#, false),
        (r#"{"model":"m","input":"x","conversation":"c"}"#, true),
        (r#"{"model":"m","input":"x","background":true}"#, true),
        (r#"{"model":"m","input":"x","background":false,"conversation":null}"#, false),
    ] {
        assert_eq!(RESPONSES.acts(Operation::Chat, body.as_bytes()), acts, "{body}");
    }
    assert!(RESPONSES.deterministic(Operation::Chat, br#"{"temperature":0}"#));
    assert!(!RESPONSES.deterministic(Operation::Chat, b"{}"));
}

#[test]
fn a_kept_stream_is_its_last_event_and_comes_back_as_itself() {
    for path in ["chat.sse", "reasoning.sse", "tools.sse", "incomplete.sse", "search.sse"] {
        let reply = Reply::new("id".into(), 0, "m".into());
        let stream = fixture(path);
        let events = data(&stream);
        let whole = RESPONSES.unstream(Operation::Chat, &events, &reply).unwrap();
        let last: Value = serde_json::from_slice(events.last().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), last["response"], "{path}");
        let again = RESPONSES.restream(Operation::Chat, &whole, &reply).unwrap();
        let told = data(&again);
        for (number, event) in told.iter().enumerate() {
            let event: Value = serde_json::from_slice(event).unwrap();
            assert_eq!(event["sequence_number"], number);
        }
        assert_eq!(RESPONSES.unstream(Operation::Chat, &told, &reply).unwrap(), whole, "{path}");
        // Whoever reads both hears the same.
        let said = |events: &[Bytes]| {
            let mut reader = RESPONSES.reader(Operation::Chat);
            let (mut deltas, mut said) = (Vec::new(), chat::Said::default());
            events.iter().for_each(|event| reader.read(event, &mut deltas));
            deltas.into_iter().for_each(|delta| said.add(delta));
            said
        };
        let (mut first, mut second) = (said(&events), said(&told));
        // The bytes of a token are told in the whole only.
        first.tokens.clear();
        second.tokens.clear();
        assert_eq!(first, second, "{path}");
    }
}

#[test]
fn a_stream_that_does_not_end_well_has_no_other_form() {
    let reply = Reply::new("id".into(), 0, "m".into());
    for path in ["error_after_content.sse", "failed.sse"] {
        let events = data(&fixture(path));
        assert!(RESPONSES.unstream(Operation::Chat, &events, &reply).is_none(), "{path}");
    }
    let other = r#"{"type":"response.completed","response":{"object":"x","output":[]}}"#;
    assert!(RESPONSES.unstream(Operation::Chat, &[other.into()], &reply).is_none());
    let failed = br#"{"object":"response","status":"failed","output":[]}"#;
    assert!(RESPONSES.restream(Operation::Chat, failed, &reply).is_none());
}

#[test]
fn an_error_says_the_same_in_both_places() {
    let error = Error::Reported { upstream: "u".into(), message: "a\n\nb".into() };
    let event = RESPONSES.error_event(&error);
    let text = std::str::from_utf8(&event).unwrap();
    assert!(text.starts_with("event: error\ndata: {") && text.ends_with("}\n\n"));
    assert_eq!(text.matches('\n').count(), 3);
    let data: Value =
        serde_json::from_str(text.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&data["type"], &data["sequence_number"]), (&json!("error"), &json!(0)));
    assert_eq!(data["message"], data["error"]["message"]);
}

#[test]
fn what_came_in_pieces_is_not_said_again_by_the_end() {
    let whole = r#"{"status":"completed","output":[{"type":"reasoning","encrypted_content":"unigate.signature.s"},
        {"type":"message","content":[{"type":"output_text","text":"",
        "logprobs":[{"token":"a","logprob":-0.1}]}]}]}"#;
    let seal = "unigate.signature.s";
    let events = [
        format!(
            r#"{{"type":"response.output_item.done","output_index":0,
            "item":{{"type":"reasoning","encrypted_content":"{seal}"}}}}"#
        ),
        r#"{"type":"response.output_text.delta","output_index":1,"delta":"",
            "logprobs":[{"token":"a","logprob":-0.1}]}"#
            .to_owned(),
        format!(r#"{{"type":"response.completed","response":{whole}}}"#),
    ];
    let mut reader = RESPONSES.reader(Operation::Chat);
    let (mut deltas, mut said) = (Vec::new(), chat::Said::default());
    events.iter().for_each(|event| reader.read(event.as_bytes(), &mut deltas));
    deltas.into_iter().for_each(|delta| said.add(delta));
    assert_eq!((said.tokens.len(), &*said.signature), (1, "s"));
}
