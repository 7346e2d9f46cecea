use super::*;

const ALL: [&'static dyn Dialect; 3] = [&OLLAMA, &OPENAI, &ANTHROPIC];

#[test]
fn bytes_of_the_same_dialect_pass_without_a_copy() {
    let paths = ["ollama/chat.ndjson", "openai/chat.sse", "anthropic/chat.sse"];
    for (dialect, path) in ALL.into_iter().zip(paths) {
        let stream = Bytes::from(fixture(path));
        let mut flow = pair(dialect, dialect, Operation::Chat).flow(&reply(false), false);
        for at in (0..stream.len() - 1).step_by(7) {
            let piece = stream.slice(at..(at + 7).min(stream.len() - 1));
            let out = flow.feed(piece.clone(), NOW);
            assert_eq!((out.as_ptr(), out.len()), (piece.as_ptr(), piece.len()));
        }
        assert!(flow.state().meaningful);
    }
}

#[test]
fn golden_1_a_request_of_the_same_dialect_is_untouched() {
    let body = Bytes::from_static(
        b" {\"model\" : \"a\",\n\"x\":1,\"x\":9223372036854775808,\"y\":\"\\u00e9\"} ",
    );
    for dialect in ALL {
        let out = pair(dialect, dialect, Operation::Chat).request(&body, &Aim::default()).unwrap();
        assert_eq!(out.body.as_ptr(), body.as_ptr());
        assert!(!out.strip_usage);
    }
}

#[test]
fn usage_is_asked_for_by_a_splice() {
    let pair = pair(&OPENAI, &OPENAI, Operation::Chat);
    for (body, expected) in [
        (r#"{"stream":true}"#, Some(r#"{"stream_options":{"include_usage":true},"stream":true}"#)),
        (
            r#" { "stream": true, "stream_options": null }"#,
            Some(r#" { "stream": true, "stream_options": {"include_usage":true} }"#),
        ),
        (
            r#"{"stream":true,"stream_options":{}}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ),
        (
            r#"{"stream":true,"stream_options":{"a":1}}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true,"a":1}}"#),
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage": false}}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage": true}}"#),
        ),
        (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, None),
        (r#"{"stream":true,"stream_options":5}"#, None),
        (r#"{"stream":false}"#, None),
        (r"{}", None),
        ("{", None),
    ] {
        let out = pair.request(&Bytes::from(body), &Aim::default()).unwrap();
        assert_eq!(out.strip_usage, expected.is_some(), "{body}");
        assert_eq!(out.body, expected.unwrap_or(body));
    }
}

#[test]
fn the_usage_that_we_asked_for_is_taken_out_and_nothing_else() {
    let stream = fixture("openai/chat.sse");
    let mut flow = pair(&OPENAI, &OPENAI, Operation::Chat).flow(&reply(false), true);
    let out = flow.feed(Bytes::from(stream.clone()), NOW);
    let text = String::from_utf8(stream).unwrap();
    let start = text.find("data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"g\",\"choices\":[],").unwrap();
    let end = text.find("data: [DONE]").unwrap();
    assert_eq!(out, format!("{}{}", &text[..start], &text[end..]));
    let counted = Usage { prompt: Some(3), completion: Some(2), ..Usage::default() };
    assert_eq!(flow.state().usage, counted);
}

#[test]
fn a_comment_does_not_wait_for_the_next_event_when_usage_is_taken_out() {
    let mut flow = pair(&OPENAI, &OPENAI, Operation::Chat).flow(&reply(false), true);
    assert_eq!(flow.feed(Bytes::from_static(b": keep-alive\n\n"), NOW), ": keep-alive\n\n");
    assert_eq!(flow.feed(Bytes::from_static(b"data: {\"ch"), NOW), "");
}

#[test]
fn golden_79_what_follows_the_terminal_does_not_reach_the_client() {
    let stream = [&fixture("ollama/chat.ndjson")[..], b"{\"error\":\"late\"}\n"].concat();
    let mut flow = pair(&OLLAMA, &OLLAMA, Operation::Chat).flow(&reply(false), false);
    assert_eq!(flow.feed(Bytes::from(stream), NOW), fixture("ollama/chat.ndjson"));
    assert_eq!(flow.state().fault, None);
}

#[test]
fn golden_51_a_bare_error_is_told_in_words_that_the_client_can_read() {
    let (out, state) =
        through(pair(&OPENAI, &OPENAI, Operation::Chat), false, &fixture("openai/bare_error.sse"));
    assert!(out.contains(
        "\n\nerror: {\"code\":400,\"message\":\"ctx\"}\n\ndata: {\"error\":{\"message\":\"ctx\""
    ));
    assert!(!out.contains("[DONE]"));
    assert_eq!(state.fault.as_deref(), Some("ctx"));
}

#[test]
fn a_stream_that_breaks_inside_an_event_is_closed_before_the_error_is_told() {
    let mut flow = pair(&OLLAMA, &OLLAMA, Operation::Chat).flow(&reply(false), false);
    flow.feed(Bytes::from_static(b"{\"message\":{\"con"), NOW);
    let out = flow.end(&name(), NOW);
    assert_eq!(out, "\n{\"error\":\"up ended its answer before it was complete\"}\n");
    let mut flow = pair(&OPENAI, &OPENAI, Operation::Chat).flow(&reply(false), false);
    flow.feed(Bytes::from_static(b"data: {\"choi"), NOW);
    let out =
        flow.fail(&Error::Idle { upstream: name(), waited: std::time::Duration::from_secs(60) });
    let out = String::from_utf8(out.to_vec()).unwrap();
    assert!(
        out.starts_with("\n\ndata: {\"error\":{\"message\":\"nothing came from up for 60 s\""),
        "{out}"
    );
    assert!(out.contains("\"code\":\"idle_timeout\""));
}

#[test]
fn a_stream_without_done_is_closed_when_every_choice_has_finished() {
    let stream = fixture("openai/two_choices.sse");
    let stream = stream.strip_suffix(b"data: [DONE]\n\n").unwrap();
    let (out, state) = through(pair(&OPENAI, &OPENAI, Operation::Chat), false, stream);
    assert!(state.finished && state.fault.is_none());
    assert!(out.ends_with("data: [DONE]\n\n"));
    // The last frame is the second choice's end; without it the answer is cut short.
    let shorter = &stream[..stream.len() - 20];
    let (_, state) = through(pair(&OPENAI, &OPENAI, Operation::Chat), false, shorter);
    assert!(state.fault.is_some());
}

#[test]
fn an_unstreamed_answer_of_the_same_dialect_passes_and_says_its_tokens() {
    let body = Bytes::from_static(br#" {"message":{"content":"x"},"done":true,"done_reason":"length","prompt_eval_count":3,"eval_count":1}"#);
    let pair_ = pair(&OLLAMA, &OLLAMA, Operation::Chat);
    let (out, state) = pair_.answer(&name(), &body, &reply(false), NOW).unwrap();
    assert_eq!(out.as_ptr(), body.as_ptr());
    let counted = Usage { prompt: Some(3), completion: Some(1), ..Usage::default() };
    assert_eq!(state.usage, counted);
    assert_eq!((state.finished, state.finish), (true, Some(Finish::Length)));
    let body = Bytes::from_static(br#"{"message":{"content":"x"},"done":false}"#);
    let (_, state) = pair_.answer(&name(), &body, &reply(false), NOW).unwrap();
    assert!(!state.finished);
    let page = Bytes::from_static(b"<html>");
    let error = pair_.answer(&name(), &page, &reply(false), NOW).unwrap_err();
    assert!(matches!(error, Error::NotUnderstood { .. }));
}

#[test]
fn kept_answers_change_their_form_and_back() {
    for (dialect, op, path) in [
        (ALL[0], Operation::Chat, "ollama/chat.ndjson"),
        (ALL[0], Operation::Chat, "ollama/thinking_and_tools.ndjson"),
        (ALL[0], Operation::Generate, "ollama/generate.ndjson"),
        (ALL[1], Operation::Chat, "openai/chat.sse"),
        (ALL[1], Operation::Chat, "openai/tools.sse"),
        (ALL[1], Operation::Chat, "openai/reasoning.sse"),
        (ALL[1], Operation::Chat, "openai/azure.sse"),
        (ALL[1], Operation::Chat, "openai/two_choices.sse"),
        (ALL[1], Operation::Generate, "openai/completion.sse"),
        (ALL[2], Operation::Chat, "anthropic/chat.sse"),
        (ALL[2], Operation::Chat, "anthropic/thinking_and_tools.sse"),
    ] {
        let stream = fixture(path);
        let usage = complete(dialect, op, true, &stream).expect(path);
        let whole = unstream(dialect, op, &stream, &reply(false)).expect(path);
        assert_eq!(complete(dialect, op, false, &whole), Some(usage), "{path}");
        let again = restream(dialect, op, &whole, &reply(false)).expect(path);
        assert!(complete(dialect, op, true, &again).is_some(), "{path}");
        let twice = unstream(dialect, op, &again, &reply(false)).expect(path);
        let value = |body: &[u8]| {
            let mut value: Value = serde_json::from_slice(body).unwrap();
            value.as_object_mut().unwrap().remove("usage");
            value
        };
        assert_eq!(value(&whole), value(&twice), "{path}");
    }
}

#[test]
fn what_an_ollama_answer_says_beside_its_text_is_kept_in_the_other_form() {
    let stream = fixture("ollama/generate.ndjson");
    let whole = unstream(&OLLAMA, Operation::Generate, &stream, &reply(false)).unwrap();
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["response"], "One two");
    assert_eq!(whole["context"], serde_json::json!([1, 2, 3]));
    assert_eq!(whole["total_duration"], 5);
}

#[test]
fn words_in_the_other_operations_form_are_in_no_other_form() {
    let chat = fixture("ollama/chat.ndjson");
    assert_eq!(unstream(&OLLAMA, Operation::Generate, &chat, &reply(false)), None);
    let text = fixture("ollama/generate.ndjson");
    assert_eq!(unstream(&OLLAMA, Operation::Chat, &text, &reply(false)), None);
    let both = br#"{"message":{"content":"a"},"response":"b","done":true}"#;
    for op in [Operation::Chat, Operation::Generate] {
        assert_eq!(restream(&OLLAMA, op, both, &reply(false)), None);
    }
    let chat = br#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert_eq!(unstream(&OPENAI, Operation::Generate, chat, &reply(false)), None);
    let both = br#"{"object":"chat.completion","choices":[{"index":0,"text":"b","message":
        {"content":"a"},"finish_reason":"stop"}]}"#;
    assert_eq!(restream(&OPENAI, Operation::Chat, both, &reply(false)), None);
}

#[test]
fn usage_that_stands_elsewhere_is_kept_too() {
    let stream = fixture("openai/groq.sse");
    let usage = complete(&OPENAI, Operation::Chat, true, &stream).unwrap();
    let whole = unstream(&OPENAI, Operation::Chat, &stream, &reply(false)).unwrap();
    assert_eq!(complete(&OPENAI, Operation::Chat, false, &whole), Some(usage));
}

#[test]
fn what_a_completion_thought_is_in_its_stream() {
    let whole = br#"{"object":"text_completion","choices":[{"index":0,"text":"a","reasoning":"r",
        "finish_reason":"stop"}]}"#;
    let stream = restream(&OPENAI, Operation::Generate, whole, &reply(false)).unwrap();
    let frames = frames(std::str::from_utf8(&stream).unwrap());
    assert_eq!(frames[0]["choices"][0]["reasoning"], "r");
}

#[test]
fn what_cannot_be_taken_apart_stays_in_the_form_it_was_kept_in() {
    let stream = fixture("anthropic/odd.sse");
    assert!(complete(&ANTHROPIC, Operation::Chat, true, &stream).is_some());
    assert_eq!(unstream(&ANTHROPIC, Operation::Chat, &stream, &reply(false)), None);
    for block in [
        r#"{"type":"text","text":"a","citations":[{"cited_text":"b"}]}"#,
        r#"{"type":"redacted_thinking","data":"x"}"#,
        r#"{"type":"server_tool_use","id":"a","name":"web_search","input":{}}"#,
    ] {
        let whole = format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","content":[{block}],"stop_reason":"end_turn","usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        );
        assert!(complete(&ANTHROPIC, Operation::Chat, false, whole.as_bytes()).is_some());
        assert_eq!(restream(&ANTHROPIC, Operation::Chat, whole.as_bytes(), &reply(false)), None);
    }
}

#[test]
fn what_an_anthropic_answer_says_beside_its_text_is_kept_in_the_other_form() {
    let whole = br#"{"id":"msg_9","type":"message","role":"assistant","model":"c","content":
        [{"type":"tool_use","id":"t1","name":"f","input":{"b":1,"a":[ ]},"caller":{"type":"direct"}}],
        "stop_reason":"tool_use","stop_sequence":null,"stop_details":null,
        "usage":{"input_tokens":1,"output_tokens":2,"service_tier":"standard"}}"#;
    let stream = restream(&ANTHROPIC, Operation::Chat, whole, &reply(false)).unwrap();
    let text = std::str::from_utf8(&stream).unwrap();
    assert!(text.contains(r#""partial_json":"{\"b\":1,\"a\":[]}""#), "{text}");
    assert!(text.contains(r#""input":{},"caller":{"type":"direct"}"#), "{text}");
    assert!(text.contains(r#""stop_reason":null,"stop_sequence":null"#), "{text}");
    let again = unstream(&ANTHROPIC, Operation::Chat, &stream, &reply(false)).unwrap();
    let value = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    assert_eq!(value(&again), value(whole));
}

#[test]
fn usage_is_in_a_replayed_stream_when_it_is_asked_for() {
    let whole =
        unstream(&OPENAI, Operation::Chat, &fixture("openai/chat.sse"), &reply(false)).unwrap();
    let stream = restream(&OPENAI, Operation::Chat, &whole, &reply(true)).unwrap();
    let frames = frames(std::str::from_utf8(&stream).unwrap());
    assert_eq!(frames.len(), 4);
    assert_eq!(frames[0]["choices"][0]["delta"]["content"], "Hello 🦙");
    assert_eq!(frames[0]["usage"], Value::Null);
    assert_eq!(frames[2]["usage"]["total_tokens"], 5);
}

#[test]
fn an_event_that_was_cut_short_lends_our_error_no_name() {
    let cut = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\nevent: other\nid: 1\n";
    for strip in [false, true] {
        let mut flow = pair(&OPENAI, &OPENAI, Operation::Chat).flow(&reply(false), strip);
        let mut out = flow.feed(Bytes::from_static(cut), NOW).to_vec();
        out.extend_from_slice(&flow.end(&name(), NOW));
        let out = String::from_utf8(out).unwrap();
        let (_, last) = out.trim_end().rsplit_once("\n\n").unwrap();
        assert!(last.starts_with("data: {\"error\""), "{out}");
    }
}

#[test]
fn an_answer_that_is_not_whole_is_not_kept() {
    for path in ["openai/error_after_content.sse", "openai/bare_error.sse"] {
        assert_eq!(complete(&OPENAI, Operation::Chat, true, &fixture(path)), None);
    }
    let body = br#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":null}]}"#;
    assert_eq!(complete(&OPENAI, Operation::Chat, false, body), None);
    let stream =
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n";
    assert_eq!(complete(&OPENAI, Operation::Chat, true, stream), None);
}

#[test]
fn an_error_response_of_the_same_dialect_is_unchanged() {
    let (status, body) = pair(&OLLAMA, &OLLAMA, Operation::Chat)
        .error(StatusCode::UNAUTHORIZED, br#"{"error":"unauthorized","signin_url":"x"}"#);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body, r#"{"error":"unauthorized","signin_url":"x"}"#);
}

#[test]
fn golden_64_a_whole_answer_of_the_same_dialect_becomes_a_stream_too() {
    let body = Bytes::from_static(
        br#"{"id":"c1","object":"chat.completion","created":1,"model":"g","choices":[{"index":0,
        "message":{"role":"assistant","content":"x"},"logprobs":null,"finish_reason":"stop"}]}"#,
    );
    let pair = pair(&OPENAI, &OPENAI, Operation::Chat);
    let (out, state) = pair.whole_as_stream(&name(), &body, &reply(false), NOW).unwrap();
    let frames = frames(std::str::from_utf8(&out).unwrap());
    assert_eq!((frames.len(), &frames[0]["id"]), (3, &Value::from("c1")));
    assert_eq!(frames[0]["choices"][0]["delta"]["content"], "x");
    assert!(state.finished && state.finish == Some(Finish::Stop));
}

#[test]
fn a_break_right_after_a_terminal_takes_nothing_back() {
    for (dialect, path) in
        [(&OLLAMA as &'static dyn Dialect, "ollama/chat.ndjson"), (&OPENAI, "openai/chat.sse")]
    {
        let stream = fixture(path);
        let mut flow = pair(dialect, dialect, Operation::Chat).flow(&reply(false), false);
        flow.feed(Bytes::copy_from_slice(stream.trim_ascii_end()), NOW);
        let out = flow.fail(&Error::Broken { upstream: name(), why: "reset".into() });
        assert!(flow.state().finished && flow.state().fault.is_none(), "{path}");
        assert!(out.trim_ascii().is_empty(), "{path}: {out:?}");
    }
}
