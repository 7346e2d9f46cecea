//! An OpenAI client in front of Ollama: golden cases 16 to 44, 65 and 66.

mod answers;

use super::*;
use serde_json::json;

fn chat(extra: &str) -> String {
    let comma = if extra.is_empty() { "" } else { "," };
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{comma}{extra}}}"#)
}

fn with(messages: &str) -> String {
    format!(r#"{{"model":"m","messages":{messages}}}"#)
}

fn to_chat(body: &str) -> Value {
    sent(openai_front(Operation::Chat), body).unwrap()
}

fn not_chat(body: &str) -> String {
    refused(openai_front(Operation::Chat), body)
}

#[test]
fn golden_16_the_stream_flag_is_always_said() {
    assert_eq!(to_chat(&chat(""))["stream"], false);
    assert_eq!(to_chat(&chat(r#""stream":null"#))["stream"], false);
    assert_eq!(to_chat(&chat(r#""stream":true"#))["stream"], true);
}

#[test]
fn golden_17_token_limits_become_num_predict() {
    let limit = |extra: &str| to_chat(&chat(extra))["options"]["num_predict"].clone();
    assert_eq!(limit(r#""max_completion_tokens":5"#), 5);
    assert_eq!(limit(r#""max_tokens":9"#), 9);
    assert_eq!(limit(r#""max_tokens":9,"max_completion_tokens":5"#), 5);
    assert_eq!(limit(r#""max_tokens":9,"max_completion_tokens":null"#), 9);
    assert_eq!(limit(""), Value::Null);
    for bad in ["0", "-1", "1.5", "\"5\""] {
        let error = not_chat(&chat(&format!("\"max_completion_tokens\":{bad}")));
        assert!(error.contains("max_completion_tokens"), "{error}");
    }
}

#[test]
fn golden_18_stop_texts_are_a_list() {
    let stop = |extra: &str| to_chat(&chat(extra))["options"]["stop"].clone();
    assert_eq!(stop(r#""stop":"END""#), json!(["END"]));
    assert_eq!(stop(r#""stop":["a","b"]"#), json!(["a", "b"]));
    assert_eq!(stop(r#""stop":null"#), Value::Null);
    assert!(not_chat(&chat(r#""stop":["a",1]"#)).contains("stop"));
}

#[test]
fn golden_19_openai_defaults_are_said_aloud() {
    let options = |extra: &str| to_chat(&chat(extra))["options"].clone();
    assert_eq!(options(""), json!({"temperature": 1.0, "top_p": 1.0}));
    assert_eq!(options(r#""temperature":0"#), json!({"temperature": 0, "top_p": 1.0}));
    assert!(not_chat(&chat(r#""temperature":"hot""#)).contains("temperature must be a number"));
}

#[test]
fn numbers_stay_as_they_were_written() {
    let body = Bytes::from(chat(r#""temperature":0.10,"seed":18446744073709551616"#));
    let out = openai_front(Operation::Chat).request(&body, &Aim::default()).unwrap();
    let text = std::str::from_utf8(&out.body).unwrap();
    assert!(text.contains(r#""temperature":0.10,"#), "{text}");
    assert!(text.contains(r#""seed":18446744073709551616"#), "{text}");
}

#[test]
fn penalties_and_seed_are_options() {
    let options = to_chat(&chat(
        r#""frequency_penalty":0.5,"presence_penalty":-1,"seed":7,"top_k":3,"min_p":0.1,"repetition_penalty":1.1"#,
    ))["options"]
        .clone();
    assert_eq!(
        options,
        json!({"temperature":1.0,"top_p":1.0,"top_k":3,"min_p":0.1,"frequency_penalty":0.5,
            "presence_penalty":-1,"repeat_penalty":1.1,"seed":7})
    );
}

#[test]
fn golden_20_developers_are_the_system_and_parts_are_joined() {
    let body = with(
        r#"[{"role":"developer","content":"d"},{"role":"user","content":[{"text":"a"},{"type":"text","text":"b"}]}]"#,
    );
    assert_eq!(
        to_chat(&body)["messages"],
        json!([{"role":"system","content":"d"},{"role":"user","content":"a\nb"}])
    );
}

#[test]
fn golden_21_pictures_become_bare_base64_in_order() {
    let body = with(
        r#"[{"role":"user","content":[{"type":"text","text":"see"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}},
        {"type":"image_url","image_url":"data:image/jpeg;base64,/9j/"}]}]"#,
    );
    assert_eq!(
        to_chat(&body)["messages"],
        json!([{"role":"user","content":"see","images":["iVBORw0KGgo=","/9j/"]}])
    );
}

#[test]
fn golden_22_and_23_only_whole_data_urls_are_pictures() {
    let image = |url: &str| {
        with(&format!(
            r#"[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]"#
        ))
    };
    for url in ["https://x/y.png", "HTTP://x"] {
        assert!(not_chat(&image(url)).contains("image URLs are not currently supported"));
    }
    let images =
        to_chat(&image("data:image/png;base64,iVBORw0KGgo"))["messages"][0]["images"].clone();
    assert_eq!(images, json!(["iVBORw0KGgo="]));
    let images = to_chat(&image("data:image/png;base64,_9j_4A"))["messages"][0]["images"].clone();
    assert_eq!(images, json!(["/9j/4A=="]));
    for url in ["data:image/png;base64,%%%", "data:image/png,abc", "file:///x", "é", ""] {
        assert!(not_chat(&image(url)).contains("messages[0].content[0].image_url"), "{url}");
    }
}

#[test]
fn what_is_called_a_picture_and_is_none_is_refused_by_its_place() {
    for bytes in ["PHN2Zy8+", "JVBERi0xLjc=", "aGVsbG8="] {
        let body = with(&format!(
            r#"[{{"role":"user","content":"a"}},{{"role":"user","content":[{{"type":"text","text":"b"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{bytes}"}}}}]}}]"#
        ));
        let error = not_chat(&body);
        assert!(
            error.contains("messages[1].content[1].image_url") && error.contains("PNG"),
            "{error}"
        );
    }
}

#[test]
fn a_picture_that_is_too_large_is_refused_by_its_place() {
    let picture = |length: usize| {
        let mut bytes = b"\xff\xd8\xff".to_vec();
        bytes.resize(length, 0);
        let url = format!("data:image/jpeg;base64,{}", base64(&bytes));
        with(&format!(
            r#"[{{"role":"user","content":[{{"type":"text","text":"b"}},{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]"#
        ))
    };
    let aim = Aim { max_image_bytes: 30, ..Aim::default() };
    let request = |length| openai_front(Operation::Chat).request(&picture(length).into(), &aim);
    assert!(request(30).is_ok());
    let error = request(31).unwrap_err();
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    assert!(error.to_string().starts_with("messages[0].content[1]"), "{error}");
}

#[test]
fn a_prompt_that_would_be_cut_is_warned_of() {
    let warned = |context, more: &str| {
        let text = "x".repeat(400);
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#);
        let model = Known { context, ..Known::default() };
        let aim = Aim { model, ..Aim::default() };
        openai_front(Operation::Chat).request(&body.into(), &aim).unwrap().warnings
    };
    let expected =
        "the prompt has about 100 tokens, the model looks at 99: Ollama cuts the oldest messages";
    assert_eq!(warned(99, ""), [expected]);
    assert_eq!(warned(1000, r#","num_ctx":99"#), [expected]);
    let none: [&str; 0] = [];
    for (context, more) in
        [(100, ""), (0, ""), (99, r#","truncate":false"#), (99, r#","options":{"num_ctx":100}"#)]
    {
        assert_eq!(warned(context, more), none, "{context} {more}");
    }
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

#[test]
fn golden_24_arguments_keep_their_order_and_their_digits() {
    let body = Bytes::from(with(
        r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
        "function":{"name":"f","arguments":"{\"b\":1, \"a\":12345678901234567890}"}}]}]"#,
    ));
    let out = openai_front(Operation::Chat).request(&body, &Aim::default()).unwrap();
    let text = std::str::from_utf8(&out.body).unwrap();
    assert!(text.contains(
        r#"{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"index":0,"name":"f","arguments":{"b":1,"a":12345678901234567890}}}]}"#
    ), "{text}");
}

#[test]
fn golden_25_arguments_are_an_object_or_nothing() {
    let body = |arguments: &str| {
        with(&format!(
            r#"[{{"role":"assistant","tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{arguments}"}}}}]}}]"#
        ))
    };
    let arguments = |text: &str| {
        to_chat(&body(text))["messages"][0]["tool_calls"][0]["function"]["arguments"].clone()
    };
    assert_eq!(arguments(""), json!({}));
    assert_eq!(arguments("  "), json!({}));
    for bad in ["[1]", "{", "5", "{} x"] {
        assert!(not_chat(&body(bad)).contains("invalid tool call arguments"), "{bad}");
    }
}

#[test]
fn golden_26_and_27_tool_results_find_their_name_and_keep_their_id() {
    let body = with(
        r#"[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}},
        {"id":"c","function":{"name":"g","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]},
        {"role":"function","name":"h","content":"3"}]"#,
    );
    let messages = to_chat(&body)["messages"].clone();
    assert_eq!(
        messages[1],
        json!({"role":"tool","content":"1\n2","tool_name":"g","tool_call_id":"c"})
    );
    assert_eq!(messages[2], json!({"role":"tool","content":"3","tool_name":"h"}));
}

#[test]
fn golden_28_a_schema_is_the_format() {
    let format =
        |format: &str| to_chat(&chat(&format!("\"response_format\":{format}")))["format"].clone();
    assert_eq!(
        format(
            r#"{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object","a":1.0}}}"#
        ),
        json!({"type":"object","a":1.0})
    );
    assert_eq!(format(r#"{"type":"json_object"}"#), "json");
    assert_eq!(format(r#"{"type":"text"}"#), Value::Null);
    for bad in [r#"{"type":"json_schema"}"#, r#"{"type":"xml"}"#, "5"] {
        assert!(not_chat(&chat(&format!("\"response_format\":{bad}"))).contains("response_format"));
    }
}

const TWO_TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"f","strict":true}},{"type":"function","function":{"name":"g"}}]"#;

fn with_choice(more: &str) -> Result<(Value, Outgoing), Error> {
    let body = Bytes::from(chat(&format!("{TWO_TOOLS},{more}")));
    let out = openai_front(Operation::Chat).request(&body, &Aim::default())?;
    Ok((serde_json::from_slice(&out.body).unwrap(), out))
}

#[test]
fn golden_29_no_tools_for_none_and_all_for_auto() {
    let (sent, out) = with_choice(r#""tool_choice":"none""#).unwrap();
    assert_eq!((&sent["tools"], out.calls_as_text), (&Value::Null, false));
    let (sent, out) = with_choice(r#""tool_choice":"auto""#).unwrap();
    let shape = json!({"name":"f","parameters":{"type":"object","properties":{}}});
    assert_eq!(sent["tools"][0], json!({"type":"function","function":shape}));
    assert_eq!(
        (sent["tools"][1]["function"]["name"].as_str(), out.calls_as_text),
        (Some("g"), false)
    );
    assert!(out.dropped.is_empty());
    assert!(
        not_chat(&chat(r#""tools":[{"type":"custom","custom":{"name":"x"}}]"#)).contains("custom")
    );
}

#[test]
fn golden_29_a_call_that_must_be_is_the_form_of_the_answer() {
    let named = r#"{"type":"function","function":{"name":"g"}}"#;
    let allowed = r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}"#;
    for (choice, names) in [("\"required\"", &["f", "g"][..]), (named, &["g"]), (allowed, &["g"])] {
        let (sent, out) = with_choice(&format!("\"tool_choice\":{choice}")).unwrap();
        assert_eq!((&sent["tools"], out.calls_as_text), (&Value::Null, true), "{choice}");
        let forms = sent["format"]["anyOf"].as_array().unwrap();
        let found = forms.iter().map(|form| form["properties"]["name"]["const"].as_str().unwrap());
        assert_eq!(found.collect::<Vec<_>>(), names, "{choice}");
        assert_eq!(sent["messages"][0]["role"], "system");
        for name in names {
            let told = format!("{{\"name\":\"{name}\"");
            assert!(sent["messages"][0]["content"].as_str().unwrap().contains(&told), "{choice}");
        }
        assert!(out.dropped.is_empty(), "{:?}", out.dropped);
    }
}

#[test]
fn a_call_that_must_be_wins_over_another_form_which_is_named() {
    let more = r#""tool_choice":"required","response_format":{"type":"json_object"},"logprobs":true,"parallel_tool_calls":false"#;
    let (sent, out) = with_choice(more).unwrap();
    assert!(sent["format"]["anyOf"].is_array() && sent.get("logprobs").is_none());
    assert_eq!(out.dropped, ["response_format", "logprobs"]);
}

#[test]
fn what_is_to_be_called_is_told_in_the_first_system_message() {
    let body = r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","messages":[{"role":"user","content":"a"},{"role":"system","content":"Be brief."},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}]}"#;
    let sent = sent(openai_front(Operation::Chat), body).unwrap();
    let system = sent["messages"][1]["content"].as_str().unwrap();
    assert!(system.starts_with("Be brief.\n\n") && system.contains("{\"name\":\"f\"}"));
    assert_eq!(sent["messages"][2]["tool_calls"][0]["function"]["name"], "f");
    assert_eq!(sent["messages"][3]["tool_name"], "f");
}

#[test]
fn a_function_that_must_be_called_must_be_there() {
    let named = r#""tool_choice":{"type":"function","function":{"name":"h"}}"#;
    assert!(with_choice(named).unwrap_err().to_string().contains("\"h\""));
    assert!(not_chat(&chat(r#""tool_choice":"required""#)).contains("tool_choice"));
}

#[test]
fn a_text_that_had_to_be_a_call_is_told_as_one() {
    let pair = openai_front(Operation::Chat);
    let reply = Reply { calls_as_text: true, ..reply(false) };
    let line = |text: &str, done: bool| {
        let message = json!({"role":"assistant","content":text});
        json!({"message":message,"done":done,"done_reason":"stop","eval_count":9})
    };
    let (first, last) = ("{ \"name\": \"f\", \"argu", "ments\": {\"b\": 1, \"a\": 2.50}}");
    let stream = format!("{}\n{}\n{}\n", line(first, false), line(last, false), line("", true));
    for size in [1, 7, stream.len()] {
        let mut flow = pair.flow(&reply, false);
        let mut out = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            out.extend_from_slice(&flow.feed(Bytes::copy_from_slice(piece), NOW));
        }
        out.extend_from_slice(&flow.end(&name(), NOW));
        assert_eq!(flow.state().finish, Some(Finish::Tools));
        let frames = frames(&String::from_utf8(out).unwrap());
        let call = &frames[0]["choices"][0]["delta"]["tool_calls"][0];
        assert_eq!(call["function"], json!({"name":"f","arguments":"{\"b\":1,\"a\":2.50}"}));
        assert!(call["id"].as_str().unwrap().starts_with("call_"));
        assert_eq!(frames[1]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!((frames.len(), &frames[2]), (3, &json!("[DONE]")));
    }
    let whole = Bytes::from(line(&format!("{first}{last}"), true).to_string());
    let (answer, _) = pair.answer(&name(), &whole, &reply, NOW).unwrap();
    let choice = serde_json::from_slice::<Value>(&answer).unwrap()["choices"][0].clone();
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "f");
    assert_eq!(
        (&choice["message"]["content"], choice["finish_reason"].as_str()),
        (&Value::Null, Some("tool_calls"))
    );
    let (stream, _) = pair.whole_as_stream(&name(), &whole, &reply, NOW).unwrap();
    assert!(String::from_utf8_lossy(&stream).contains("\"tool_calls\""));
}

#[test]
fn a_text_that_had_to_be_a_call_and_is_none_is_an_error() {
    let pair = openai_front(Operation::Chat);
    let reply = Reply { calls_as_text: true, ..reply(false) };
    let said = r#"{"message":{"content":"No."},"done":true,"done_reason":"stop"}"#;
    let error = pair.answer(&name(), &said.into(), &reply, NOW).unwrap_err();
    assert_eq!((error.status(), error.code()), (StatusCode::BAD_GATEWAY, "no_function_call"));
    let mut flow = pair.flow(&reply, false);
    let out = flow.feed(format!("{said}\n").into(), NOW);
    assert!(frames(&String::from_utf8_lossy(&out))[0]["error"]["message"].is_string());
    assert!(!flow.state().meaningful, "another attempt may still be made");
    assert_eq!(flow.failure(&name()).unwrap().status(), StatusCode::BAD_GATEWAY);
    let cut = r#"{"message":{"content":"{\"name\":"},"done":true,"done_reason":"length"}"#;
    let (answer, _) = pair.answer(&name(), &cut.into(), &reply, NOW).unwrap();
    let choice = serde_json::from_slice::<Value>(&answer).unwrap()["choices"][0].clone();
    assert_eq!(
        (choice["finish_reason"].as_str(), choice["message"]["content"].as_str()),
        (Some("length"), Some(""))
    );
}

#[test]
fn golden_30_efforts_become_think() {
    let think = |effort: &str| {
        to_chat(&chat(&format!("\"reasoning_effort\":\"{effort}\"")))["think"].clone()
    };
    assert_eq!(think("none"), false);
    for (effort, level) in [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "max"),
    ] {
        assert_eq!(think(effort), level);
    }
    assert_eq!(to_chat(&chat(r#""reasoning":{"effort":"high"}"#))["think"], "high");
    assert_eq!(to_chat(&chat(r#""think":true"#))["think"], true);
    assert!(not_chat(&chat(r#""reasoning_effort":"weird""#)).contains("reasoning_effort"));
}

#[test]
fn golden_31_a_few_choices_and_at_least_one_message() {
    for wrong in ["0", "9", "1.5", "-1"] {
        let message = not_chat(&chat(&format!(r#""n":{wrong}"#)));
        assert_eq!(message, "n must be a whole number from 1 to 8");
    }
    to_chat(&chat(r#""n":1"#));
    let body = Bytes::from(chat(r#""n":3"#));
    let out = openai_front(Operation::Chat).request(&body, &Aim::default()).unwrap();
    assert_eq!(out.choices, 3, "one request of three");
    assert!(!String::from_utf8_lossy(&out.body).contains("\"n\""));
    assert_eq!(not_chat(&with("[]")), "[] is too short - 'messages'");
    assert_eq!(not_chat(r#"{"model":"m"}"#), "[] is too short - 'messages'");
}

#[test]
fn what_would_change_the_answer_is_refused_by_name() {
    for (field, extra) in [
        ("logprobs", r#""top_logprobs":2"#),
        ("top_logprobs", r#""logprobs":true,"top_logprobs":21"#),
        ("audio", r#""audio":{"voice":"x"}"#),
        ("modalities", r#""modalities":["text","audio"]"#),
    ] {
        assert!(not_chat(&chat(extra)).contains(field));
    }
    let file = r#"[{"role":"user","content":[{"type":"file","file":{"file_id":"x"}}]}]"#;
    assert!(not_chat(&with(file)).contains("file"));
    assert!(
        not_chat(&with(r#"[{"role":"user","content":5}]"#)).contains("messages[0].content must be")
    );
    assert!(
        not_chat(&with(r#"[{"role":"robot","content":""}]"#)).contains("messages[0].role must be")
    );
    assert!(not_chat(&with("[5]")).contains("messages[0] must be an object"));
    assert!(not_chat(&with("{}")).contains("messages must be a list"));
}

#[test]
fn what_changes_nothing_is_dropped_and_what_changes_little_is_named() {
    let body = chat(
        r#""user":"u","metadata":{"a":"b"},"store":true,"stream_options":{"include_usage":true},
        "service_tier":"auto","logprobs":false,"logit_bias":{"1":5},"modalities":["text"],"new_thing":1"#,
    );
    let out = openai_front(Operation::Chat).request(&Bytes::from(body), &Aim::default()).unwrap();
    assert_eq!(out.dropped, ["logit_bias"]);
    let value: Value = serde_json::from_slice(&out.body).unwrap();
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["messages", "model", "options", "stream"]);
}

#[test]
fn extensions_reach_ollama_and_options_win() {
    let body = chat(
        r#""keep_alive":"5m","num_ctx":4096,"format":"json","truncate":false,"temperature":0.5,
        "options":{"num_gpu":1,"temperature":0.2,"num_ctx":8192,"stop":["x"]}"#,
    );
    let value = to_chat(&body);
    assert_eq!(value["keep_alive"], "5m");
    assert_eq!(value["format"], "json");
    assert_eq!(value["truncate"], false);
    assert_eq!(
        value["options"],
        json!({"top_p":1.0,"num_gpu":1,"temperature":0.2,"num_ctx":8192,"stop":["x"]})
    );
}

#[test]
fn a_completion_is_a_generation() {
    let pair = openai_front(Operation::Generate);
    let value = sent(
        pair,
        r#"{"model":"m","prompt":["one"],"suffix":"end","max_tokens":3,"stream":true,"seed":1}"#,
    )
    .unwrap();
    assert_eq!(
        value,
        json!({"model":"m","prompt":"one","suffix":"end","stream":true,
            "options":{"temperature":1.0,"top_p":1.0,"seed":1,"num_predict":3}})
    );
    for (field, body) in [
        ("prompt", r#"{"model":"m","prompt":["a","b"]}"#),
        ("prompt", r#"{"model":"m","prompt":[1,2]}"#),
        ("prompt", r#"{"model":"m","prompt":""}"#),
        ("echo", r#"{"model":"m","prompt":"a","echo":true}"#),
        ("best_of", r#"{"model":"m","prompt":"a","best_of":2}"#),
    ] {
        assert!(refused(pair, body).contains(field), "{body}");
    }
}

#[test]
fn golden_66_texts_to_embed_are_texts() {
    let pair = openai_front(Operation::Embed);
    let input =
        |input: &str| sent(pair, &format!(r#"{{"model":"m","input":{input},"dimensions":8}}"#));
    assert_eq!(input("\"\"").unwrap(), json!({"model":"m","input":[""],"dimensions":8}));
    assert_eq!(input(r#"["a","b"]"#).unwrap()["input"], json!(["a", "b"]));
    for bad in ["[1,2,3]", "[]", "null", "[[1]]", "5"] {
        assert!(input(bad).unwrap_err().to_string().contains("input"), "{bad}");
    }
    let body = r#"{"model":"m","input":"a","encoding_format":"int8"}"#;
    assert!(refused(pair, body).contains("encoding_format"));
}

#[test]
fn broken_text_is_mended_as_go_does() {
    let body = Bytes::from_static(
        b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\xffb\"}]}",
    );
    let out = openai_front(Operation::Chat).request(&body, &Aim::default()).unwrap();
    let value: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(value["messages"][0]["content"], "a\u{fffd}b");
}

#[test]
fn an_option_of_the_wrong_type_is_named() {
    for bad in [r#""min_p":"low""#, r#""num_ctx":[]"#, r#""stop":5"#] {
        let error = not_chat(&chat(&format!("\"options\":{{{bad}}}")));
        assert!(error.contains("options."), "{error}");
    }
}
