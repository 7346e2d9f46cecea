use super::*;
use crate::{
    chat::Effort,
    dialect::{Switch, Thinking},
};

/// An upstream that takes whatever there is.
fn full() -> Quirks {
    let efforts = &[Effort::Low, Effort::Medium, Effort::High];
    Quirks {
        max_completion_tokens: true,
        takes: &["top_k", "min_p", "repetition_penalty"],
        thinking: Thinking { efforts, switch: Switch::Effort, ..Thinking::default() },
        ..Quirks::default()
    }
}

fn outgoing(operation: Operation, quirks: Quirks, body: &str) -> (Value, Outgoing) {
    let out = ollama_front(operation)
        .request(&Bytes::from(body.to_owned()), &Aim { quirks, ..Aim::default() })
        .unwrap();
    (serde_json::from_slice(&out.body).unwrap(), out)
}

fn to_chat(body: &str) -> Value {
    outgoing(Operation::Chat, Quirks::default(), body).0
}

fn with(extra: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{extra}}}"#)
}

#[test]
fn golden_45_a_chat_streams_unless_told_otherwise_and_asks_for_usage() {
    let value = to_chat(r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    assert_eq!(
        value,
        json!({"model":"m","messages":[{"role":"user","content":"hi"}],
            "stream":true,"stream_options":{"include_usage":true}})
    );
    let value = to_chat(&with(r#""stream":false"#));
    assert_eq!(value["stream"], false);
    assert!(value.get("stream_options").is_none());
}

#[test]
fn keys_in_another_case_are_read_as_go_reads_them() {
    let value = to_chat(r#"{"model":"m","Messages":[{"Role":"USER","content":"hi"}]}"#);
    assert_eq!(value["messages"], json!([{"role":"user","content":"hi"}]));
}

#[test]
fn golden_57_results_are_paired_with_their_calls() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"q"},
        {"role":"assistant","content":"","tool_calls":[
            {"function":{"name":"f","arguments":{"b":1,"a":2}}},{"function":{"name":"g","arguments":{}}}]},
        {"role":"tool","tool_name":"g","content":"G"},{"role":"tool","tool_name":"f","content":"F"}]}"#;
    let messages = to_chat(body)["messages"].clone();
    let calls = &messages[1]["tool_calls"];
    assert_eq!(messages[1]["content"], Value::Null);
    assert_eq!(calls[0]["function"]["arguments"], "{\"b\":1,\"a\":2}");
    assert_eq!(messages[2]["tool_call_id"], calls[1]["id"]);
    assert_eq!(messages[3]["tool_call_id"], calls[0]["id"]);
    let id = calls[0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
    assert_eq!(to_chat(body)["messages"], messages, "the same ids on the next turn");
    let alone = r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#;
    assert_eq!(
        refused(ollama_front(Operation::Chat), alone),
        "tool message without matching tool call"
    );
}

#[test]
fn golden_58_limits_and_stops() {
    let limit = |quirks, count: &str| {
        let body = with(&format!(r#""options":{{"num_predict":{count}}}"#));
        outgoing(Operation::Chat, quirks, &body).0
    };
    for none in ["-1", "0", "-2", "null"] {
        let value = limit(full(), none);
        assert!(value.get("max_tokens").is_none() && value.get("max_completion_tokens").is_none());
    }
    assert_eq!(limit(full(), "50")["max_completion_tokens"], 50);
    assert_eq!(limit(Quirks::default(), "50")["max_tokens"], 50);
    assert_eq!(to_chat(&with(r#""options":{"stop":"x"}"#))["stop"], json!(["x"]));
    assert_eq!(to_chat(&with(r#""options":{"stop":["x","y"]}"#))["stop"], json!(["x", "y"]));
    assert!(to_chat(&with(r#""options":{"stop":[]}"#)).get("stop").is_none());
}

#[test]
fn options_that_openai_has_are_told_and_the_others_named_where_they_matter() {
    let body = with(
        r#""keep_alive":"5m","options":{"temperature":3,"top_p":0.9,"seed":-1,"top_k":40,"min_p":0.1,
        "repeat_penalty":1.1,"presence_penalty":1,"frequency_penalty":0,"num_ctx":4096,"mirostat":1}"#,
    );
    let (value, out) = outgoing(Operation::Chat, Quirks::default(), &body);
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "frequency_penalty",
            "messages",
            "model",
            "presence_penalty",
            "stream",
            "stream_options",
            "temperature",
            "top_p"
        ]
    );
    assert_eq!(value["temperature"], 2);
    assert_eq!(out.dropped, ["top_k", "min_p", "repeat_penalty"]);
    let (value, out) = outgoing(Operation::Chat, full(), &body);
    assert_eq!((&value["top_k"], &value["repetition_penalty"]), (&json!(40), &json!(1.1)));
    assert!(out.dropped.is_empty());
}

#[test]
fn golden_59_pictures_and_sounds_become_parts() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"see","images":["iVBORw0KGgo=","UklGRiQAAABXQVZFZm10IA=="]}]}"#;
    assert_eq!(
        to_chat(body)["messages"][0]["content"],
        json!([{"type":"text","text":"see"},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}},
            {"type":"input_audio","input_audio":{"data":"UklGRiQAAABXQVZFZm10IA==","format":"wav"}}])
    );
    let body = r#"{"model":"m","messages":[{"role":"user","content":"","images":["data:image/png;base64,iVBORw0KGgo="]}]}"#;
    assert!(refused(ollama_front(Operation::Chat), body).contains("messages[0].images[0]"));
    let text = r#"{"model":"m","messages":[{"role":"user","content":"","images":["aGVsbG8="]}]}"#;
    assert!(refused(ollama_front(Operation::Chat), text).contains("must be a PNG"));
}

#[test]
fn golden_61_think_becomes_an_effort() {
    let effort = |think: &str| {
        let (value, out) = outgoing(Operation::Chat, full(), &with(&format!("\"think\":{think}")));
        assert!(out.dropped.is_empty());
        value["reasoning_effort"].clone()
    };
    assert_eq!([effort("true"), effort("false"), effort("\"high\"")], ["medium", "none", "high"]);
    assert_eq!(effort("null"), Value::Null);
    let (value, out) = outgoing(Operation::Chat, Quirks::default(), &with(r#""think":true"#));
    assert!(value.get("reasoning_effort").is_none());
    assert_eq!(out.dropped, ["think"]);
    assert!(refused(ollama_front(Operation::Chat), &with(r#""think":"bogus""#)).contains("think"));
}

#[test]
fn formats_and_tools_are_told() {
    let value = to_chat(&with(
        r#""format":{"type":"object"},"tools":[{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2}}}]"#,
    ));
    assert_eq!(
        value["response_format"],
        json!({"type":"json_schema","json_schema":{"name":"response","schema":{"type":"object"}}})
    );
    assert_eq!(
        value["tools"],
        json!([{"type":"function","function":{"name":"f","parameters":{"z":1,"a":2}}}])
    );
    assert_eq!(
        to_chat(&with(r#""format":"json""#))["response_format"],
        json!({"type":"json_object"})
    );
    assert!(to_chat(&with(r#""format":"""#)).get("response_format").is_none());
}

#[test]
fn a_plain_prompt_becomes_a_conversation() {
    let (value, out) = outgoing(
        Operation::Generate,
        Quirks::default(),
        r#"{"model":"m","prompt":"p","system":"s","images":["iVBORw0KGgo="],"stream":false,"context":[1]}"#,
    );
    assert_eq!(out.operation, Operation::Chat);
    assert_eq!(value["messages"][0], json!({"role":"system","content":"s"}));
    assert_eq!(value["messages"][1]["content"][0]["text"], "p");
}

#[test]
fn a_prompt_that_must_stay_one_text_is_a_completion() {
    let (value, out) = outgoing(
        Operation::Generate,
        full(),
        r#"{"model":"m","prompt":"p","suffix":"s","options":{"num_predict":9}}"#,
    );
    assert_eq!(out.operation, Operation::Generate);
    assert_eq!(
        value,
        json!({"model":"m","prompt":"p","suffix":"s","stream":true,
            "stream_options":{"include_usage":true},"max_tokens":9})
    );
    let pair = ollama_front(Operation::Generate);
    for (field, body) in [
        ("template", r#"{"model":"m","prompt":"p","template":"t"}"#),
        ("images", r#"{"model":"m","prompt":"p","raw":true,"images":["iVBORw0KGgo="]}"#),
        ("format", r#"{"model":"m","prompt":"p","raw":true,"format":"json"}"#),
        ("_debug_render_only", r#"{"model":"m","prompt":"p","_debug_render_only":true}"#),
    ] {
        let error = refused(pair, body);
        assert!(error.contains(field) && error.contains("speaks openai"), "{error}");
    }
}

#[test]
fn wrong_types_are_named() {
    for (field, extra) in [
        ("options.temperature must be a number", r#""options":{"temperature":"1"}"#),
        ("options must be an object", r#""options":[]"#),
        ("format must be", r#""format":5"#),
        ("tools[0].function must be an object", r#""tools":[{}]"#),
    ] {
        let error = refused(ollama_front(Operation::Chat), &with(extra));
        assert!(error.contains(field), "{error}");
    }
    let arguments = r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#;
    assert!(
        refused(ollama_front(Operation::Chat), arguments)
            .contains("messages[0].tool_calls[0].function.arguments must be an object")
    );
}

#[test]
fn texts_to_embed_are_asked_for_as_numbers() {
    let (value, out) = outgoing(
        Operation::Embed,
        Quirks::default(),
        r#"{"model":"m","input":["a","b"],"dimensions":8,"truncate":true}"#,
    );
    assert_eq!(
        value,
        json!({"model":"m","input":["a","b"],"dimensions":8,"encoding_format":"float"})
    );
    assert_eq!(out.operation, Operation::Embed);
    let (value, out) =
        outgoing(Operation::EmbedOne, Quirks::default(), r#"{"model":"m","prompt":"a"}"#);
    assert_eq!(value["input"], json!(["a"]));
    assert_eq!(out.operation, Operation::Embed);
}

#[test]
fn a_result_whose_id_no_call_has_finds_one_without_an_id_or_is_refused() {
    let ask = |call: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{{{call}"function":
            {{"name":"f","arguments":{{}}}}}}]}},{{"role":"tool","tool_call_id":"x","content":"1"}}]}}"#
        )
    };
    let value = to_chat(&ask(""));
    let id = &value["messages"][0]["tool_calls"][0]["id"];
    assert_eq!(&value["messages"][1]["tool_call_id"], id);
    let error = refused(ollama_front(Operation::Chat), &ask(r#""id":"y","#));
    assert!(error.contains("tool message without matching tool call"), "{error}");
}

#[test]
fn a_role_that_openai_does_not_know_is_refused_by_name() {
    let body = r#"{"model":"m","messages":[{"role":"control","content":"x"}]}"#;
    let error = refused(ollama_front(Operation::Chat), body);
    assert!(error.contains("messages[0].role") && error.contains("control"), "{error}");
}

#[test]
fn only_an_assistant_calls_tools() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"q"},
        {"role":"user","content":"x","tool_calls":[{"function":{"name":"f","arguments":{}}}]}]}"#;
    let error = refused(ollama_front(Operation::Chat), body);
    assert!(error.contains("messages[1].tool_calls") && error.contains("user"), "{error}");
}

#[test]
fn whole_numbers_lose_what_stands_behind_their_point() {
    let value = to_chat(&with(r#""options":{"num_predict":5.9,"seed":1e3,"top_k":0.5}"#));
    assert_eq!((&value["max_tokens"], &value["seed"]), (&json!(5), &json!(1e3)));
}

#[test]
fn no_text_is_no_embedding() {
    let error = refused(ollama_front(Operation::Embed), r#"{"model":"m"}"#);
    assert!(error.contains("input must not be empty"), "{error}");
}
