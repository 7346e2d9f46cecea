//! An Ollama client in front of OpenAI: golden cases 45 to 64 and 67.

mod requests;

use super::*;
use serde_json::json;

fn stream(operation: Operation, events: &[u8]) -> (Vec<Value>, State) {
    let (out, state) = through(ollama_front(operation), false, events);
    (lines(&out), state)
}

fn chat(path: &str) -> (Vec<Value>, State) {
    stream(Operation::Chat, &fixture(path))
}

fn text(line: &Value) -> &str {
    line["message"]["content"].as_str().unwrap()
}

fn whole(operation: Operation, body: &str) -> Result<Value, Error> {
    let body = Bytes::from(body.to_owned());
    let (out, _) = ollama_front(operation).answer(&name(), &body, &reply(false), NOW)?;
    Ok(serde_json::from_slice(&out).unwrap())
}

#[test]
fn golden_46_only_what_says_something_is_a_line() {
    let (lines, state) = chat("openai/chat.sse");
    assert_eq!(lines.len(), 3);
    assert_eq!((text(&lines[0]), text(&lines[1])), ("He", "llo 🦙"));
    assert_eq!(lines[0]["done"], false);
    assert_eq!(lines[0]["model"], "asked");
    assert_eq!(lines[0]["message"]["role"], "assistant");
    assert_eq!(lines[0]["created_at"], "2026-07-25T17:20:02.000Z");
    let last = &lines[2];
    assert_eq!(last["message"], json!({"role":"assistant","content":""}));
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
    assert_eq!((&last["prompt_eval_count"], &last["eval_count"]), (&json!(3), &json!(2)));
    assert_eq!(last["total_duration"], 2_000_000_000);
    assert!(last["eval_duration"].as_u64().unwrap() >= 1);
    assert!(state.finished && state.meaningful);
}

#[test]
fn golden_45_exactly_one_line_is_the_last() {
    for path in ["openai/chat.sse", "openai/tools.sse", "openai/two_choices.sse"] {
        let (lines, _) = chat(path);
        let done: Vec<_> = lines.iter().map(|line| line["done"] == true).collect();
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{path}");
        assert_eq!(done.last(), Some(&true), "{path}");
        assert!(lines.iter().all(|line| line.get("error").is_none()));
    }
}

#[test]
fn golden_47_pieces_of_calls_become_one_line() {
    let (lines, _) = chat("openai/tools.sse");
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0]["message"]["tool_calls"],
        json!([
            {"id":"call_a","function":{"index":0,"name":"weather","arguments":{"city":"Paris"}}},
            {"id":"call_b","function":{"index":1,"name":"clock","arguments":{}}}
        ])
    );
    assert_eq!(lines[0]["done"], false);
    assert_eq!(lines[1]["done_reason"], "stop");
    assert!(lines[1]["message"].get("tool_calls").is_none());
}

fn call(arguments: &str, finish: &str) -> (Vec<Value>, State) {
    let first = json!({"choices":[{"index":0,"delta":{"tool_calls":[
        {"index":0,"id":"c","function":{"name":"f","arguments":arguments}}]}}]});
    let last = json!({"choices":[{"index":0,"delta":{},"finish_reason":finish}]});
    let events = format!("data: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n");
    stream(Operation::Chat, events.as_bytes())
}

#[test]
fn golden_48_arguments_that_are_no_object_are_an_error_unless_they_were_cut_off() {
    assert_eq!(
        call("", "stop").0[0]["message"]["tool_calls"][0]["function"]["arguments"],
        json!({})
    );
    let (lines, state) = call("{\"a\":", "tool_calls");
    assert_eq!(lines, [json!({"error":"upstream returned invalid tool call arguments for \"f\""})]);
    assert!(state.fault.is_some() && !state.finished);
    let (lines, state) = call("{\"a\":", "length");
    assert_eq!((lines.len(), &lines[0]["done_reason"]), (1, &json!("length")));
    assert!(state.finished);
}

#[test]
fn golden_49_odd_framing_gives_the_same_lines() {
    let said =
        |path: &str| chat(path).0.iter().map(|line| text(line).to_owned()).collect::<Vec<_>>();
    assert_eq!(said("openai/odd_framing.sse"), said("openai/chat.sse"));
}

#[test]
fn golden_50_51_52_errors_inside_a_stream_are_a_line_with_words() {
    for (path, words, before) in [
        ("openai/error_after_content.sse", "bad", 1),
        ("openai/bare_error.sse", "ctx", 1),
        ("openai/error_beside_choices.sse", "Provider disconnected", 0),
    ] {
        let (lines, state) = chat(path);
        assert_eq!(lines.len(), before + 1, "{path}");
        assert_eq!(lines[before], json!({"error": words}));
        assert_eq!((state.meaningful, state.finished), (before > 0, false));
        assert_eq!(state.fault.as_deref(), Some(words));
    }
    let named = b"event: error\ndata: {\"message\":\"named\"}\n\n";
    assert_eq!(stream(Operation::Chat, named).0, [json!({"error":"named"})]);
    let groq = br#"data: {"x_groq":{"error":"slow"},"choices":[]}"#;
    assert_eq!(stream(Operation::Chat, groq).0, [json!({"error":"slow"})]);
}

#[test]
fn golden_53_an_early_end_is_an_error_and_a_missing_done_is_not() {
    let events = fixture("openai/chat.sse");
    let all = String::from_utf8(events).unwrap();
    let frames: Vec<_> = all.split_inclusive("\n\n").collect();
    let (lines, state) = stream(Operation::Chat, frames[..3].concat().as_bytes());
    assert_eq!(lines[2], json!({"error":"up ended its answer before it was complete"}));
    assert!(!state.finished);
    let (lines, state) = stream(Operation::Chat, frames[..4].concat().as_bytes());
    assert_eq!(lines[2]["done"], true);
    assert!(state.finished && state.fault.is_none());
    let (_, state) = stream(Operation::Chat, b"data: [DONE]\n\n");
    assert!(state.fault.is_some(), "an end without an answer");
}

#[test]
fn a_stream_that_hangs_behind_its_finish_is_whole() {
    let events = String::from_utf8(fixture("openai/chat.sse")).unwrap();
    let mut flow = ollama_front(Operation::Chat).flow(&reply(false), false);
    let end = events.find("data: [DONE]").unwrap();
    flow.feed(Bytes::from(events[..end].to_owned()), NOW);
    assert!(!flow.state().finished);
    let waited = std::time::Duration::from_secs(2);
    let out = flow.fail(&Error::Idle { upstream: name(), waited });
    assert!(std::str::from_utf8(&out).unwrap().contains("\"done\":true"));
    assert!(flow.state().finished && flow.state().fault.is_none());
}

#[test]
fn golden_54_and_55_azure_and_doubled_reasoning() {
    let (lines, state) = chat("openai/azure.sse");
    assert_eq!((lines.len(), text(&lines[0])), (2, "Hello 🦙"));
    let counted = Usage { prompt: Some(3), completion: Some(2), ..Usage::default() };
    assert_eq!(state.usage, counted);
    let (lines, _) = chat("openai/reasoning.sse");
    assert_eq!(lines[0]["message"]["thinking"], "x");
    assert_eq!(text(&lines[1]), "y");
    assert_eq!(lines[2]["done_reason"], "length");
}

#[test]
fn golden_56_line_separators_are_escaped() {
    let chunk = json!({"choices":[{"index":0,"delta":{"content":"a\u{85}b\u{2028}c"},"finish_reason":"stop"}]});
    let (out, _) =
        through(ollama_front(Operation::Chat), false, format!("data: {chunk}\n\n").as_bytes());
    assert!(out.contains("a\\u0085b\\u2028c"), "{out}");
    assert_eq!(text(&lines(&out)[0]), "a\u{85}b\u{2028}c");
}

#[test]
fn what_providers_do_differently_is_read() {
    for (delta, expected) in [
        (json!({"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}), json!("ab")),
        (json!({"content":null,"refusal":"no"}), json!("no")),
    ] {
        let chunk = json!({"choices":[{"delta":delta,"finish_reason":"stop"}],"usage":{"prompt_tokens":1.0}});
        let (lines, state) = stream(Operation::Chat, format!("data:{chunk}\n\n").as_bytes());
        assert_eq!(lines[0]["message"]["content"], expected);
        assert_eq!(state.usage.prompt, Some(1));
    }
    let chunk = json!({"choices":[{"delta":{"tool_calls":[
        {"id":7,"function":{"name":"f","arguments":{"a":1}}},
        {"id":"x","function":{"name":"g","arguments":null}}]},"finish_reason":"stop"}]});
    let (lines, _) = stream(Operation::Chat, format!("data: {chunk}\n\n").as_bytes());
    assert_eq!(
        lines[0]["message"]["tool_calls"],
        json!([{"id":"7","function":{"index":0,"name":"f","arguments":{"a":1}}},
            {"id":"x","function":{"index":1,"name":"g","arguments":{}}}])
    );
}

#[test]
fn calls_are_counted_as_they_come_and_none_is_made_up() {
    let chunk = json!({"choices":[{"delta":{"tool_calls":[
        {"index":1000,"id":"a","function":{"name":"f","arguments":"{}"}},
        {"index":1,"id":"b","function":{"name":"g"}},
        {"index":1000,"function":{"arguments":""}}]},"finish_reason":"tool_calls"}]});
    let (lines, _) =
        stream(Operation::Chat, format!("data: {chunk}\n\ndata: [DONE]\n\n").as_bytes());
    let calls = lines[0]["message"]["tool_calls"].as_array().unwrap();
    let names: Vec<_> = calls.iter().map(|call| &call["function"]["name"]).collect();
    assert_eq!(names, ["f", "g"]);
}

#[test]
fn half_an_emoji_does_not_break_an_answer() {
    let events = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\\ud83d\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"\xf0\x9fb\"},\"finish_reason\":\"stop\"}]}\n\n";
    let (lines, state) = stream(Operation::Chat, events);
    assert_eq!((text(&lines[0]), text(&lines[1])), ("a\u{fffd}", "\u{fffd}b"));
    assert!(state.finished);
}

#[test]
fn a_completion_is_a_generation_and_so_is_a_chat() {
    for path in ["openai/completion.sse", "openai/chat.sse"] {
        let (lines, _) = stream(Operation::Generate, &fixture(path));
        assert_eq!(lines.len(), 3);
        assert!(lines[0]["response"].is_string() && lines[0].get("message").is_none());
        assert_eq!((&lines[2]["response"], &lines[2]["done"]), (&json!(""), &json!(true)));
    }
    let (lines, _) = stream(Operation::Generate, &fixture("openai/tools.sse"));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["tool_calls"][0]["function"]["name"], "weather");
}

#[test]
fn golden_62_errors_are_strings_and_our_key_is_our_fault() {
    let pair = ollama_front(Operation::Chat);
    let (status, body) = pair.error(
        StatusCode::TOO_MANY_REQUESTS,
        br#"{"error":{"message":"slow down","type":"rate_limit_error","code":null}}"#,
    );
    assert_eq!((status.as_u16(), &body[..]), (429, &br#"{"error":"slow down"}"#[..]));
    let (status, body) =
        pair.error(StatusCode::UNAUTHORIZED, br#"{"error":{"message":"bad key"}}"#);
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["error"].is_string());
}

#[test]
fn golden_63_blank_lines_before_a_body_are_nothing() {
    let value = whole(
        Operation::Chat,
        "\n\n\n{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\
         \"reasoning_content\":\"T\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\
         \"function\":{\"name\":\"f\",\"arguments\":\"{ \\\"a\\\": 1 }\"}}]},\
         \"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}",
    )
    .unwrap();
    assert_eq!(
        value["message"],
        json!({"role":"assistant","content":"","thinking":"T","tool_calls":
            [{"id":"c","function":{"index":0,"name":"f","arguments":{"a":1}}}]})
    );
    assert_eq!((&value["done"], &value["done_reason"]), (&json!(true), &json!("stop")));
    assert_eq!((&value["prompt_eval_count"], &value["eval_count"]), (&json!(3), &json!(2)));
}

#[test]
fn an_unstreamed_answer_without_its_end_is_an_error() {
    let error = |body: &str| whole(Operation::Chat, body).unwrap_err();
    let cut = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":null}]}"#;
    assert!(matches!(error(cut), Error::Incomplete { .. }));
    assert!(matches!(error(r#"{"error":{"message":"bad"}}"#), Error::Reported { .. }));
    assert!(matches!(error(r#"{"choices":[]}"#), Error::NotUnderstood { .. }));
    assert!(matches!(error("<html>"), Error::NotUnderstood { .. }));
}

#[test]
fn golden_64_a_whole_answer_to_a_stream_is_two_lines() {
    let body = Bytes::from_static(
        br#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#,
    );
    let pair = ollama_front(Operation::Chat);
    let (out, state) = pair.whole_as_stream(&name(), &body, &reply(false), NOW).unwrap();
    let lines = lines(std::str::from_utf8(&out).unwrap());
    assert_eq!((lines.len(), text(&lines[0])), (2, "x"));
    assert!(state.finished);
}

#[test]
fn golden_67_vectors_come_in_the_order_of_the_texts() {
    let body = r#"{"object":"list","data":[{"index":1,"embedding":[2.50]},
        {"index":0,"embedding":"zczMPc3MTL6amZk+"}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let value = whole(Operation::Embed, body).unwrap();
    assert_eq!(value["embeddings"][1], json!([2.5]));
    assert_eq!(value["embeddings"][0].as_array().unwrap().len(), 3);
    assert_eq!(value["prompt_eval_count"], 4);
    let one = r#"{"data":[{"embedding":[0.5,1]}]}"#;
    assert_eq!(whole(Operation::EmbedOne, one).unwrap(), json!({"embedding":[0.5,1]}));
}
