//! Upstreams of the Responses API: watched where they are passed on, and read for the others.

use super::*;

fn watched(path: &str) -> (String, State) {
    through(front(&RESPONSES), false, &fixture(path))
}

#[test]
fn what_passes_is_the_very_same_and_its_end_is_seen() {
    for (path, finish, prompt, completion) in [
        ("responses/chat.sse", Finish::Stop, 9, 3),
        ("responses/reasoning.sse", Finish::Stop, 7, 12),
        ("responses/tools.sse", Finish::Tools, 20, 30),
        ("responses/incomplete.sse", Finish::Length, 9, 2),
        ("responses/search.sse", Finish::Stop, 5, 6),
    ] {
        let (out, state) = watched(path);
        assert_eq!(out.as_bytes(), fixture(path), "{path}");
        assert!(state.finished && state.meaningful, "{path}");
        assert_eq!(state.finish, Some(finish), "{path}");
        assert_eq!((state.usage.prompt, state.usage.completion), (Some(prompt), Some(completion)));
    }
    assert_eq!(watched("responses/chat.sse").1.usage.cached, Some(4));
    assert_eq!(watched("responses/reasoning.sse").1.usage.reasoning, Some(12));
}

#[test]
fn a_failure_passes_as_it_came_and_is_a_fault() {
    for path in ["responses/error_after_content.sse", "responses/failed.sse"] {
        let (out, state) = watched(path);
        assert_eq!(out.as_bytes(), fixture(path), "{path}");
        assert_eq!(state.fault.as_deref().map(|words| words.contains("it broke")), Some(true));
        assert!(!state.finished, "{path}");
    }
}

#[test]
fn a_broken_stream_ends_in_an_error_with_the_next_number() {
    let stream = fixture("responses/chat.sse");
    let text = std::str::from_utf8(&stream).unwrap();
    let cut = text.find("event: response.completed").unwrap();
    let (out, state) = through(front(&RESPONSES), false, &stream[..cut]);
    assert!(state.fault.is_some());
    let events = events(&out);
    assert_eq!(events.last().unwrap()["type"], "error");
}

#[test]
fn a_tool_that_runs_upstream_is_a_sign_of_life() {
    let stream = fixture("responses/search.sse");
    let text = std::str::from_utf8(&stream).unwrap();
    let pair = front(&RESPONSES);
    let mut flow = pair.flow(&reply(false), false);
    let at = text.find("event: response.output_item.added").unwrap();
    flow.feed(stream[..at].to_vec().into(), NOW);
    assert!(!flow.state().meaningful);
    flow.feed(stream[at..].to_vec().into(), NOW);
    assert!(flow.state().meaningful);
}

#[test]
fn the_others_hear_text_thinking_calls_and_why_it_ended() {
    let (out, state) = through(before(&OLLAMA), false, &fixture("responses/reasoning.sse"));
    assert!(state.finished, "{out}");
    let lines = lines(&out);
    let thinking: String =
        lines.iter().filter_map(|line| line["message"]["thinking"].as_str()).collect();
    assert_eq!(thinking, "Look up\n\nTwice");
    let (out, _) = through(before(&OLLAMA), false, &fixture("responses/tools.sse"));
    assert!(out.contains("12345678901234567890"));
    let (out, _) = through(before(&OPENAI), true, &fixture("responses/incomplete.sse"));
    assert!(out.contains("\"finish_reason\":\"length\"") && out.ends_with("data: [DONE]\n\n"));
    let (out, _) = through(before(&OPENAI), false, &fixture("responses/search.sse"));
    let text: String = frames(&out)
        .iter()
        .filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "It is so, no more");
}

#[test]
fn a_whole_answer_is_read_like_its_stream() {
    for path in [
        "responses/chat.sse",
        "responses/reasoning.sse",
        "responses/tools.sse",
        "responses/incomplete.sse",
        "responses/search.sse",
    ] {
        let stream = fixture(path);
        let text = std::str::from_utf8(&stream).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
        let last: Value = serde_json::from_str(data).unwrap();
        let body = Bytes::from(last["response"].to_string());
        let (_, whole) = before(&OPENAI).answer(&name(), &body, &reply(false), NOW).unwrap();
        assert_eq!(whole, watched(path).1, "{path}");
        let (same, _) = front(&RESPONSES).answer(&name(), &body, &reply(false), NOW).unwrap();
        assert_eq!(same, body);
    }
}

#[test]
fn what_is_no_whole_answer_is_told() {
    let answer = |body: &str| {
        let body = Bytes::copy_from_slice(body.as_bytes());
        front(&RESPONSES).answer(&name(), &body, &reply(false), NOW)
    };
    let failed = r#"{"object":"response","status":"failed","error":{"code":"server_error","message":"broke"},"output":[]}"#;
    assert!(matches!(answer(failed), Err(Error::Reported { message, .. }) if message == "broke"));
    assert!(matches!(answer(r#"{"error":{"message":"no"}}"#), Err(Error::Reported { .. })));
    assert!(matches!(answer(r#"{"x":1}"#), Err(Error::NotUnderstood { .. })));
    let cancelled = r#"{"object":"response","status":"cancelled","output":[]}"#;
    assert!(matches!(answer(cancelled), Err(Error::Reported { .. })));
    // One that is made in the background is whole as it is.
    let queued = r#"{"object":"response","status":"queued","output":[]}"#;
    assert!(answer(queued).unwrap().1.finished);
}
