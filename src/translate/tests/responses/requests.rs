//! Requests of the Responses API, as the others take them.

use super::*;

fn messages(upstream: &'static dyn Dialect, input: &Value) -> Value {
    let body = json!({ "model": "m", "input": input }).to_string();
    sent(front(upstream), &body).unwrap()["messages"].clone()
}

#[test]
fn a_text_and_instructions_are_two_messages() {
    let body = r#"{"model":"m","instructions":"Be brief.","input":"hi","max_output_tokens":7,
        "temperature":0.5,"user":"u","stream":true,"store":true,"metadata":{"a":"b"},
        "service_tier":"flex","truncation":"auto","include":["reasoning.encrypted_content"]}"#;
    let ollama = sent(front(&OLLAMA), body).unwrap();
    assert_eq!(
        ollama["messages"],
        json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }])
    );
    let options = json!({ "temperature": 0.5, "top_p": 1.0, "num_predict": 7 });
    assert_eq!((&ollama["options"], &ollama["stream"]), (&options, &json!(true)));
    let openai = sent(front(&OPENAI), body).unwrap();
    assert_eq!((&openai["max_tokens"], &openai["user"]), (&json!(7), &json!("u")));
    assert_eq!(openai["stream_options"], json!({ "include_usage": true }));
    let anthropic = sent(front(&ANTHROPIC), body).unwrap();
    assert_eq!((&anthropic["max_tokens"], &anthropic["system"]), (&json!(7), &json!("Be brief.")));
    for upstream in [&OLLAMA as &'static dyn Dialect, &OPENAI] {
        assert!(dropped(front(upstream), body).is_empty());
    }
}

#[test]
fn what_the_assistant_did_in_a_row_is_one_message() {
    let input = json!([
        { "role": "user", "content": [{ "type": "input_text", "text": "weather?" }] },
        { "type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
          "summary": [{ "type": "summary_text", "text": "Look" }, { "type": "summary_text", "text": "up" }] },
        { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
          "content": [{ "type": "output_text", "text": "A moment.", "annotations": [] }] },
        { "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather",
          "arguments": "{\"z\": 1, \"a\": 12345678901234567890}" },
        { "type": "function_call", "call_id": "c2", "name": "time", "arguments": "" },
        { "type": "function_call_output", "call_id": "c2", "output": "noon" },
        { "type": "function_call_output", "call_id": "c1",
          "output": [{ "type": "input_text", "text": "rain" }] },
        { "role": "developer", "content": "be kind" }
    ]);
    let openai = messages(&OPENAI, &input);
    assert_eq!(openai.as_array().unwrap().len(), 5);
    assert_eq!(
        openai[1],
        json!({ "role": "assistant", "content": "A moment.", "tool_calls": [
            { "id": "c1", "type": "function", "function":
                { "name": "weather", "arguments": r#"{"z":1,"a":12345678901234567890}"# } },
            { "id": "c2", "type": "function", "function": { "name": "time", "arguments": "{}" } }
        ] })
    );
    assert_eq!(openai[2], json!({ "role": "tool", "content": "noon", "tool_call_id": "c2" }));
    assert_eq!(openai[4], json!({ "role": "system", "content": "be kind" }));
    let ollama = messages(&OLLAMA, &input);
    assert_eq!(ollama[1]["thinking"], "Look\n\nup");
    assert_eq!(ollama[1]["tool_calls"][0]["id"], "c1");
    assert_eq!(
        (&ollama[3]["tool_name"], &ollama[3]["content"]),
        (&json!("weather"), &json!("rain"))
    );
}

#[test]
fn a_message_between_a_call_and_its_result_stays_with_the_call() {
    let input = json!([
        { "role": "user", "content": "x" },
        { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}" },
        { "role": "assistant", "content": "wait" },
        { "type": "function_call_output", "call_id": "c1", "output": "r" },
        { "type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}" },
        { "type": "function_call_output", "call_id": "c2", "output": "r" }
    ]);
    let roles: Vec<Value> = messages(&OPENAI, &input)
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].clone())
        .collect();
    assert_eq!(json!(roles), json!(["user", "assistant", "tool", "assistant", "tool"]));
}

#[test]
fn pictures_sounds_and_documents_go_along() {
    let part = |kind: &str, rest: Value| {
        let mut part = rest;
        part["type"] = kind.into();
        json!([{ "role": "user", "content": [{ "type": "input_text", "text": "see" }, part] }])
    };
    let image = part(
        "input_image",
        json!({ "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo=" }),
    );
    assert_eq!(messages(&OLLAMA, &image)[0]["images"], json!(["iVBORw0KGgo="]));
    let openai = messages(&OPENAI, &image);
    assert_eq!(openai[0]["content"][1]["image_url"]["url"], "data:image/png;base64,iVBORw0KGgo=");
    let audio = part(
        "input_audio",
        json!({ "input_audio": { "data": "UklGRgAAAABXQVZF", "format": "wav" } }),
    );
    assert_eq!(messages(&OPENAI, &audio)[0]["content"][1]["type"], "input_audio");
    let file = part(
        "input_file",
        json!({ "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0=" }),
    );
    assert_eq!(messages(&OPENAI, &file)[0]["content"][1]["file"]["filename"], "a.pdf");
    let web = part("input_image", json!({ "image_url": "https://example.com/a.png" }));
    assert_eq!(
        messages(&OPENAI, &web)[0]["content"][1]["image_url"]["url"],
        "https://example.com/a.png"
    );
    for (kind, rest, field) in [
        ("input_image", json!({ "file_id": "file-1" }), "content[1].file_id"),
        ("input_image", json!({ "image_url": "data:image/png;base64,*" }), "content[1].image_url"),
        ("input_file", json!({ "file_id": "file-1" }), "content[1].file_id"),
        ("input_file", json!({ "file_url": "https://example.com/a.pdf" }), "content[1].file_url"),
        ("input_file", json!({ "file_data": "?" }), "content[1].file_data"),
        ("input_video", json!({}), "\"input_video\""),
    ] {
        let body = json!({ "model": "m", "input": part(kind, rest) }).to_string();
        let words = refused(front(&OLLAMA), &body);
        assert!(words.contains(field) && words.contains("input[0]"), "{words}");
    }
}

#[test]
fn what_is_shown_is_refused_at_the_place_where_the_client_wrote_it() {
    let input = |part: Value| {
        json!({ "model": "m", "input": [
            { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" },
            { "type": "reasoning", "summary": [] },
            { "type": "function_call_output", "call_id": "c", "output": "x" },
            { "role": "user", "content": [{ "type": "input_text", "text": "see" }, part] }
        ] })
        .to_string()
    };
    let place = "input[3].content[1]";
    let web = input(json!({ "type": "input_image", "image_url": "https://example.com/a.png" }));
    let words = refused(front(&OLLAMA), &web);
    assert!(words.contains(place) && words.contains("image URLs"), "{words}");
    let pdf = input(json!({ "type": "input_file", "filename": "a.pdf", "file_data": "JVBERi0=" }));
    assert!(refused(front(&OLLAMA), &pdf).contains(place));
    let sound = json!({ "data": "UklGRgAAAABXQVZF", "format": "wav" });
    let sound = input(json!({ "type": "input_audio", "input_audio": sound }));
    assert!(refused(front(&ANTHROPIC), &sound).contains(place));
    let picture =
        json!({ "type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=" });
    let aim = Aim { max_image_bytes: 3, ..Aim::default() };
    let error = front(&OPENAI).request(&input(picture).into(), &aim).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{place} must be at most 3 bytes")), "{error}");
}

#[test]
fn a_file_without_a_type_is_text_where_it_is_text() {
    let file = |data: &str| {
        json!([{ "role": "user", "content": [
            { "type": "input_file", "filename": "a.txt", "file_data": data }] }])
    };
    assert_eq!(messages(&OLLAMA, &file("aW5wdXRfZmlsZQ=="))[0]["content"], "input_file");
    // Base64 by chance, and no text.
    let body = json!({ "model": "m", "input": file("input_file") }).to_string();
    let words = refused(front(&OLLAMA), &body);
    assert!(words.contains("input[0].content[0].file_data"), "{words}");
}

#[test]
fn functions_are_flat_here_and_nested_there() {
    let body = r#"{"model":"m","input":"x","parallel_tool_calls":false,
        "tools":[{"type":"function","name":"f","description":"d","strict":true,
            "parameters":{"type":"object","properties":{"b":{},"a":{}}}}],
        "tool_choice":{"type":"function","name":"f"},"reasoning":{"effort":"high","summary":"auto"}}"#;
    let openai = sent(front(&OPENAI), body).unwrap();
    assert_eq!(
        openai["tools"][0]["function"],
        json!({ "name": "f", "description": "d", "strict": true,
            "parameters": { "type": "object", "properties": { "b": {}, "a": {} } } })
    );
    assert_eq!(openai["tool_choice"], json!({ "type": "function", "function": { "name": "f" } }));
    assert_eq!(openai["parallel_tool_calls"], false);
    let ollama = sent(front(&OLLAMA), body).unwrap();
    assert_eq!(ollama["think"], "high");
    let allowed = body.replace(
        r#"{"type":"function","name":"f"},"#,
        r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]},"#,
    );
    assert_eq!(sent(front(&OPENAI), &allowed).unwrap()["tool_choice"], "required");
    let none = body.replace(r#"{"type":"function","name":"f"},"#, r#""none","#);
    assert!(sent(front(&OLLAMA), &none).unwrap().get("tools").is_none());
}

#[test]
fn tools_that_run_elsewhere_are_refused_by_name_but_for_a_search_which_is_left_out() {
    for kind in [
        "file_search",
        "mcp",
        "code_interpreter",
        "custom",
        "computer_use_preview",
        "image_generation",
        "local_shell",
        "namespace",
    ] {
        let body = json!({ "model": "m", "input": "x", "tools": [{ "type": kind }] }).to_string();
        let words = refused(front(&OLLAMA), &body);
        assert!(words.contains(kind) && words.contains("tools[0].type"), "{words}");
    }
    for kind in ["web_search", "web_search_preview", "web_search_2025_08_26"] {
        let tools = json!([{ "type": kind }, { "type": "function", "name": "f" }]);
        let body = json!({ "model": "m", "input": "x", "tools": tools }).to_string();
        assert_eq!(dropped(front(&OLLAMA), &body), ["web_search"]);
        assert_eq!(sent(front(&OLLAMA), &body).unwrap()["tools"].as_array().unwrap().len(), 1);
        let forced =
            json!({ "model": "m", "input": "x", "tools": tools, "tool_choice": { "type": kind } });
        assert!(refused(front(&OLLAMA), &forced.to_string()).contains("tool_choice.type"));
    }
}

#[test]
fn the_form_of_the_answer_is_told() {
    let ask = |format: Value| {
        let body =
            json!({ "model": "m", "input": "x", "text": { "format": format, "verbosity": "low" } });
        (sent(front(&OPENAI), &body.to_string()), sent(front(&OLLAMA), &body.to_string()))
    };
    let schema = json!({ "type": "object", "properties": { "b": {}, "a": {} } });
    let (openai, ollama) =
        ask(json!({ "type": "json_schema", "name": "n", "strict": true, "schema": schema }));
    let openai = openai.unwrap();
    assert_eq!(
        openai["response_format"]["json_schema"],
        json!({ "name": "n", "schema": schema, "strict": true })
    );
    assert_eq!(ollama.unwrap()["format"], schema);
    assert_eq!(ask(json!({ "type": "json_object" })).1.unwrap()["format"], "json");
    assert!(ask(json!({ "type": "text" })).1.unwrap().get("format").is_none());
    let words = ask(json!({ "type": "json_schema", "name": "n" })).0.unwrap_err().to_string();
    assert!(words.contains("text.format.schema"), "{words}");
}

#[test]
fn probabilities_are_asked_for_in_either_way() {
    let sent = |more: &str| {
        sent(front(&OPENAI), &format!(r#"{{"model":"m","input":"x",{more}}}"#)).unwrap()
    };
    let included = sent(r#""include":["message.output_text.logprobs"],"top_logprobs":3"#);
    assert_eq!((&included["logprobs"], &included["top_logprobs"]), (&json!(true), &json!(3)));
    assert_eq!(sent(r#""include":["message.output_text.logprobs"]"#)["logprobs"], true);
    assert!(sent(r#""top_logprobs":0"#).get("logprobs").is_none());
    assert!(
        refused(front(&OPENAI), r#"{"model":"m","input":"x","top_logprobs":21}"#).contains("20")
    );
}

#[test]
fn who_keeps_no_answers_says_so() {
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
        ("prompt", json!({ "id": "pmpt_1" })),
    ] {
        let mut body = json!({ "model": "m", "input": "x" });
        body[field] = value;
        for upstream in [&OLLAMA as &'static dyn Dialect, &OPENAI, &ANTHROPIC] {
            let words = refused(front(upstream), &body.to_string());
            assert!(words.contains(field), "{words}");
        }
        let outgoing =
            front(&RESPONSES).request(&body.to_string().into(), &Aim::default()).unwrap();
        assert_eq!(outgoing.body, body.to_string());
        body[field] = if field == "background" { json!(false) } else { Value::Null };
        assert!(sent(front(&OLLAMA), &body.to_string()).is_ok());
    }
    let reference = json!([{ "type": "item_reference", "id": "msg_1" }]);
    let body = json!({ "model": "m", "input": reference }).to_string();
    assert!(refused(front(&OLLAMA), &body).contains("input[0].id"));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (input, words) in [
        (json!(null), "input must be"),
        (json!([]), "input must be"),
        (json!(5), "input must be"),
        (json!([5]), "input[0] must be an object"),
        (json!([{ "type": "computer_call" }]), "\"computer_call\""),
        (json!([{ "role": "robot", "content": "x" }]), "input[0].role must be"),
        (json!([{ "role": "user", "content": 5 }]), "input[0].content must be"),
        (json!([{ "type": "function_call", "name": "f", "arguments": "{}" }]), "input[0].call_id"),
        (json!([{ "type": "function_call", "call_id": "c", "arguments": "{}" }]), "input[0].name"),
        (
            json!([{ "type": "function_call", "call_id": "c", "name": "f", "arguments": "[1" }]),
            "input[0].arguments",
        ),
        (
            json!([{ "type": "function_call_output", "call_id": "c", "output": "x" }]),
            "No tool call found for function call output with call_id c",
        ),
        (json!([{}]), "input[0].type must be"),
    ] {
        let body = json!({ "model": "m", "input": input }).to_string();
        let told = refused(front(&OLLAMA), &body);
        assert!(told.contains(words), "{told}");
    }
    for (more, words) in [
        (r#""max_output_tokens":0"#, "max_output_tokens"),
        (r#""temperature":"hot""#, "temperature"),
        (r#""reasoning":{"effort":"huge"}"#, "reasoning.effort"),
        (r#""tool_choice":"maybe""#, "tool_choice"),
        (r#""tools":[{"type":"function"}]"#, "tools[0].name"),
    ] {
        let told = refused(front(&OLLAMA), &format!(r#"{{"model":"m","input":"x",{more}}}"#));
        assert!(told.contains(words), "{told}");
    }
}
