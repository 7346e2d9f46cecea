use super::*;

fn stream(usage: bool, lines: &str) -> (Vec<Value>, State) {
    let (out, state) = through(openai_front(Operation::Chat), usage, lines.as_bytes());
    (frames(&out), state)
}

fn delta(frame: &Value) -> &Value {
    &frame["choices"][0]["delta"]
}

fn whole(operation: Operation, body: &str) -> Result<(Value, State), Error> {
    let body = Bytes::from(body.to_owned());
    let (out, state) = openai_front(operation).answer(&name(), &body, &reply(false), NOW)?;
    Ok((serde_json::from_slice(&out).unwrap(), state))
}

const HI: &str = r#"{"message":{"content":"Hi"},"done":false}
{"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":1}
"#;

#[test]
fn golden_32_text_is_framed_as_openai_frames_it() {
    let (frames, state) = stream(true, HI);
    assert_eq!(frames.len(), 4);
    assert_eq!(*delta(&frames[0]), json!({"role":"assistant","content":"Hi"}));
    assert_eq!(frames[0]["choices"][0]["finish_reason"], Value::Null);
    assert_eq!(frames[0]["usage"], Value::Null);
    assert_eq!(*delta(&frames[1]), json!({}));
    assert_eq!(frames[1]["choices"][0]["finish_reason"], "stop");
    assert_eq!(frames[2]["choices"], json!([]));
    assert_eq!(
        frames[2]["usage"],
        json!({"prompt_tokens":3,"completion_tokens":1,"total_tokens":4})
    );
    assert_eq!(frames[3], "[DONE]");
    assert!(state.finished && state.meaningful && state.fault.is_none());
    let counted = Usage { prompt: Some(3), completion: Some(1), ..Usage::default() };
    assert_eq!(state.usage, counted);
    let (frames, _) = stream(false, HI);
    assert_eq!(frames.len(), 3);
    assert!(frames[..2].iter().all(|frame| frame.get("usage").is_none()));
}

#[test]
fn golden_33_thinking_and_text_of_one_line_are_two_chunks() {
    let (frames, _) = stream(
        false,
        r#"{"message":{"thinking":"T","content":"C"},"done":true,"done_reason":"stop"}"#,
    );
    assert_eq!(*delta(&frames[0]), json!({"role":"assistant","content":"","reasoning":"T"}));
    assert_eq!(*delta(&frames[1]), json!({"content":"C"}));
    assert_eq!(frames[2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(frames[3], "[DONE]");
}

#[test]
fn golden_34_calls_are_numbered_as_they_come() {
    let call = |name: &str| {
        format!(
            r#"{{"id":"","function":{{"index":0,"name":"{name}","arguments":{{"b":1,"a":2}}}}}}"#
        )
    };
    let line = format!(
        r#"{{"message":{{"content":"","tool_calls":[{},{}]}},"done":true,"done_reason":"stop"}}"#,
        call("f"),
        call("g")
    );
    let (frames, _) = stream(false, &line);
    let calls: Vec<_> = frames[..2].iter().map(|frame| &delta(frame)["tool_calls"][0]).collect();
    assert_eq!((&calls[0]["index"], &calls[1]["index"]), (&json!(0), &json!(1)));
    assert_eq!(calls[0]["function"], json!({"name":"f","arguments":"{\"b\":1,\"a\":2}"}));
    assert_eq!(calls[0]["type"], "function");
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert!(calls[0]["id"].as_str().unwrap().starts_with("call_"));
    assert_eq!(frames[2]["choices"][0]["finish_reason"], "tool_calls");
    let (value, _) = whole(Operation::Chat, &line).unwrap();
    let message = &value["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null);
    assert_ne!(message["tool_calls"][0]["id"], message["tool_calls"][1]["id"]);
    assert_eq!(value["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn golden_35_a_reached_limit_is_said_even_with_calls() {
    let (frames, _) = stream(
        false,
        r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}
{"message":{"content":""},"done":true,"done_reason":"length"}"#,
    );
    assert_eq!(frames[1]["choices"][0]["finish_reason"], "length");
}

#[test]
fn golden_36_an_end_without_a_reason_is_a_stop_and_no_end_is_an_error() {
    let (frames, _) = stream(false, r#"{"message":{"content":"x"},"done":true}"#);
    assert_eq!(frames[1]["choices"][0]["finish_reason"], "stop");
    let error = whole(Operation::Chat, r#"{"message":{"content":"x"},"done":false}"#).unwrap_err();
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(error.code(), "upstream_incomplete");
}

#[test]
fn golden_37_an_error_before_anything_else_leaves_the_state_without_meaning() {
    let (frames, state) = stream(false, "{\"error\":\"boom\"}\n");
    assert!(!state.meaningful && !state.finished);
    assert_eq!(state.fault.as_deref(), Some("boom"));
    assert_eq!(frames.len(), 1);
    let error = whole(Operation::Chat, r#"{"error":"boom"}"#).unwrap_err();
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn golden_38_an_error_after_content_is_told_and_no_done() {
    let stream_ = fixture("ollama/error_after_content.ndjson");
    let (frames, state) = stream(false, std::str::from_utf8(&stream_).unwrap());
    assert_eq!(frames.len(), 2);
    assert_eq!(delta(&frames[0])["content"], "Hi");
    assert_eq!(frames[1]["error"]["message"], "boom");
    assert!(state.meaningful && !state.finished && state.fault.is_some());
}

#[test]
fn golden_39_an_early_end_is_told_and_no_finish() {
    let (frames, state) = stream(false, "{\"message\":{\"content\":\"Hi\"},\"done\":false}\n");
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1]["error"]["code"], "upstream_incomplete");
    assert!(!state.finished && state.fault.is_some() && state.finish.is_none());
    let (frames, state) = stream(false, "");
    assert_eq!((frames.len(), state.meaningful), (1, false));
}

#[test]
fn golden_40_an_unknown_model_is_said_as_openai_says_it() {
    let (status, body) = openai_front(Operation::Chat)
        .error(StatusCode::NOT_FOUND, br#"{"error":"model 'x' not found"}"#);
    assert_eq!(status, StatusCode::NOT_FOUND);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"error":{"message":"model 'x' not found","type":"invalid_request_error",
            "param":null,"code":"model_not_found"}})
    );
}

#[test]
fn golden_41_a_probability_has_every_key_that_openais_has() {
    let line =
        r#"{"message":{"content":"Hi"},"logprobs":[{"token":"Hi","logprob":-0.50}],"done":true}"#;
    let told = json!({"content":[{"token":"Hi","logprob":-0.50,"bytes":null,"top_logprobs":[]}],
        "refusal":null});
    let (frames, _) = stream(false, line);
    assert_eq!(frames[0]["choices"][0]["logprobs"], told);
    let (value, _) = whole(Operation::Chat, line).unwrap();
    assert_eq!(value["choices"][0]["logprobs"], told);
}

#[test]
fn golden_42_all_chunks_have_one_id_and_one_time() {
    let (frames, _) = stream(true, HI);
    for frame in &frames[..3] {
        assert_eq!(frame["id"], "chatcmpl-0123456789abcdef01234567");
        assert_eq!(frame["created"], 1_785_000_000);
        assert_eq!(frame["model"], "asked");
        assert_eq!(frame["object"], "chat.completion.chunk");
    }
}

#[test]
fn golden_43_tokens_that_were_not_counted_are_zero() {
    let (value, state) =
        whole(Operation::Chat, r#"{"message":{"content":"x"},"done":true,"eval_count":7}"#)
            .unwrap();
    assert_eq!(value["usage"], json!({"prompt_tokens":0,"completion_tokens":7,"total_tokens":7}));
    assert_eq!(state.usage.prompt, None);
}

#[test]
fn golden_44_what_looks_like_framing_stays_text() {
    let text = "a\n\ndata: [DONE]\u{2028}\u{85}b";
    let line = json!({"message":{"content":text},"done":true}).to_string();
    let (out, _) = through(openai_front(Operation::Chat), false, line.as_bytes());
    assert!(!out.contains(['\u{2028}', '\u{85}']));
    let frames = frames(&out);
    assert_eq!(frames.len(), 3);
    assert_eq!(delta(&frames[0])["content"], text);
}

#[test]
fn an_unstreamed_answer_has_what_clients_look_for() {
    let (value, _) = whole(
        Operation::Chat,
        r#"{"model":"real","message":{"role":"assistant","content":"C","thinking":"T"},"done":true,
        "done_reason":"length","prompt_eval_count":1,"eval_count":2}"#,
    )
    .unwrap();
    assert_eq!(
        value,
        json!({"id":"chatcmpl-0123456789abcdef01234567","object":"chat.completion",
            "created":1_785_000_000,"model":"asked","system_fingerprint":"fp_ollama",
            "choices":[{"index":0,"message":{"role":"assistant","content":"C","reasoning":"T"},
                "logprobs":null,"finish_reason":"length"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})
    );
}

#[test]
fn a_generation_is_a_completion() {
    let pair = openai_front(Operation::Generate);
    let (out, _) = through(pair, true, &fixture("ollama/generate.ndjson"));
    let frames = frames(&out);
    let text = |frame: &Value| frame["choices"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!([text(&frames[0]), text(&frames[1]), text(&frames[2])], ["One", " two", ""]);
    assert_eq!(frames[0]["object"], "text_completion");
    assert_eq!(frames[2]["choices"][0]["finish_reason"], "length");
    assert_eq!(frames[3]["usage"]["total_tokens"], 5);
    assert_eq!(frames[4], "[DONE]");
    let (value, _) = whole(
        Operation::Generate,
        r#"{"response":"One","done":true,"done_reason":"stop","eval_count":1}"#,
    )
    .unwrap();
    assert_eq!(value["choices"][0]["text"], "One");
    assert_eq!(value["id"], "cmpl-0123456789abcdef01234567");
}

#[test]
fn golden_65_vectors_leave_in_the_form_that_was_asked_for() {
    let pair = openai_front(Operation::Embed);
    let body = Bytes::from_static(
        br#"{"model":"m","embeddings":[[0.1,-0.2,0.30]],"prompt_eval_count":4}"#,
    );
    for (format, expected) in [
        (r#","encoding_format":"base64""#, "\"embedding\":\"zczMPc3MTL6amZk+\""),
        (r#","encoding_format":"float""#, "\"embedding\":[0.1,-0.2,0.30]"),
        ("", "\"embedding\":[0.1,-0.2,0.30]"),
    ] {
        let request = format!(r#"{{"model":"m","input":"a"{format}}}"#);
        let reply = pair.reply(request.as_bytes(), "id".into(), 0, "asked".into());
        let (out, state) = pair.answer(&name(), &body, &reply, NOW).unwrap();
        let text = std::str::from_utf8(&out).unwrap();
        assert!(text.contains(expected), "{text}");
        assert!(text.contains(r#""usage":{"prompt_tokens":4,"total_tokens":4}"#));
        assert!(state.finished && state.usage.prompt == Some(4));
    }
}

#[test]
fn golden_64_a_whole_answer_to_a_stream_becomes_a_stream() {
    let body =
        Bytes::from_static(br#"{"message":{"content":"x"},"done":true,"done_reason":"load"}"#);
    let pair = openai_front(Operation::Chat);
    let (out, state) = pair.whole_as_stream(&name(), &body, &reply(false), NOW).unwrap();
    let frames = frames(std::str::from_utf8(&out).unwrap());
    assert_eq!(frames.len(), 3);
    assert!(state.finished);
}

#[test]
fn a_stream_that_falls_silent_is_told_with_its_code() {
    let mut flow = openai_front(Operation::Chat).flow(&reply(false), false);
    flow.feed(
        Bytes::from_static(b"{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"mess"),
        NOW,
    );
    let waited = std::time::Duration::from_secs(1);
    let out = flow.fail(&Error::Idle { upstream: name(), waited });
    let frames = frames(std::str::from_utf8(&out).unwrap());
    assert_eq!(frames[0]["error"]["code"], "idle_timeout");
}

#[test]
fn the_upstreams_refusal_of_our_key_is_not_the_clients() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let (status, body) = openai_front(Operation::Chat).error(status, br#"{"error":"no"}"#);
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(std::str::from_utf8(&body).unwrap().contains("credential: no"));
    }
}
