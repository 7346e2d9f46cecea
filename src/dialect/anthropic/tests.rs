use super::*;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn its_paths_are_its_own() {
    let of = |method: Method, path: &str| ANTHROPIC.operation(&method, path);
    assert_eq!(of(Method::POST, "/v1/messages"), Some(Operation::Chat));
    assert_eq!(of(Method::POST, "/v1/messages/count_tokens"), Some(Operation::Count));
    assert_eq!(of(Method::GET, "/v1/messages/batches"), Some(Operation::Other));
    assert_eq!(of(Method::POST, "/v1/chat/completions"), None);
    assert_eq!(of(Method::GET, "/v1/models/"), None);
    assert_eq!(of(Method::POST, "/api/chat"), None);
}

#[test]
fn what_is_asked_is_read_in_one_pass() {
    let ask = |body: &str| ANTHROPIC.ask(Operation::Chat, body.as_bytes());
    let found = ask(r#"{"model":"claude-x","stream":true}"#).unwrap();
    assert_eq!((found.model.as_deref(), found.stream), (Some("claude-x"), true));
    assert!(!ask(r#"{"model":"m"}"#).unwrap().stream);
    assert_eq!(ask("{}").unwrap_err().to_string(), "model: Field required");
    assert!(ask(r#"{"model":"a","Model":"b"}"#).is_err());
    // A count is never streamed.
    let count = ANTHROPIC.ask(Operation::Count, br#"{"model":"m","stream":true}"#).unwrap();
    assert!(!count.stream);
    assert_eq!(ANTHROPIC.ask(Operation::Other, b"").unwrap(), Ask::default());
}

#[test]
fn the_router_sees_the_newest_words_of_the_user() {
    let prompt = ANTHROPIC.prompt(
        Operation::Chat,
        br#"{"system":[{"type":"text","text":"1234"}],"messages":[
        {"role":"user","content":[{"type":"text","text":"see"},{"type":"image","source":{}},{"type":"text","text":"this"}]},
        {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"12345"}]}],
        "tools":[{"name":"f"}],"thinking":{"type":"adaptive"}}"#,
    );
    assert_eq!((prompt.text.as_str(), prompt.messages), ("see\nthis", 3));
    assert!(prompt.images && prompt.tools && prompt.thinking && !prompt.verbatim);
    // system, said, input, result, tool
    assert_eq!(prompt.bytes, 4 + 7 + 2 + 5 + 12);
    let plain = ANTHROPIC.prompt(
        Operation::Chat,
        br#"{"messages":[{"role":"user","content":"x"}],"thinking":{"type":"disabled"},"output_config":{"effort":"low"}}"#,
    );
    assert!(!plain.thinking && !plain.tools);
    assert_eq!(ANTHROPIC.prompt(Operation::Chat, b"nonsense"), Prompt::default());
}

#[test]
fn no_temperature_gives_the_same_answer_again() {
    let same = |body: &str| ANTHROPIC.deterministic(Operation::Chat, body.as_bytes());
    assert!(same(r#"{"temperature":0.0}"#));
    assert!(!same("{}") && !same(r#"{"temperature":0.1}"#));
}

#[cfg(feature = "gateway")]
#[test]
fn an_estimate_counts_all_text() {
    let count = |body: &str| estimate(body.as_bytes());
    let body = r#"{"system":"12345678","messages":[{"role":"user","content":"123"}]}"#;
    assert_eq!(count(body).unwrap(), r#"{"input_tokens":3}"#);
    let error = count(r#"{"model":"m"}"#).unwrap_err();
    assert_eq!(error.to_string(), "messages: Field required");
}

#[test]
fn errors_say_their_kind_and_the_request() {
    for (error, kind) in [
        (Error::BadRequest("x".into()), "invalid_request_error"),
        (Error::Unauthorized("x".into()), "authentication_error"),
        (Error::Forbidden("x".into()), "permission_error"),
        (Error::ModelNotFound("x".into()), "not_found_error"),
        (Error::TooLarge { limit: 1 }, "request_too_large"),
        (
            Error::Overloaded {
                upstream: "u".into(),
                limit: 1,
                queued: 0,
                waited: Duration::ZERO,
                after: Duration::ZERO,
            },
            "overloaded_error",
        ),
        (Error::Incomplete { upstream: "u".into() }, "api_error"),
        (
            Error::FirstByteTimeout { upstream: "u".into(), waited: std::time::Duration::ZERO },
            "timeout_error",
        ),
    ] {
        let body: Value = serde_json::from_slice(&ANTHROPIC.error(&error, "r1")).unwrap();
        let expected = json!({"type":"error","request_id":"r1",
            "error":{"type":kind,"message":error.to_string()}});
        assert_eq!(body, expected);
    }
    let event = ANTHROPIC.error_event(&Error::Internal("x\n\ny".into()));
    let event = std::str::from_utf8(&event).unwrap();
    assert!(event.starts_with("event: error\ndata: {\"type\":\"error\""), "{event}");
    assert_eq!(event.matches("\n\n").count(), 1);
    let own = ANTHROPIC.write_error(StatusCode::from_u16(529).unwrap(), "m", None);
    let (message, code) = ANTHROPIC.read_error(StatusCode::OK, &own);
    assert_eq!((message.as_str(), code), ("m", None));
}

#[test]
fn golden_76_lists_have_one_page() {
    assert_eq!(
        ANTHROPIC.write_models(&[]),
        r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
    );
    let model = |name: &str| chat::Model { name: name.into(), ..chat::Model::default() };
    let list = ANTHROPIC.write_models(&[model("a"), model("b")]);
    let list_: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!((&list_["first_id"], &list_["last_id"]), (&json!("a"), &json!("b")));
    assert_eq!(
        ANTHROPIC.write_model(&chat::Model { context: 9, modified_s: 1, ..model("a") }),
        r#"{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:01.000Z","lifecycle":"active","max_input_tokens":9}"#
    );
    let again = ANTHROPIC.read_models(&list).unwrap();
    assert_eq!((again.len(), again[1].name.as_str()), (2, "b"));
    assert!(ANTHROPIC.read_models(br#"{"error":{}}"#).is_err());
}

fn read(events: &[Value]) -> Vec<chat::Delta> {
    let mut reader = ANTHROPIC.reader(Operation::Chat);
    let mut out = Vec::new();
    for event in events {
        reader.read(event.to_string().as_bytes(), &mut out);
    }
    reader.end(&mut out);
    out
}

#[test]
fn a_stream_without_a_message_is_no_answer() {
    let deltas = read(&[json!({"type":"message_stop"})]);
    assert!(matches!(&deltas[..], [chat::Delta::Error(_)]));
    assert_eq!(read(&[json!({"type":"ping"}), json!({"type":"message_start","message":{}})]), []);
}

#[test]
fn only_one_seal_is_told_because_only_one_text_is() {
    let thought = |index: u64| {
        [
            json!({"type":"content_block_start","index":index,"content_block":{"type":"thinking","thinking":""}}),
            json!({"type":"content_block_delta","index":index,"delta":{"type":"thinking_delta","thinking":"t"}}),
            json!({"type":"content_block_delta","index":index,"delta":{"type":"signature_delta","signature":format!("s{index}")}}),
            json!({"type":"content_block_stop","index":index}),
        ]
    };
    let deltas = read(&[thought(0), thought(1)].concat());
    let seals = deltas.iter().filter(|delta| matches!(delta, chat::Delta::Signature(_)));
    assert_eq!(seals.count(), 1);
}

#[test]
fn later_counts_stand_in_place_of_earlier_ones() {
    let deltas = read(&[
        json!({"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}),
        json!({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9,"cache_creation_input_tokens":1}}),
    ]);
    let Some(chat::Delta::Usage(usage)) = deltas.last() else { panic!("{deltas:?}") };
    assert_eq!((usage.prompt, usage.completion), (Some(8), Some(9)));
    assert_eq!((usage.cached, usage.written), (Some(2), Some(1)));
}

#[test]
fn what_waits_for_its_turn_has_a_bound() {
    let reply = Reply::new("id".into(), 0, "m".into());
    let mut writer = ANTHROPIC.writer(Operation::Chat, &reply);
    let mut out = bytes::BytesMut::new();
    let piece = |arguments: String| {
        chat::Delta::Tool(chat::Piece {
            name: Some("f".into()),
            arguments,
            ..chat::Piece::default()
        })
    };
    writer.write(piece("{".into()), 0, &mut out).unwrap();
    let much = "x".repeat(1 << 20);
    let written = (0..9).try_for_each(|_| {
        out.clear();
        writer.write(chat::Delta::Text(much.clone()), 0, &mut out)
    });
    assert!(written.unwrap_err().contains("more than"));
}
