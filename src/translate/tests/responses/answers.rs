//! Answers of the others, as the Responses API gives them.

use super::*;

const ASK: &str = r#"{"model":"m","input":"x"}"#;

fn streamed(upstream: &'static dyn Dialect, path: &str) -> Value {
    let (out, state) = through(front(upstream), false, &fixture(path));
    assert!(state.finished && state.fault.is_none(), "{path}");
    gathered(&out)
}

#[test]
fn a_stream_of_text_grows_one_message() {
    for (upstream, path) in [
        (&OLLAMA as &'static dyn Dialect, "ollama/chat.ndjson"),
        (&OPENAI, "openai/chat.sse"),
        (&ANTHROPIC, "anthropic/chat.sse"),
    ] {
        let response = streamed(upstream, path);
        assert_eq!(
            (&response["status"], &response["object"]),
            (&json!("completed"), &json!("response"))
        );
        let item = &response["output"][0];
        assert_eq!((&item["type"], &item["status"]), (&json!("message"), &json!("completed")));
        assert_eq!(item["content"][0]["annotations"], json!([]));
        assert!(!item["content"][0]["text"].as_str().unwrap().is_empty(), "{path}");
        assert!(response["usage"]["total_tokens"].as_u64().unwrap() > 0, "{path}");
        assert_eq!(response["created_at"], 1_785_000_000);
        assert_eq!(response["completed_at"], NOW / 1000);
    }
}

#[test]
fn thinking_and_calls_are_items_of_their_own() {
    for (upstream, path) in [
        (&OLLAMA as &'static dyn Dialect, "ollama/thinking_and_tools.ndjson"),
        (&ANTHROPIC, "anthropic/thinking_and_tools.sse"),
    ] {
        let response = streamed(upstream, path);
        let items = response["output"].as_array().unwrap();
        assert_eq!(items[0]["type"], "reasoning", "{path}");
        assert!(!items[0]["summary"][0]["text"].as_str().unwrap().is_empty());
        let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
        assert!(call["id"].as_str().unwrap().starts_with("fc_"));
        assert!(!call["call_id"].as_str().unwrap().is_empty() && call["name"] != "");
        let arguments = call["arguments"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object());
    }
    assert!(streamed(&OPENAI, "openai/tools.sse")["output"].as_array().unwrap().len() >= 2);
}

#[test]
fn a_call_that_grows_after_its_end_is_a_failure() {
    let call = |finish: &str| {
        format!(
            r#"data: {{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"id":"a","function":
            {{"name":"f","arguments":"{{}}"}}}}]}},"finish_reason":{finish}}}]}}"#
        )
        .replace('\n', "")
    };
    let stream = format!("{}\n\n{}\n\ndata: [DONE]\n\n", call("\"tool_calls\""), call("null"));
    let (out, state) = through(front(&OPENAI), false, stream.as_bytes());
    assert!(state.fault.unwrap().contains("invalid tool call arguments for \"f\""));
    assert!(!out.contains("response.completed"));
}

#[test]
fn calls_that_grow_at_once_keep_apart() {
    let chunk = |calls: Value, finish: Value| json!({ "choices": [{ "index": 0, "delta": { "tool_calls": calls }, "finish_reason": finish }] });
    let call = |index: u64, id: &str, arguments: &str| json!({ "index": index, "id": id, "function": { "name": "f", "arguments": arguments } });
    let more = |index: u64, arguments: &str| json!({ "index": index, "function": { "arguments": arguments } });
    let chunks = [
        chunk(json!([call(0, "a", "{\"x\""), call(1, "b", "")]), Value::Null),
        chunk(json!([more(1, "{}"), more(0, ":1}")]), Value::Null),
        chunk(json!([call(2, "c", "")]), "tool_calls".into()),
    ];
    let stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let (out, _) = through(front(&OPENAI), false, format!("{stream}data: [DONE]\n\n").as_bytes());
    let response = gathered(&out);
    let calls: Vec<_> = response["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["call_id"].as_str().unwrap(), call["arguments"].as_str().unwrap()))
        .collect();
    assert_eq!(calls, [("a", "{\"x\":1}"), ("b", "{}"), ("c", "{}")]);
}

#[test]
fn a_cut_answer_is_never_completed() {
    let done =
        r#"{"message":{"content":"half"},"done":true,"done_reason":"length","eval_count":2}"#;
    let (out, state) = through(front(&OLLAMA), false, format!("{done}\n").as_bytes());
    assert_eq!(state.finish, Some(Finish::Length));
    let streamed = gathered(&out);
    let whole = told(&OLLAMA, ASK, &serde_json::from_str(done).unwrap());
    for response in [streamed, whole] {
        assert_eq!(response["status"], "incomplete");
        assert_eq!(response["incomplete_details"], json!({ "reason": "max_output_tokens" }));
        assert_eq!(response["completed_at"], Value::Null);
        assert_eq!(response["output"][0]["status"], "incomplete");
    }
    let filtered = json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": "content_filter" }] });
    let response = told(&OPENAI, ASK, &filtered);
    assert_eq!(response["incomplete_details"], json!({ "reason": "content_filter" }));
}

#[test]
fn whole_and_streamed_say_the_same() {
    for path in ["ollama/chat.ndjson", "ollama/thinking_and_tools.ndjson"] {
        let stream = fixture(path);
        let streamed = streamed(&OLLAMA, path);
        let mut message = json!({ "content": "", "thinking": "", "tool_calls": [] });
        let mut last = Value::Null;
        for line in std::str::from_utf8(&stream).unwrap().lines().filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_str(line).unwrap();
            for name in ["content", "thinking"] {
                let more = line["message"][name].as_str().unwrap_or("");
                message[name] = format!("{}{more}", message[name].as_str().unwrap()).into();
            }
            if let Some(calls) = line["message"]["tool_calls"].as_array() {
                message["tool_calls"].as_array_mut().unwrap().extend(calls.iter().cloned());
            }
            last = line;
        }
        last["message"] = message;
        // The line that was put together here has its keys in another order.
        let sorted = |mut response: Value| {
            for item in response["output"].as_array_mut().unwrap() {
                if let Some(arguments) = item["arguments"].as_str() {
                    item["arguments"] = serde_json::from_str(arguments).unwrap();
                }
            }
            response
        };
        let whole = told(&OLLAMA, ASK, &last);
        assert_eq!(sorted(whole), sorted(streamed), "{path}");
    }
}

#[test]
fn an_answer_repeats_its_request() {
    let tools = json!([{ "type": "function", "name": "f", "parameters": { "b": 1.0, "a": "x" } }]);
    let request = json!({ "model": "m", "input": "x", "instructions": "i", "tools": tools,
        "tool_choice": "required", "temperature": 0.5, "max_output_tokens": 9, "user": "u",
        "metadata": { "k": "v" }, "text": { "verbosity": "low" }, "store": true,
        "reasoning": { "effort": "low" }, "parallel_tool_calls": false })
    .to_string();
    let answer = json!({ "message": { "content": "hi" }, "done": true, "done_reason": "stop" });
    let response = told(&OLLAMA, &request, &answer);
    for (name, value) in [
        ("instructions", json!("i")),
        ("tools", tools),
        ("tool_choice", json!("required")),
        ("temperature", json!(0.5)),
        ("top_p", json!(1.0)),
        ("max_output_tokens", json!(9)),
        ("metadata", json!({ "k": "v" })),
        ("text", json!({ "verbosity": "low", "format": { "type": "text" } })),
        ("reasoning", json!({ "effort": "low" })),
        ("parallel_tool_calls", json!(false)),
        ("user", json!("u")),
        ("store", json!(false)),
        ("previous_response_id", Value::Null),
        ("truncation", json!("disabled")),
        ("error", Value::Null),
    ] {
        assert_eq!(response[name], value, "{name}");
    }
    let plain = told(&OLLAMA, ASK, &answer);
    assert_eq!((&plain["tools"], &plain["tool_choice"]), (&json!([]), &json!("auto")));
    let pair = front(&OLLAMA);
    let mut flow = pair.flow(&asking(pair, &request), false);
    let out = flow.feed(format!("{answer}\n").into(), NOW);
    assert_eq!(gathered(std::str::from_utf8(&out).unwrap()), response);
}

#[test]
fn the_seal_on_what_was_thought_comes_back() {
    let answer = json!({ "type": "message", "content": [
        { "type": "thinking", "thinking": "hm", "signature": "sig" },
        { "type": "tool_use", "id": "t1", "name": "f", "input": { "a": 1 } }
    ], "stop_reason": "tool_use", "usage": { "input_tokens": 1, "output_tokens": 1 } });
    let response = told(&ANTHROPIC, ASK, &answer);
    let mut input = response["output"].as_array().unwrap().clone();
    input.insert(0, json!({ "role": "user", "content": "x" }));
    input.push(json!({ "type": "function_call_output", "call_id": "t1", "output": "r" }));
    let body = json!({ "model": "m", "input": input, "reasoning": { "effort": "low" } });
    let sent = sent(front(&ANTHROPIC), &body.to_string()).unwrap();
    let thinking = json!({ "type": "thinking", "thinking": "hm", "signature": "sig" });
    assert_eq!(sent["messages"][1]["content"][0], thinking);
}

#[test]
fn probabilities_stand_beside_their_text() {
    let token = json!({ "token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": [] });
    let answer = json!({ "message": { "content": "Hi" }, "logprobs": [token], "done": true });
    let whole = told(&OLLAMA, ASK, &answer);
    assert_eq!(whole["output"][0]["content"][0]["logprobs"], json!([token]));
    let (out, _) = through(front(&OLLAMA), false, format!("{answer}\n").as_bytes());
    assert_eq!(gathered(&out)["output"][0]["content"][0]["logprobs"], json!([token]));
}

#[test]
fn an_error_in_the_stream_is_an_event_with_the_next_number_and_nothing_follows() {
    let (out, state) =
        through(front(&OLLAMA), false, &fixture("ollama/error_after_content.ndjson"));
    assert!(state.fault.is_some() && !state.finished);
    let events = events(&out);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "error");
    for words in [last, &last["error"]] {
        assert_eq!(words["code"], "upstream_error");
        assert!(!words["message"].as_str().unwrap().is_empty());
        assert_eq!(words["param"], Value::Null);
    }
    assert!(events.iter().all(|event| event["type"] != "response.completed"));
}

#[test]
fn an_answer_without_words_is_a_message_without_words() {
    let answer = json!({ "message": { "content": "" }, "done": true, "done_reason": "stop" });
    let whole = told(&OLLAMA, ASK, &answer);
    assert_eq!(whole["output"][0]["content"][0]["text"], "");
    let (out, _) = through(front(&OLLAMA), false, format!("{answer}\n").as_bytes());
    assert_eq!(gathered(&out)["output"], whole["output"]);
}
