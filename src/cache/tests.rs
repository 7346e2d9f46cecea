use super::*;
use crate::dialect::{Reply, Usage};
use crate::{dialect::Dialect, dialect::openai::OPENAI};
use http_body_util::Empty;
use std::sync::atomic::{AtomicU8, Ordering};
use unigate_layers::body::Buffered;

type Asked = Request<Buffered<Empty<Bytes>>>;

fn request(path: &str, body: &str) -> Asked {
    let mut request = Request::post(path).body(Buffered::whole(body.to_owned().into())).unwrap();
    let front = Front::name(request.method(), path, request.headers());
    let ask = front.dialect.ask(front.operation.unwrap(), body.as_bytes()).unwrap();
    request.extensions_mut().insert(front);
    request.extensions_mut().insert(ask);
    request
}

fn chat(fields: &str) -> Asked {
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    request("/v1/chat/completions", &format!(r#"{{"model":"m",{messages}{fields}}}"#))
}

fn key(request: &Asked) -> Key {
    ChatKey::default().key(request).unwrap()
}

#[test]
fn fields_that_change_the_answer_change_the_key() {
    let plain = key(&chat(""));
    for field in [
        r#","temperature":0"#,
        r#","top_p":0.5"#,
        r#","seed":1"#,
        r#","max_tokens":5"#,
        r#","max_completion_tokens":5"#,
        r#","stop":["x"]"#,
        r#","n":1"#,
        r#","tools":[{"type":"function","function":{"name":"f"}}]"#,
        r#","tool_choice":"none""#,
        r#","response_format":{"type":"json_object"}"#,
        r#","reasoning_effort":"low""#,
        r#","logprobs":true"#,
        r#","an_unknown_field":1"#,
    ] {
        assert_ne!(plain, key(&chat(field)), "{field}");
    }
}

#[test]
fn fields_that_only_change_how_it_travels_do_not() {
    let plain = key(&chat(""));
    for field in [
        r#","stream":true"#,
        r#","stream_options":{"include_usage":true}"#,
        r#","user":"someone""#,
        r#","metadata":{"a":"b"}"#,
    ] {
        assert_eq!(plain, key(&chat(field)), "{field}");
    }
    let tagged = r#"{"messages":[{"content":"hi","role":"user"}],"model":"M:latest"}"#;
    assert_eq!(plain, key(&request("/v1/chat/completions", tagged)));
}

#[test]
fn another_client_dialect_or_routing_is_another_key() {
    let plain = key(&chat(""));
    let mut scoped = chat("");
    scoped.extensions_mut().insert(Client([7; 32]));
    assert_ne!(plain, key(&scoped));
    let native = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    assert_ne!(plain, key(&request("/api/chat", native)));
    let routed = ChatKey::default().routing(b"other rules", Vec::new());
    assert_ne!(Some(plain), routed.key(&chat("")));
}

#[test]
fn headers_that_rules_look_at_are_part_of_the_key() {
    let policy = ChatKey::default().routing(b"", vec![HeaderName::from_static("x-team")]);
    let mut blue = chat("");
    blue.headers_mut().insert("x-team", HeaderValue::from_static("blue"));
    assert_ne!(policy.key(&chat("")), policy.key(&blue));
}

#[test]
fn no_answer_outlives_its_model_and_none_is_kept_while_models_change() {
    static MAKING: AtomicU8 = AtomicU8::new(1);
    let policy = ChatKey::default().standing(|_| match MAKING.load(Ordering::SeqCst) {
        0 => None,
        making => Some(vec![making]),
    });
    let before = policy.key(&chat("")).unwrap();
    MAKING.store(2, Ordering::SeqCst);
    assert_ne!(policy.key(&chat("")), Some(before));
    MAKING.store(0, Ordering::SeqCst);
    assert_eq!(policy.key(&chat("")), None);
}

#[test]
fn a_load_is_an_act_and_has_no_key() {
    let policy = ChatKey::default();
    for (path, body) in [
        ("/api/chat", r#"{"model":"m","messages":[]}"#),
        ("/api/generate", r#"{"model":"m"}"#),
        ("/api/generate", r#"{"model":"m","prompt":"","keep_alive":0}"#),
    ] {
        assert_eq!(policy.key(&request(path, body)), None, "{body}");
    }
}

#[test]
fn a_sampled_stream_is_not_cached_unless_somebody_asks_for_it() {
    let policy = ChatKey::default();
    let sampled = chat(r#","stream":true"#);
    assert!(policy.plan(&sampled).is_none());
    assert!(policy.plan(&chat(r#","stream":true,"temperature":0"#)).is_some());
    assert!(policy.plan(&chat(r#","stream":true,"seed":1"#)).is_some());
    assert!(policy.plan(&chat("")).is_some());
    assert!(policy.clone().sampled_streams(true).plan(&sampled).is_some());
    let mut wished = chat(r#","stream":true"#);
    wished.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    assert_eq!(policy.plan(&wished).unwrap().max_age, Some(Duration::from_secs(60)));
}

#[test]
fn what_the_headers_wish_is_done() {
    let plan = |name: &'static str, value: &'static str| {
        let mut request = chat("");
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        ChatKey::default().plan(&request)
    };
    assert!(plan("cache-control", "no-store").is_none());
    assert!(plan("x-unigate-cache-ttl", "0").is_none());
    let refresh = plan("cache-control", "private, No-Cache").unwrap();
    assert!(!refresh.read && refresh.write);
    assert!(!plan("cache-control", "max-age=0").unwrap().read);
    assert_eq!(plan("x-unigate-cache-ttl", "7").unwrap().ttl, Duration::from_secs(7));
    assert_eq!(plan("x-unigate-cache-ttl", "soon").unwrap().ttl, Duration::from_secs(3600));
}

#[test]
fn usage_that_the_bytes_do_not_show_is_told_to_who_asks_for_it() {
    let whole = br#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}]}"#;
    let reply = Reply::new("x".into(), 1, "m".into());
    let streamed = OPENAI.restream(Operation::Chat, whole, &reply).unwrap();
    let meta = Meta {
        streamed: true,
        tokens: Usage { prompt: Some(3), completion: Some(4), ..Usage::default() },
        model: Some("m".into()),
        ..Meta::default()
    };
    let entry = Entry {
        status: 200,
        content_type: None,
        body: streamed,
        stored_at_ms: 0,
        ttl_ms: 1,
        meta: serde_json::to_string(&meta).unwrap().into(),
    };
    let answer = ChatKey::default().replay(&chat(""), &entry, Duration::ZERO).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    assert_eq!(answer["usage"]["total_tokens"], 7);
}
