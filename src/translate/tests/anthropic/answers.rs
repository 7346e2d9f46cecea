//! What an Anthropic client is answered by the others.

use super::*;

fn stream(upstream: &'static dyn Dialect, path: &str) -> (Vec<Value>, Value) {
    let (out, state) = through(front(upstream), false, &fixture(path));
    assert!(state.finished && state.fault.is_none(), "{state:?}");
    gathered(&out)
}

fn chunk(delta: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
}

fn finish(reason: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\ndata: [DONE]\n\n"
    )
}

fn whole(upstream: &'static dyn Dialect, body: &str) -> Result<Value, Error> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let (out, _) = front(upstream).answer(&name(), &body, &reply(false), NOW)?;
    Ok(serde_json::from_slice(&out).unwrap())
}

#[test]
fn a_streamed_text_is_one_block() {
    let (content, last) = stream(&OLLAMA, "ollama/chat.ndjson");
    assert_eq!(content.len(), 1);
    assert_eq!(content[0]["type"], "text");
    assert_eq!(last["delta"], json!({"stop_reason":"end_turn","stop_sequence":null}));
    let (content, last) = stream(&OPENAI, "openai/chat.sse");
    assert_eq!(content, [json!({"type":"text","text":"Hello 🦙"})]);
    assert_eq!(last["usage"], json!({"input_tokens":3,"output_tokens":2}));
}

#[test]
fn the_start_says_who_answers_and_every_event_has_its_name() {
    let (out, _) = through(front(&OPENAI), false, &fixture("openai/chat.sse"));
    let events = events(&out);
    let message = &events[0]["message"];
    assert_eq!(message["id"], "msg_0123456789abcdef01234567");
    assert_eq!((&message["role"], &message["model"]), (&json!("assistant"), &json!("asked")));
    assert_eq!(message["usage"], json!({"input_tokens":0,"output_tokens":0}));
    assert_eq!(events.last().unwrap(), &json!({"type":"message_stop"}));
}

#[test]
fn golden_71_calls_whose_pieces_come_interleaved_are_blocks_one_after_the_other() {
    let text = chunk(r#"{"role":"assistant","content":"Look."}"#);
    let tools = String::from_utf8(fixture("openai/tools.sse")).unwrap();
    let (out, state) = through(front(&OPENAI), false, (text + &tools).as_bytes());
    assert!(state.finished, "{state:?}");
    let (content, last) = gathered(&out);
    assert_eq!(content[0], json!({"type":"text","text":"Look."}));
    assert_eq!((&content[1]["id"], &content[1]["name"]), (&json!("call_a"), &json!("weather")));
    assert_eq!((&content[2]["id"], &content[2]["name"]), (&json!("call_b"), &json!("clock")));
    assert_eq!(content.len(), 3);
    assert!(content[1]["input"]["city"].is_string(), "{content:?}");
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
}

#[test]
fn calls_that_come_one_after_the_other_do_not_wait() {
    let call = |index: usize, json: &str| {
        let arguments = serde_json::to_string(json).unwrap();
        chunk(&format!(
            r#"{{"tool_calls":[{{"index":{index},"id":"c{index}","function":{{"name":"f","arguments":{arguments}}}}}]}}"#
        ))
    };
    let piece = chunk(r#"{"tool_calls":[{"index":1,"function":{"arguments":"\"x\"}"}}]}"#);
    let mut flow = front(&OPENAI).flow(&reply(false), false);
    let mut all = String::new();
    for (bytes, expected) in [
        (call(0, "{\"a\":1}"), "input_json_delta"),
        // The first is complete, so that the second may begin.
        (call(1, "{\"b\":"), "content_block_stop"),
        (piece, "partial_json"),
        (finish("tool_calls"), "message_stop"),
    ] {
        let out = flow.feed(Bytes::from(bytes), NOW);
        let out = std::str::from_utf8(&out).unwrap().to_owned();
        assert!(out.contains(expected), "{out}");
        all.push_str(&out);
    }
    let (content, _) = gathered(&all);
    assert_eq!((&content[0]["input"]["a"], &content[1]["input"]["b"]), (&json!(1), &json!("x")));
}

#[test]
fn golden_72_thinking_is_a_block_before_the_text() {
    let (content, _) = stream(&OPENAI, "openai/reasoning.sse");
    assert_eq!((&content[0]["type"], &content[0]["signature"]), (&json!("thinking"), &json!("")));
    assert!(!content[0]["thinking"].as_str().unwrap().is_empty());
    assert_eq!((&content[1]["type"], content.len()), (&json!("text"), 2));
    let (content, last) = stream(&OLLAMA, "ollama/thinking_and_tools.ndjson");
    assert_eq!(content[0]["type"], "thinking");
    assert!(content.iter().any(|block| block["type"] == "tool_use"));
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    for block in content.iter().filter(|block| block["type"] == "tool_use") {
        assert!(block["id"].as_str().is_some_and(|id| !id.is_empty()), "{block}");
    }
}

#[test]
fn text_between_the_pieces_of_a_call_waits_for_the_call() {
    let stream = [
        chunk(
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\""}}]}"#,
        ),
        chunk(r#"{"content":"by the "}"#),
        chunk(r#"{"content":"way"}"#),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#),
        finish("tool_calls"),
    ];
    let (out, _) = through(front(&OPENAI), false, stream.concat().as_bytes());
    let (content, _) = gathered(&out);
    assert_eq!(content[0]["input"], json!({"a":1}));
    assert_eq!(content[1], json!({"type":"text","text":"by the way"}));
}

#[test]
fn arguments_that_are_no_object_are_an_error_and_cut_ones_are_left_out() {
    let call = |arguments: &str| {
        chunk(&format!(
            r#"{{"tool_calls":[{{"index":0,"id":"c","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#
        ))
    };
    let bad = call("{oops") + &finish("tool_calls");
    let (out, state) = through(front(&OPENAI), false, bad.as_bytes());
    let words = "upstream returned invalid tool call arguments for \"f\"";
    assert_eq!(state.fault.as_deref(), Some(words));
    assert_eq!(events(&out).last().unwrap()["type"], "error");
    // The limit cut them off: what was said stays, and the reason says why it ends.
    let cut = call("{") + &finish("length");
    let (out, state) = through(front(&OPENAI), false, cut.as_bytes());
    assert!(state.finished && out.contains("\"max_tokens\""), "{out}");
    let body = |reason: &str| {
        format!(
            r#"{{"choices":[{{"index":0,"finish_reason":"{reason}","message":{{"content":"a","tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{{"}}}}]}}}}]}}"#
        )
    };
    assert!(whole(&OPENAI, &body("tool_calls")).is_err());
    let answer = whole(&OPENAI, &body("length")).unwrap();
    assert_eq!(answer["content"], json!([{"type":"text","text":"a"}]));
    assert_eq!(answer["stop_reason"], "max_tokens");
}

#[test]
fn golden_74_an_error_is_an_event_and_nothing_ends_the_message() {
    for (upstream, path) in [
        (&OPENAI as &'static dyn Dialect, "openai/error_after_content.sse"),
        (&OLLAMA, "ollama/error_after_content.ndjson"),
    ] {
        let (out, state) = through(front(upstream), false, &fixture(path));
        assert!(state.fault.is_some());
        let events = events(&out);
        let last = events.last().unwrap();
        assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("api_error")));
        assert!(!out.contains("message_stop"));
    }
}

#[test]
fn an_unstreamed_answer_is_a_list_of_blocks() {
    let answer = whole(
        &OPENAI,
        r#"{"choices":[{"index":0,"finish_reason":"tool_calls","message":{"content":"t","reasoning":"r","tool_calls":[{"function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}}]}}],"usage":{"prompt_tokens":15,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":10},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
    )
    .unwrap();
    assert_eq!(
        answer["content"],
        json!([{"type":"thinking","thinking":"r","signature":""},{"type":"text","text":"t"},
            {"type":"tool_use","id":"toolu_0123456789abcdef012345670","name":"f","input":{"b":1,"a":2}}])
    );
    assert_eq!(
        answer["usage"],
        json!({"input_tokens":5,"cache_read_input_tokens":10,"output_tokens":4,"output_tokens_details":{"thinking_tokens":3}})
    );
    assert_eq!((&answer["type"], &answer["stop_reason"]), (&json!("message"), &json!("tool_use")));
    assert_eq!(answer["stop_sequence"], Value::Null);
    let said = whole(&OLLAMA, r#"{"message":{"content":""},"done":true,"done_reason":"stop"}"#);
    assert_eq!(said.unwrap()["content"], json!([]));
}

#[test]
fn golden_73_reasons_to_end_have_their_counterparts() {
    for (reason, expected) in
        [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")]
    {
        let body = format!(
            r#"{{"choices":[{{"index":0,"finish_reason":"{reason}","message":{{"content":"a"}}}}]}}"#
        );
        assert_eq!(whole(&OPENAI, &body).unwrap()["stop_reason"], expected);
    }
}

#[test]
fn an_upstreams_refusal_is_told_in_anthropics_shape() {
    let (status, body) =
        front(&OPENAI).error(StatusCode::TOO_MANY_REQUESTS, br#"{"error":{"message":"slow"}}"#);
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"type":"error","error":{"type":"rate_limit_error","message":"slow"}}));
}
