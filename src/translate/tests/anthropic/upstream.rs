//! What the others' clients ask of Anthropic, and what it answers them.

use super::*;

fn ask(extra: &str) -> String {
    let comma = if extra.is_empty() { "" } else { "," };
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{comma}{extra}}}"#)
}

fn with(messages: &str) -> String {
    format!(r#"{{"model":"m","messages":{messages}}}"#)
}

fn openai(body: &str) -> Value {
    sent(before(&OPENAI), body).unwrap()
}

fn ollama(body: &str) -> Value {
    sent(before(&OLLAMA), body).unwrap()
}

fn whole(client: &'static dyn Dialect, body: &str) -> Value {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let (out, state) = before(client).answer(&name(), &body, &reply(false), NOW).unwrap();
    assert!(state.finished);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_plain_question_says_only_what_must_be_said() {
    let expected = json!({"model":"m","max_tokens":8192,"stream":false,
        "messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]});
    // The defaults that OpenAI's clients mean are Anthropic's own.
    assert_eq!(openai(&ask("")), expected);
    assert_eq!(ollama(&ask(r#""stream":false"#)), expected);
    let generate = pair(&OLLAMA, &ANTHROPIC, Operation::Generate);
    let sent = sent(generate, r#"{"model":"m","prompt":"hi","stream":false}"#).unwrap();
    assert_eq!(sent, expected);
}

#[test]
fn system_prompts_stand_beside_the_turns() {
    let sent = openai(&with(
        r#"[{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"},{"role":"system","content":"d"}]"#,
    ));
    assert_eq!(sent["system"], "a\n\nb");
    assert_eq!(
        sent["messages"],
        json!([{"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}])
    );
    let only = openai(&with(r#"[{"role":"system","content":"a"}]"#));
    assert_eq!(only["messages"][0]["role"], "user");
    assert_eq!(only.get("system"), None);
}

#[test]
fn calls_and_results_are_blocks_of_turns() {
    let sent = openai(&with(
        r#"[{"role":"user","content":"x"},
        {"role":"assistant","content":null,"tool_calls":[
            {"id":"call.1","function":{"name":"f","arguments":"{\"b\":1,\"a\":12345678901234567890}"}},
            {"id":"call-2","function":{"name":"g","arguments":""}}]},
        {"role":"tool","tool_call_id":"call.1","content":"one"},
        {"role":"tool","tool_call_id":"call-2","content":[{"type":"text","text":"two"}]},
        {"role":"user","content":"and?"}]"#,
    ));
    let turns = sent["messages"].as_array().unwrap();
    assert_eq!(turns.len(), 3);
    assert_eq!(
        turns[1]["content"],
        json!([{"type":"tool_use","id":"call_2e1","name":"f","input":{"b":1,"a":12345678901234567890u64}},
            {"type":"tool_use","id":"call-2","name":"g","input":{}}])
    );
    let kinds: Vec<_> =
        turns[2]["content"].as_array().unwrap().iter().map(|b| b["type"].clone()).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
    assert_eq!(turns[2]["content"][0]["tool_use_id"], "call_2e1");
    assert_eq!(turns[2]["content"][1]["content"], json!([{"type":"text","text":"two"}]));
}

#[test]
fn ids_that_an_upstream_gave_twice_are_told_apart() {
    let turn = r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}"#;
    let sent = openai(&with(&format!(r#"[{{"role":"user","content":"x"}},{turn},{turn}]"#)));
    let turns = sent["messages"].as_array().unwrap();
    let id = |turn: usize, name: &str| turns[turn]["content"][0][name].clone();
    assert_eq!(id(1, "id"), id(2, "tool_use_id"));
    assert_eq!(id(3, "id"), id(4, "tool_use_id"));
    assert_ne!(id(1, "id"), id(3, "id"));
}

#[test]
fn an_ollama_clients_results_find_their_calls_by_name() {
    let messages = r#"[{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":{"z":1,"a":2}}}]},{"role":"tool","tool_name":"g","content":"2"},{"role":"tool","tool_name":"f","content":"1"}]"#;
    let sent = ollama(&with(messages));
    let calls = sent["messages"][1]["content"].as_array().unwrap().clone();
    let results = sent["messages"][2]["content"].as_array().unwrap().clone();
    assert_eq!(
        (&results[0]["tool_use_id"], &results[1]["tool_use_id"]),
        (&calls[1]["id"], &calls[0]["id"])
    );
    assert_eq!(sent, ollama(&with(messages)));
}

#[test]
fn pictures_and_documents_are_blocks_and_sound_is_refused() {
    let content = |part: &str| {
        with(&format!(r#"[{{"role":"user","content":[{{"type":"text","text":" "}},{part}]}}]"#))
    };
    let block = |part: &str| openai(&content(part))["messages"][0]["content"][0].clone();
    assert_eq!(
        block(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}"#),
        json!({"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}})
    );
    assert_eq!(
        block(r#"{"type":"image_url","image_url":{"url":"https://x/y"}}"#),
        json!({"type":"image","source":{"type":"url","url":"https://x/y"}})
    );
    assert_eq!(
        block(
            r#"{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,aGk="}}"#
        ),
        json!({"type":"document","title":"a.txt","source":{"type":"text","media_type":"text/plain","data":"hi"}})
    );
    let sound = content(
        r#"{"type":"input_audio","input_audio":{"data":"UklGRgAAAABXQVZF","format":"wav"}}"#,
    );
    assert!(refused(before(&OPENAI), &sound).contains("audio/wav"));
}

#[test]
fn tools_have_schemas_and_choices_their_words() {
    let tools = r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","strict":true,"parameters":{"properties":{"z":{},"a":{}}}}}]"#;
    let sent = openai(&ask(tools));
    assert_eq!(
        sent["tools"],
        json!([{"name":"f","input_schema":{"type":"object","properties":{}}},
            {"name":"g","strict":true,"input_schema":{"type":"object","properties":{"z":{},"a":{}}}}])
    );
    assert_eq!(sent.get("tool_choice"), None);
    let choose = |extra: &str| openai(&ask(&format!("{tools},{extra}")))["tool_choice"].clone();
    assert_eq!(choose(r#""tool_choice":"auto""#), json!({"type":"auto"}));
    assert_eq!(choose(r#""tool_choice":"required""#), json!({"type":"any"}));
    assert_eq!(
        choose(r#""tool_choice":"none","parallel_tool_calls":false"#),
        json!({"type":"none"})
    );
    assert_eq!(
        choose(r#""tool_choice":{"type":"function","function":{"name":"g"}}"#),
        json!({"type":"tool","name":"g"})
    );
    assert_eq!(
        choose(r#""parallel_tool_calls":false"#),
        json!({"type":"auto","disable_parallel_tool_use":true})
    );
}

#[test]
fn thinking_has_a_budget_below_the_limit() {
    let think = |extra: &str| {
        let sent = openai(&ask(extra));
        (sent["thinking"].clone(), sent["max_tokens"].as_u64().unwrap())
    };
    let on = |budget: u64| json!({"type":"enabled","budget_tokens":budget});
    assert_eq!(think(r#""reasoning_effort":"low""#), (on(2048), 8192));
    assert_eq!(think(r#""reasoning_effort":"medium""#), (on(8192), 12_288));
    assert_eq!(think(r#""reasoning_effort":"high""#), (on(24_576), 28_672));
    assert_eq!(think(r#""reasoning_effort":"max""#), (on(32_000), 36_096));
    assert_eq!(think(r#""reasoning_effort":"none""#), (json!({"type":"disabled"}), 8192));
    assert_eq!(think(r#""reasoning_effort":"high","max_tokens":8000"#), (on(6000), 8000));
    assert_eq!(think(r#""reasoning_effort":"high","max_tokens":1200"#), (on(1024), 1200));
    let small = ask(r#""reasoning_effort":"high","max_tokens":1024"#);
    assert_eq!(openai(&small).get("thinking"), None);
    assert_eq!(dropped(before(&OPENAI), &small), ["think"]);
    // What the API refuses beside thinking is left out by name.
    let hot = ask(r#""reasoning_effort":"low","temperature":0.5,"top_p":0.5,"top_k":3"#);
    assert_eq!(dropped(before(&OPENAI), &hot), ["temperature", "top_k", "top_p"]);
    let forced = ask(
        r#""reasoning_effort":"low","tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}}]"#,
    );
    assert_eq!(dropped(before(&OPENAI), &forced), ["think"]);
}

#[test]
fn a_model_that_takes_no_budget_is_told_how_hard_to_think() {
    let list = br#"{"data":[{"id":"claude-y","capabilities":{"image_input":{"supported":true},
        "thinking":{"supported":true,"types":{"enabled":{"supported":false},"adaptive":{"supported":true}}}}},
        {"id":"claude-z","capabilities":{"thinking":{"supported":false}}}]}"#;
    let models = ANTHROPIC.read_models(list).unwrap();
    let ask = |model: usize| {
        let model =
            Known { capabilities: models[model].capabilities.clone(), context: 0, loads: true };
        let body = Bytes::from(ask(r#""reasoning_effort":"minimal","temperature":0.5"#));
        let aim = Aim { model, ..Aim::default() };
        let out = before(&OPENAI).request(&body, &aim).unwrap();
        (serde_json::from_slice::<Value>(&out.body).unwrap(), out.dropped)
    };
    let (sent, dropped) = ask(0);
    assert_eq!(sent["thinking"], json!({"type":"adaptive"}));
    assert_eq!(sent["output_config"], json!({"effort":"low"}));
    assert_eq!(dropped, ["temperature"]);
    let (sent, dropped) = ask(1);
    assert_eq!(sent.get("thinking"), None);
    assert_eq!(dropped, ["think"]);
}

#[test]
fn thoughts_go_back_with_their_seal_or_not_at_all() {
    let turn = |extra: &str| {
        with(&format!(
            r#"[{{"role":"user","content":"x"}},{{"role":"assistant","reasoning":"hm",{extra}"tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"c","content":"r"}}],"reasoning_effort":"low""#
        ))
        .replace("]\"reasoning", "],\"reasoning")
    };
    let body = |extra: &str| {
        let body = turn(extra);
        body.strip_suffix('}').map(|b| format!("{b}}}")).unwrap()
    };
    let sealed =
        body(r#""reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"sig"}],"#);
    let sent = openai(&sealed);
    assert_eq!(
        sent["messages"][1]["content"][0],
        json!({"type":"thinking","thinking":"hm","signature":"sig"})
    );
    assert_eq!(sent["thinking"]["type"], "enabled");
    let open = body("");
    let sent = openai(&open);
    assert_eq!(sent["messages"][1]["content"][0]["type"], "tool_use");
    assert_eq!(sent.get("thinking"), None);
    assert_eq!(dropped(before(&OPENAI), &open), ["think"]);
}

#[test]
fn what_anthropic_cannot_be_told_is_named() {
    let body = ask(
        r#""seed":1,"frequency_penalty":0.5,"presence_penalty":0,"logit_bias":{"1":2},"logprobs":true,"min_p":0.1,"response_format":{"type":"json_object"},"temperature":0.5,"top_p":0.5"#,
    );
    assert_eq!(
        dropped(before(&OPENAI), &body),
        ["logit_bias", "seed", "frequency_penalty", "min_p", "logprobs", "top_p", "format"]
    );
    let sent = openai(&ask(r#""temperature":1.7,"stop":["a"," "],"user":"u""#));
    assert_eq!(sent.get("temperature"), None);
    assert_eq!(sent["stop_sequences"], json!(["a"]));
    assert_eq!(sent["metadata"], json!({"user_id":"u"}));
    let schema = ask(
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}"#,
    );
    assert_eq!(
        openai(&schema)["output_config"]["format"],
        json!({"type":"json_schema","schema":{"type":"object"}})
    );
    let embed = pair(&OPENAI, &ANTHROPIC, Operation::Embed);
    assert!(refused(embed, r#"{"model":"m","input":"x"}"#).contains("Anthropic makes none"));
    let plain = pair(&OPENAI, &ANTHROPIC, Operation::Generate);
    assert!(refused(plain, r#"{"model":"m","prompt":"x"}"#).contains("messages"));
}

#[test]
fn what_the_model_is_to_go_on_from_ends_in_no_space() {
    let sent = openai(&with(
        r#"[{"role":"assistant","content":"a"},{"role":"user","content":"x"},{"role":"assistant","content":"so "},{"role":"assistant","content":"far \n"}]"#,
    ));
    assert_eq!(sent["messages"][0]["role"], "assistant");
    assert_eq!(sent["messages"][2]["content"][1]["text"], "far");
    assert_eq!(sent["messages"][2]["content"][0]["text"], "so ");
}

#[test]
fn golden_75_tokens_from_the_cache_are_tokens_of_the_prompt() {
    let body = r#"{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","usage":{"input_tokens":5,"cache_read_input_tokens":10,"output_tokens":2}}"#;
    let usage = whole(&OPENAI, body)["usage"].clone();
    assert_eq!((&usage["prompt_tokens"], &usage["total_tokens"]), (&json!(15), &json!(17)));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 10);
    assert_eq!(whole(&OLLAMA, body)["prompt_eval_count"], 15);
}

#[test]
fn golden_73_anthropics_reasons_have_their_counterparts() {
    for (reason, expected) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("refusal", "content_filter"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
    ] {
        let body = format!(
            r#"{{"type":"message","content":[{{"type":"text","text":"a"}}],"stop_reason":"{reason}"}}"#
        );
        assert_eq!(whole(&OPENAI, &body)["choices"][0]["finish_reason"], expected);
    }
}

#[test]
fn a_stream_of_blocks_becomes_chunks_and_lines() {
    let stream = fixture("anthropic/thinking_and_tools.sse");
    let (out, state) = through(before(&OPENAI), true, &stream);
    assert!(state.finished);
    let frames = frames(&out);
    let deltas: Vec<&Value> = frames.iter().map(|frame| &frame["choices"][0]["delta"]).collect();
    let joined = |name: &str| deltas.iter().filter_map(|d| d[name].as_str()).collect::<String>();
    assert_eq!(joined("reasoning"), "Let me see.");
    assert_eq!(joined("content"), "I look.");
    let seal = deltas.iter().find_map(|d| d["reasoning_details"][0]["signature"].as_str());
    assert_eq!(seal, Some("EqQBCg=="));
    let arguments = |index: usize| {
        let calls = deltas.iter().map(|delta| &delta["tool_calls"][0]);
        let calls = calls.filter(|call| call["index"] == index);
        calls.filter_map(|call| call["function"]["arguments"].as_str()).collect::<String>()
    };
    assert_eq!(arguments(0), r#"{"city": "Paris", "id": 12345678901234567890}"#);
    assert_eq!(arguments(1), "{}");
    let usage = &frames[frames.len() - 2]["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(17), &json!(40)));
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 7);
    assert_eq!(frames.last().unwrap(), "[DONE]");

    let (out, _) = through(before(&OLLAMA), false, &stream);
    let lines = lines(&out);
    let calls = lines.iter().find_map(|line| line["message"]["tool_calls"].as_array()).unwrap();
    assert_eq!(calls[0]["function"]["arguments"]["city"], "Paris");
    assert_eq!((&calls[1]["id"], calls.len()), (&json!("toolu_2"), 2));
    let done = lines.last().unwrap();
    assert_eq!((&done["prompt_eval_count"], &done["eval_count"]), (&json!(17), &json!(40)));
}

#[test]
fn an_input_that_is_there_at_the_start_is_taken() {
    let (out, state) = through(before(&OLLAMA), false, &fixture("anthropic/odd.sse"));
    let lines = lines(&out);
    let said = |line: &Value| line["message"]["content"].as_str().unwrap().to_owned();
    assert_eq!(lines.iter().map(said).collect::<String>(), "AB");
    assert_eq!(lines[2]["message"]["tool_calls"][0]["function"]["arguments"], json!({"a":1}));
    assert_eq!(state.finish, Some(Finish::Length));
}

#[test]
fn golden_74_an_error_of_anthropics_ends_the_others_streams() {
    let stream = fixture("anthropic/error_after_content.sse");
    let (out, state) = through(before(&OPENAI), false, &stream);
    assert_eq!(state.fault.as_deref(), Some("Overloaded"));
    assert!(out.contains("\"message\":\"Overloaded\"") && !out.contains("[DONE]"), "{out}");
    let (out, _) = through(before(&OLLAMA), false, &stream);
    assert_eq!(lines(&out).last().unwrap(), &json!({"error":"Overloaded"}));
    // The same dialect has the event already.
    let (out, state) = through(front(&ANTHROPIC), false, &stream);
    assert_eq!(out.as_bytes(), stream);
    assert_eq!(state.fault.as_deref(), Some("Overloaded"));
}

#[test]
fn a_message_that_says_it_failed_or_is_none_is_no_answer() {
    let answer = |body: &'static str| {
        before(&OPENAI).answer(&name(), &Bytes::from_static(body.as_bytes()), &reply(false), NOW)
    };
    let failed = r#"{"type":"error","error":{"type":"api_error","message":"boom"}}"#;
    assert!(matches!(answer(failed), Err(Error::Reported { message, .. }) if message == "boom"));
    assert!(matches!(answer(r#"{"type":"list"}"#), Err(Error::NotUnderstood { .. })));
    let open = r#"{"type":"message","content":[],"stop_reason":null}"#;
    assert!(matches!(answer(open), Err(Error::Incomplete { .. })));
}

#[test]
fn a_conversation_goes_through_anthropic_and_comes_back_the_same() {
    // OpenAI's words to Anthropic's, and those back to OpenAI's.
    let messages = json!([{"role":"user","content":"x"},
        {"role":"assistant","content":"look","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"b\":1,\"a\":12345678901234567890}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"r"},
        {"role":"user","content":"y"}]);
    let body = json!({"model":"m","max_tokens":5,"messages":messages}).to_string();
    let there = before(&OPENAI).request(&Bytes::from(body), &Aim::default()).unwrap();
    let back = front(&OPENAI).request(&there.body, &Aim::default()).unwrap();
    let back: Value = serde_json::from_slice(&back.body).unwrap();
    assert_eq!(back["messages"], messages);
    assert_eq!(back["max_tokens"], 5);
}

#[test]
fn what_anthropic_would_not_take_is_refused_by_name() {
    let refuse = |messages: &str, word: &str| {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        let error = refused(pair(&OLLAMA, &ANTHROPIC, Operation::Chat), &body);
        assert!(error.contains(word), "{error}");
    };
    refuse(r#"[{"role":"control","content":"x"}]"#, "messages[0].role");
    refuse(r#"[{"role":"user","content":" "}]"#, "messages must say something");
    refuse(r#"[{"role":"assistant","tool_calls":[{"function":{"arguments":{}}}]}]"#, "messages[0]");
    let result =
        r#"[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"c","content":"1"}]"#;
    refuse(result, "tool message without matching tool call");
}
