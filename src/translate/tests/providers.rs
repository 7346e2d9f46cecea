//! What each provider does differently: its streams and its errors, as an Ollama client hears them.

use super::*;
use serde_json::json;

/// A stream of `openai/<name>.sse`, which thinks "Hm." unless it says otherwise, and says "Yes".
struct Heard {
    name: &'static str,
    thinking: &'static str,
    calls: Value,
    cached: Option<u64>,
    reasoning: Option<u64>,
}

fn one() -> Value {
    json!([["f", {"a":1}]])
}

fn heard() -> Vec<Heard> {
    let plain =
        |name| Heard { name, thinking: "Hm.", calls: json!([]), cached: None, reasoning: None };
    let calls = |name| Heard { calls: one(), ..plain(name) };
    let both = json!([["f", {"a":1}], ["g", {"b":2}]]);
    let counted = (Some(5), Some(2));
    vec![
        Heard { thinking: "", cached: counted.0, reasoning: counted.1, ..calls("openai") },
        calls("ollama"),
        calls("vllm"),
        calls("llamacpp"),
        calls("lmstudio"),
        calls("groq"),
        Heard { cached: counted.0, reasoning: counted.1, ..plain("openrouter") },
        calls("mistral"),
        Heard { cached: counted.0, reasoning: counted.1, ..plain("deepseek") },
        Heard { thinking: "", calls: both, ..plain("gemini") },
        Heard { cached: counted.0, ..plain("together") },
        Heard { cached: counted.0, ..calls("fireworks") },
        Heard { cached: counted.0, reasoning: counted.1, ..calls("xai") },
    ]
}

#[test]
fn every_providers_stream_is_heard_alike() {
    for Heard { name, thinking, calls, cached, reasoning } in heard() {
        let stream = fixture(&format!("openai/{name}.sse"));
        let (out, state) = through(ollama_front(Operation::Chat), false, &stream);
        let lines = lines(&out);
        let joined = |field: &str| -> String {
            lines.iter().filter_map(|line| line["message"][field].as_str()).collect()
        };
        assert_eq!(joined("content"), "Yes", "{name}");
        assert_eq!(joined("thinking"), thinking, "{name}");
        let called: Vec<_> = lines
            .iter()
            .filter_map(|line| line["message"]["tool_calls"].as_array())
            .flatten()
            .map(|call| json!([call["function"]["name"], call["function"]["arguments"]]))
            .collect();
        assert_eq!(Value::from(called), calls, "{name}");
        let last = lines.last().unwrap();
        assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")), "{name}");
        let usage =
            Usage { prompt: Some(9), completion: Some(4), cached, reasoning, ..Usage::default() };
        assert_eq!(state.usage, usage, "{name}");
    }
}

#[test]
fn every_providers_stream_is_heard_alike_in_its_own_dialect() {
    for Heard { name, cached, .. } in heard() {
        let stream = fixture(&format!("openai/{name}.sse"));
        let pair = pair(&OPENAI, &OPENAI, Operation::Chat);
        let (out, state) = through(pair, true, &stream);
        assert_eq!(out.as_bytes(), stream, "{name}");
        assert!(state.finished && state.usage.cached == cached, "{name}");
    }
}

#[test]
fn a_seal_on_what_was_thought_is_read_once() {
    let mut reader = OPENAI.reader(Operation::Chat);
    let mut deltas = Vec::new();
    for line in String::from_utf8(fixture("openai/openrouter.sse")).unwrap().lines() {
        if let Some(event) = line.strip_prefix("data: ") {
            reader.read(event.as_bytes(), &mut deltas);
        }
    }
    let seals = deltas.iter().filter(|delta| matches!(delta, chat::Delta::Signature(_)));
    assert_eq!(seals.collect::<Vec<_>>(), [&chat::Delta::Signature("seal".into())]);
}

#[test]
fn calls_are_told_apart_however_they_are_numbered() {
    let calls = |pieces: Value| {
        let chunk = |piece: &Value| json!({"choices":[{"index":0,"delta":{"tool_calls":[piece]}}]});
        let mut events: String = pieces
            .as_array()
            .unwrap()
            .iter()
            .map(|piece| format!("data: {}\n\n", chunk(piece)))
            .collect();
        events.push_str("data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n");
        let (out, _) = through(ollama_front(Operation::Chat), false, events.as_bytes());
        let calls = lines(&out)[0]["message"]["tool_calls"].clone();
        let calls = calls.as_array().unwrap().iter();
        calls.map(|call| call["function"]["arguments"].to_string()).collect::<Vec<_>>()
    };
    let piece = |index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str| {
        let mut piece = json!({"function":{"arguments":arguments}});
        if let Some(index) = index {
            piece["index"] = index.into();
        }
        if let Some(id) = id {
            piece["id"] = id.into();
        }
        if let Some(name) = name {
            piece["function"]["name"] = name.into();
        }
        piece
    };
    let both = ["{\"a\":1}", "{\"b\":2}"];
    for pieces in [
        // 0 for every call.
        [
            piece(Some(0), Some("x"), Some("f"), "{\"a\":1}"),
            piece(Some(0), Some("y"), Some("f"), "{\"b\":"),
            piece(Some(0), None, None, "2}"),
        ],
        // No index, id and name with every piece.
        [
            piece(None, Some("x"), Some("f"), "{\"a\":1}"),
            piece(None, Some("y"), Some("f"), "{\"b\":"),
            piece(None, Some("y"), Some("f"), "2}"),
        ],
        // Neither index nor id.
        [
            piece(None, None, Some("f"), "{\"a\":1}"),
            piece(None, None, Some("f"), "{\"b\":"),
            piece(None, None, None, "2}"),
        ],
        // The id comes behind the name, and counting begins at 1.
        [
            piece(Some(1), None, Some("f"), "{\"a\":"),
            piece(Some(1), Some("x"), None, "1}"),
            piece(Some(2), Some("y"), Some("f"), "{\"b\":2}"),
        ],
    ] {
        assert_eq!(calls(json!(pieces)), both, "{pieces:?}");
    }
}

#[test]
fn every_providers_error_in_a_stream_is_told_in_its_words() {
    for (name, words) in [
        ("vllm", "EngineCore encountered an issue"),
        ("groq", "over capacity"),
        ("openrouter", "Provider returned error (X: overloaded)"),
        ("deepseek", "the upstream ran out of resources"),
        ("llamacpp", "context shift is disabled"),
    ] {
        let stream = fixture(&format!("openai/{name}_error.sse"));
        let (out, state) = through(ollama_front(Operation::Chat), false, &stream);
        let lines = lines(&out);
        assert_eq!(lines.last().unwrap(), &json!({"error": words}), "{name}");
        assert_eq!((lines.len(), state.finished), (2, false), "{name}");
    }
}

#[test]
fn every_providers_refusal_is_told_in_its_words() {
    for (name, words) in [
        (
            "openai",
            "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.",
        ),
        (
            "azure",
            "The response was filtered due to the prompt triggering content management policy.",
        ),
        ("mistral", "stream_options.include_usage: Extra inputs are not permitted"),
        ("gemini", "Invalid JSON payload received. Unknown name \"seed\": Cannot find field."),
        (
            "lmstudio",
            "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
        ),
        ("xai", "Argument not supported on this model: stop"),
    ] {
        let body = fixture(&format!("openai/{name}_error.json"));
        let pair = ollama_front(Operation::Chat);
        let (status, out) = pair.error(StatusCode::BAD_REQUEST, &body);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), json!({"error": words}));
    }
    let list = fixture("openai/gemini_error.json");
    let error = ollama_front(Operation::Chat).answer(&name(), &list.into(), &reply(false), NOW);
    assert!(matches!(error, Err(Error::Reported { message, .. }) if message.contains("seed")));
}

#[test]
fn golden_63_a_whole_answer_behind_blank_lines_is_read() {
    let body = Bytes::from(fixture("openai/deepseek.json"));
    let pair = ollama_front(Operation::Chat);
    let (out, state) = pair.answer(&name(), &body, &reply(false), NOW).unwrap();
    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["message"], json!({"role":"assistant","content":"Yes","thinking":"Hm."}));
    assert_eq!((state.usage.prompt, state.usage.cached), (Some(9), Some(5)));
}
