use super::*;
use crate::error::Error;
use serde_json::{Value, json};

#[test]
fn names_are_unique_and_in_kebab_case_and_addresses_parse() {
    for (at, provider) in PROVIDERS.iter().enumerate() {
        let name = provider.name;
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        assert!(PROVIDERS[at + 1..].iter().all(|other| other.name != name), "{name} twice");
        if !provider.url.is_empty() {
            let uri: http::Uri = provider.url.parse().unwrap();
            assert!(uri.authority().is_some() && uri.scheme().is_some(), "{name}");
        }
    }
}

#[test]
fn every_provider_has_a_stream_to_be_read() {
    let streams = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/openai");
    for provider in PROVIDERS.iter().filter(|row| row.dialect.name() != "anthropic") {
        let name = match provider.name {
            "openai-compatible" => "openai",
            name => name,
        };
        let path = format!("{streams}/{name}.sse");
        assert!(std::path::Path::new(&path).exists(), "{path}");
    }
}

#[test]
fn an_unknown_provider_is_told_all_there_are() {
    let upstream = config::Upstream { provider: "x".into(), ..config::Upstream::default() };
    let error = Provider::of("up", &upstream).unwrap_err();
    assert!(PROVIDERS.iter().all(|row| error.contains(row.name)), "{error}");
}

#[test]
fn another_server_under_the_name_of_openai_is_asked_for_less() {
    let openai = Provider::named("openai").unwrap();
    assert!(openai.quirks_at("api.openai.com").max_completion_tokens);
    let other = openai.quirks_at("localhost");
    assert!(!other.max_completion_tokens && other.usage == StreamUsage::Tried);
}

#[test]
fn what_is_known_of_a_model_goes_by_the_beginning_of_its_name() {
    let known = |provider: &str, model: &str| {
        let quirks = Provider::named(provider).unwrap().quirks;
        quirks.model(model).map(|model| model.prefix)
    };
    assert_eq!(known("openai", "gpt-5.1-codex"), Some("gpt-5.1"));
    assert_eq!(known("openai", "gpt-5-mini"), Some("gpt-5"));
    assert_eq!(known("openai", "gpt-5-chat-latest"), Some("gpt-5-chat"));
    assert_eq!(known("openai", "o3-mini"), Some("o3-mini"));
    assert_eq!(known("openai", "gpt-4o"), Some("gpt-4"));
    assert_eq!(known("groq", "openai/gpt-oss-120b"), Some("gpt-oss"));
    assert_eq!(known("gemini", "models/gemini-2.5-pro"), Some("gemini-2.5-pro"));
    assert_eq!(known("xai", "grok-4-fast-reasoning"), Some("grok-4"));
    assert_eq!(known("deepseek", "deepseek-chat"), None);
}

#[test]
fn a_key_goes_where_its_row_says() {
    let header = |name: &str| {
        let (name, value) = Provider::named(name).unwrap().credential.header("k").unwrap();
        assert!(value.is_sensitive());
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    assert_eq!(header("azure"), ("api-key".into(), "k".into()));
    assert_eq!(header("groq"), ("authorization".into(), "Bearer k".into()));
    assert!(Credential::Bearer.header("a\nb").is_err());
}

/// What an Ollama client's request becomes for this provider, and what was left out of it.
fn sent(provider: &str, model: &str, extra: &str) -> (Value, Vec<&'static str>) {
    let body = format!(
        r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"stream":true{extra}}}"#
    );
    write(provider, &body).unwrap()
}

fn write(provider: &str, body: &str) -> Result<(Value, Vec<&'static str>), Error> {
    let provider = Provider::named(provider).unwrap();
    let request = OLLAMA.read_request(Operation::Chat, body.as_bytes())?;
    let written = OPENAI.write_request(&request, provider.quirks)?;
    Ok((serde_json::from_slice(&written.body).unwrap(), written.dropped))
}

#[test]
fn thinking_is_told_as_each_provider_hears_it() {
    let absent = || json!([null, null, null, null]);
    let effort = |word: &str| json!([word, null, null, null]);
    let nested = |word: &str| json!([null, {"effort":word}, null, null]);
    let template = |on: bool| json!({"enable_thinking":on});
    for (provider, model, off, on, high) in [
        ("openai", "gpt-5.2", effort("none"), effort("medium"), effort("xhigh")),
        ("openai", "gpt-5-mini", absent(), effort("medium"), effort("high")),
        ("openai", "o3", absent(), effort("medium"), effort("high")),
        ("openai", "gpt-4o", absent(), absent(), absent()),
        ("azure", "my-deployment", absent(), absent(), absent()),
        ("azure", "gpt-5.1", effort("none"), effort("medium"), effort("high")),
        ("openai-compatible", "m", absent(), absent(), absent()),
        ("ollama", "qwen3", effort("none"), effort("medium"), effort("max")),
        ("groq", "openai/gpt-oss-20b", absent(), effort("medium"), effort("high")),
        ("groq", "qwen/qwen3-32b", effort("none"), absent(), absent()),
        ("groq", "llama-3.3-70b", absent(), absent(), absent()),
        ("openrouter", "m", nested("none"), nested("medium"), nested("max")),
        ("mistral", "mistral-small", effort("none"), effort("medium"), effort("max")),
        ("mistral", "magistral-medium", absent(), absent(), absent()),
        ("gemini", "gemini-3-flash", absent(), effort("medium"), effort("high")),
        ("gemini", "gemini-2.5-flash", effort("none"), effort("medium"), effort("high")),
        ("fireworks", "m", effort("none"), effort("medium"), effort("high")),
        ("xai", "grok-3-mini", absent(), effort("low"), effort("high")),
        ("xai", "grok-4", absent(), absent(), absent()),
        ("lmstudio", "m", absent(), absent(), absent()),
        (
            "vllm",
            "m",
            json!([null, null, null, template(false)]),
            json!(["medium", null, null, template(true)]),
            json!(["high", null, null, template(true)]),
        ),
        (
            "llamacpp",
            "m",
            json!([null, null, null, template(false)]),
            json!([null, null, null, {"enable_thinking":true,"reasoning_effort":"medium"}]),
            json!([null, null, null, {"enable_thinking":true,"reasoning_effort":"high"}]),
        ),
        (
            "deepseek",
            "deepseek-flash",
            json!([null, null, {"type":"disabled"}, null]),
            json!(["medium", null, {"type":"enabled"}, null]),
            json!(["max", null, {"type":"enabled"}, null]),
        ),
        (
            "together",
            "m",
            json!([null, {"enabled":false}, null, null]),
            json!(["medium", {"enabled":true}, null, null]),
            json!(["high", {"enabled":true}, null, null]),
        ),
    ] {
        for (think, expected) in [("false", off), ("true", on), ("\"max\"", high)] {
            let (body, dropped) = sent(provider, model, &format!(",\"think\":{think}"));
            let fields = ["reasoning_effort", "reasoning", "thinking", "chat_template_kwargs"];
            let told = json!(fields.map(|field| &body[field]));
            assert_eq!(told, expected, "{provider} {model} {think}");
            let heard = provider == "groq" && model.starts_with("qwen");
            assert_eq!(
                dropped.contains(&"think"),
                expected == absent() && !heard,
                "{provider} {model} {think}"
            );
        }
    }
}

const OPTIONS: &str = r#","options":{"temperature":1.8,"top_p":0.9,"top_k":40,"min_p":0.1,"repeat_penalty":1.1,
    "frequency_penalty":0.5,"presence_penalty":0.5,"seed":7,"stop":["x"],"num_predict":9},"logprobs":true,"top_logprobs":2"#;

#[test]
fn what_a_provider_refuses_is_left_out_and_named() {
    let extras = ["top_k", "min_p", "repeat_penalty"];
    let chooses =
        ["temperature", "top_p", "frequency_penalty", "presence_penalty", "stop", "logprobs"];
    for (provider, model, also) in [
        ("openai", "gpt-4o", &[][..]),
        ("openai", "gpt-5-mini", &chooses),
        ("openai", "o1", &chooses[..4]),
        ("azure", "gpt-5.1", &chooses),
        ("openai-compatible", "m", &[]),
        ("groq", "m", &["frequency_penalty", "presence_penalty"]),
        ("xai", "grok-4", &["frequency_penalty", "presence_penalty", "stop"]),
        ("gemini", "m", &["frequency_penalty", "presence_penalty", "seed"]),
        ("deepseek", "m", &["seed"]),
    ] {
        let (body, dropped) = sent(provider, model, OPTIONS);
        let gone: Vec<_> = also.iter().chain(&extras).copied().collect();
        for name in &gone {
            assert!(body.get(name).is_none(), "{provider} {model} {name}");
            assert!(dropped.contains(name), "{provider} {model} {name}: {dropped:?}");
        }
        let logprobs = matches!(provider, "groq" | "gemini") || model == "o1";
        let others = dropped.iter().filter(|name| !gone.contains(name));
        let expected = if logprobs { vec![&"logprobs"] } else { vec![] };
        assert_eq!(others.collect::<Vec<_>>(), expected, "{provider} {model}");
    }
    let (body, dropped) = sent("openai", "o3", r#","options":{"temperature":1,"top_p":1.0}"#);
    assert!(body.get("temperature").is_none() && dropped.is_empty(), "a default loses nothing");
}

#[test]
fn names_are_those_of_each_provider() {
    let (vllm, none) = sent("vllm", "m", OPTIONS);
    assert_eq!((&vllm["top_k"], &vllm["repetition_penalty"]), (&json!(40), &json!(1.1)));
    assert!(none.is_empty());
    let (llamacpp, none) = sent("llamacpp", "m", OPTIONS);
    assert_eq!((&llamacpp["min_p"], &llamacpp["repeat_penalty"]), (&json!(0.1), &json!(1.1)));
    assert!(none.is_empty() && llamacpp.get("repetition_penalty").is_none());
    let (mistral, dropped) = sent("mistral", "m", OPTIONS);
    assert_eq!((&mistral["random_seed"], &mistral["temperature"]), (&json!(7), &json!(1.5)));
    assert!(mistral.get("seed").is_none() && mistral.get("stream_options").is_none());
    assert_eq!(dropped, ["min_p"]);
    for (provider, name) in [
        ("openai", "max_completion_tokens"),
        ("azure", "max_completion_tokens"),
        ("groq", "max_completion_tokens"),
        ("xai", "max_completion_tokens"),
        ("mistral", "max_tokens"),
        ("deepseek", "max_tokens"),
        ("openai-compatible", "max_tokens"),
    ] {
        let (body, _) = sent(provider, "gpt-4o", OPTIONS);
        assert_eq!(body[name], 9, "golden 58, {provider}");
        assert_eq!(body["stream_options"].is_null(), provider == "mistral", "{provider}");
    }
}

#[test]
fn a_form_that_cannot_be_told_is_told_as_well_as_can_be() {
    let schema = r#","format":{"type":"object","required":["a"]}"#;
    let kind = |provider, extra| sent(provider, "m", extra).0["response_format"]["type"].clone();
    assert_eq!(kind("groq", schema), "json_schema");
    let (body, dropped) = sent("deepseek", "m", schema);
    assert_eq!(body["response_format"], json!({"type":"json_object"}));
    assert_eq!(dropped, ["json_schema"]);
    let (body, dropped) = sent("lmstudio", "m", r#","format":"json""#);
    assert_eq!(body["response_format"]["json_schema"]["schema"], json!({"type":"object"}));
    assert!(dropped.is_empty());
}

#[test]
fn a_function_that_must_be_called_is_offered_alone_where_only_words_are_read() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"q"}],
        "tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],
        "tool_choice":{"type":"function","function":{"name":"g"}},"parallel_tool_calls":false,"user":"u"}"#;
    let request = OPENAI.read_request(Operation::Chat, body).unwrap();
    let written = |provider| {
        let quirks = Provider::named(provider).unwrap().quirks;
        let written = OPENAI.write_request(&request, quirks).unwrap();
        (serde_json::from_slice::<Value>(&written.body).unwrap(), written.dropped)
    };
    let (body, dropped) = written("lmstudio");
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["tools"][0]["function"]["name"], "g");
    assert_eq!(dropped, ["parallel_tool_calls"]);
    let (body, dropped) = written("mistral");
    assert_eq!(body["tool_choice"]["function"]["name"], "g");
    assert_eq!((&body["parallel_tool_calls"], dropped), (&json!(false), vec!["user"]));
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
}

const HISTORY: &str = r#"{"model":"m","messages":[{"role":"user","content":"q"},
    {"role":"assistant","content":"","thinking":"Hm.","tool_calls":[
        {"id":"call_0123456789abcdef","function":{"name":"f","arguments":{}}},
        {"id":"Ab3dE6gH9","function":{"name":"g","arguments":{}}},
        {"function":{"name":"h","arguments":{}}}]},
    {"role":"tool","tool_name":"h","content":"H"},
    {"role":"tool","tool_call_id":"call_0123456789abcdef","content":"F"},
    {"role":"tool","tool_call_id":"Ab3dE6gH9","content":"G"}]}"#;

#[test]
fn golden_57_ids_of_calls_are_rewritten_where_they_must_be_and_stay_pairs() {
    let ids = |provider: &str| {
        let messages = write(provider, HISTORY).unwrap().0["messages"].clone();
        let calls: Vec<_> = (0..3).map(|at| messages[1]["tool_calls"][at]["id"].clone()).collect();
        let results: Vec<_> = (2..5).map(|at| messages[at]["tool_call_id"].clone()).collect();
        assert_eq!(results, [&calls[2], &calls[0], &calls[1]].map(Clone::clone), "{provider}");
        calls.iter().map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mistral = ids("mistral");
    let fits = |id: &String| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(mistral.iter().all(fits), "{mistral:?}");
    assert_eq!(mistral[1], "Ab3dE6gH9", "what fits stays");
    assert_eq!(mistral, ids("mistral"), "the same on the next turn");
    assert_eq!(ids("openai")[0], "call_0123456789abcdef");
}

#[test]
fn reasoning_of_earlier_turns_goes_back_under_its_name_or_not_at_all() {
    for (provider, name) in [
        ("openai", None),
        ("mistral", None),
        ("groq", None),
        ("vllm", Some("reasoning")),
        ("openrouter", Some("reasoning")),
        ("together", Some("reasoning")),
        ("deepseek", Some("reasoning_content")),
        ("llamacpp", Some("reasoning_content")),
        ("fireworks", Some("reasoning_content")),
    ] {
        let message = write(provider, HISTORY).unwrap().0["messages"][1].clone();
        for field in ["reasoning", "reasoning_content"] {
            let expected = if name == Some(field) { json!("Hm.") } else { Value::Null };
            assert_eq!(message[field], expected, "{provider} {field}");
        }
    }
    let sealed = br#"{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a",
        "reasoning_details":[{"type":"reasoning.text","text":"Hm.","signature":"seal"}]}]}"#;
    let request = OPENAI.read_request(Operation::Chat, sealed).unwrap();
    let written = OPENAI.write_request(&request, quirks::OPENROUTER).unwrap();
    let value: Value = serde_json::from_slice(&written.body).unwrap();
    let detail = &value["messages"][1]["reasoning_details"][0];
    assert_eq!((&detail["text"], &detail["signature"]), (&json!("Hm."), &json!("seal")));
}

#[test]
fn gemini_is_shown_a_seal_on_the_first_call_of_a_turn() {
    let calls = write("gemini", HISTORY).unwrap().0["messages"][1]["tool_calls"].clone();
    let seal = &calls[0]["extra_content"]["google"]["thought_signature"];
    assert_eq!(seal, "skip_thought_signature_validator");
    assert!(calls[1].get("extra_content").is_none());
    let openai = write("openai", HISTORY).unwrap().0;
    assert!(!openai.to_string().contains("extra_content"));
}

#[test]
fn an_openai_client_is_translated_for_an_ollama_unless_told_otherwise() {
    let ollama = Provider::named("ollama").unwrap();
    assert_eq!(ollama.speaks(&OPENAI, Operation::Chat, None).name(), "ollama");
    assert_eq!(ollama.speaks(&OPENAI, Operation::Chat, Some(&OPENAI)).name(), "openai");
    assert_eq!(ollama.speaks(&OPENAI, Operation::Other, None).name(), "openai");
    assert_eq!(ollama.speaks(&ANTHROPIC, Operation::Chat, None).name(), "ollama");
    assert_eq!(ollama.speaks(&ANTHROPIC, Operation::Chat, Some(&ANTHROPIC)).name(), "anthropic");
    assert_eq!(ollama.speaks(&ANTHROPIC, Operation::Count, Some(&ANTHROPIC)).name(), "ollama");
    assert_eq!(ollama.speaks(&RESPONSES, Operation::Chat, None).name(), "ollama");
    assert_eq!(ollama.speaks(&RESPONSES, Operation::Chat, Some(&OPENAI)).name(), "openai");
    // It has no vectors.
    assert_eq!(ollama.speaks(&OPENAI, Operation::Embed, Some(&ANTHROPIC)).name(), "ollama");
}

#[test]
fn the_responses_api_passes_to_who_speaks_it() {
    for (name, chat, spoken) in [
        ("openai", None, "responses"),
        ("xai", None, "responses"),
        ("openai", Some(&OPENAI as &'static dyn Dialect), "openai"),
        ("groq", None, "openai"),
        ("groq", Some(&RESPONSES), "responses"),
        ("anthropic", None, "anthropic"),
        ("ollama", Some(&RESPONSES), "responses"),
    ] {
        let provider = Provider::named(name).unwrap();
        let dialect = provider.speaks(&RESPONSES, Operation::Chat, chat);
        assert_eq!(dialect.name(), spoken, "{name}");
        let others = provider.speaks(&OPENAI, Operation::Chat, Some(&RESPONSES));
        assert_eq!(others.name(), provider.dialect.name());
    }
}
