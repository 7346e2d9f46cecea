use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value};

fn set(body: &str, value: &str) -> Option<String> {
    let body = splice(&Bytes::copy_from_slice(body.as_bytes()), "model", value)?;
    Some(String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn only_the_value_changes() {
    let body = " {\n \"a\" : [1, 2.50e+3] ,\t\"model\" :\r\n \"old\" , \"z\": \"\\u00e9\" }\n\n";
    assert_eq!(set(body, "new").unwrap(), body.replace("\"old\"", "\"new\""));
}

#[test]
fn any_kind_of_value_is_replaced() {
    for value in ["null", "true", "-1.5e9", "\"a\\\"}b\"", "{\"model\":{}}", "[[\"]\"],{}]", "\"\""]
    {
        let body = format!("{{\"model\":{value},\"x\":1}}");
        assert_eq!(set(&body, "m").unwrap(), "{\"model\":\"m\",\"x\":1}", "{value}");
    }
}

#[test]
fn fields_of_the_same_name_inside_others_do_not_count() {
    let body =
        r#"{"a":{"model":"1"},"b":["model",{"model":"2"}],"c":"\"model\":\"3\"","model":"4"}"#;
    assert_eq!(set(body, "x").unwrap(), body.replace("\"4\"", "\"x\""));
    assert_eq!(set(r#"{"a":{"model":"1"}}"#, "x"), None);
}

#[test]
fn of_two_the_first_is_meant() {
    let body = r#"{"model":"1","model":"2"}"#;
    assert_eq!(set(body, "x").unwrap(), r#"{"model":"x","model":"2"}"#);
}

#[test]
fn a_key_may_be_spelled_with_escapes() {
    assert_eq!(set(r#"{"mod\u0065l":"1"}"#, "x").unwrap(), r#"{"mod\u0065l":"x"}"#);
    assert_eq!(find(br#"{"\ud83d\ude00":1}"#, "\u{1f600}"), Some(16..17));
    assert_eq!(find(br#"{"a\/b\n":1}"#, "a/b\n"), Some(10..11));
    for near in ["mod\\u0045l", "mode", "modell", "mod\\xl", "\\ud83dmodel", "Model"] {
        assert_eq!(set(&format!("{{\"{near}\":1}}"), "x"), None, "{near}");
    }
}

#[test]
fn the_value_is_escaped() {
    let body = set(r#"{"model":1}"#, "a\"b\\c\n\r\t\u{1}\u{1f}é").unwrap();
    assert_eq!(body, "{\"model\":\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001fé\"}");
}

#[test]
fn a_value_that_is_there_already_is_not_copied() {
    let body = Bytes::from_static(br#"{"model":"same"}"#);
    assert_eq!(splice(&body, "model", "same").unwrap().as_ptr(), body.as_ptr());
}

#[test]
fn garbage_is_none() {
    for body in [
        "",
        " ",
        "{",
        "{}",
        "[]",
        "null",
        "\"model\"",
        "{\"model\"",
        "{\"model\":",
        "{\"model\":}",
        "{\"model\":\"",
        "{\"model\":\"\\",
        "{\"model\":[",
        "{\"model\":1",
        "{model:1}",
        "{\"a\":1 \"model\":2}",
        "{\"a\" \"model\":2}",
        "{\"a\":,\"model\":2}",
        "{,\"model\":2}",
        "[\"model\",1]",
        "{\"a\":[[[[[",
    ] {
        assert_eq!(set(body, "x"), None, "{body}");
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let body = format!("{{\"a\":{deep},\"model\":\"old\"}}");
    assert!(set(&body, "new").unwrap().ends_with("\"model\":\"new\"}"));
}

#[test]
fn a_byte_order_mark_stays() {
    assert_eq!(set("\u{feff}{\"model\":1}", "x").unwrap(), "\u{feff}{\"model\":\"x\"}");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![Just("model".to_owned()), ".{0,6}"];
    prop::collection::vec((key, value), 0..6).prop_map(|pairs| pairs.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_to_text_what_a_parser_does_to_the_value(
        object in object(json()), name in ".*", pretty in any::<bool>()
    ) {
        let print = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let before = print(&object).unwrap();
        let after = set(&before, &name);
        if object.contains_key("model") {
            let mut expected = object;
            expected.insert("model".to_owned(), name.into());
            prop_assert_eq!(after.unwrap(), print(&expected).unwrap());
        } else {
            prop_assert_eq!(after, None);
        }
    }

    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200), name in ".*") {
        let _ = splice(&body.into(), "model", &name);
    }

    #[test]
    fn anything_like_json_is_survived(body in r#"[{}\[\]":,\\ model0-9u]{0,60}"#) {
        if let Some(after) = set(&body, "x") {
            // What it finds is where it says, and stays there.
            prop_assert_eq!(set(&after, "x"), Some(after));
        }
    }

    #[test]
    fn cut_anywhere_it_is_the_whole_answer_or_none(object in object(json()), at in any::<prop::sample::Index>()) {
        let text = serde_json::to_string(&object).unwrap();
        let whole = find(text.as_bytes(), "model");
        let cut = find(&text.as_bytes()[..at.index(text.len())], "model");
        prop_assert!(cut.is_none() || cut == whole);
    }
}
