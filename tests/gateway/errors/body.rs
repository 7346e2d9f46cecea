//! Bodies that are not what they should be.

use super::{CHATS, all_failed, ask, refusal};
use crate::support::{Gateway, Script, Upstream, config};
use http::Method;
use serde_json::json;

const INSTALLED: &[&str] = &["m"];

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_the_reason_and_the_place() {
    let deep = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"x":{}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let wrong = [
        ("{\"model\":\"m\",\n \"messages\" [", "at line 2 column"),
        (r#"{"model":"m","messages":[{"role":"#, "line 1 column"),
        ("", "missing request body"),
        (" \n", "missing request body"),
        ("[]", "not valid JSON"),
        ("{} x", "trailing characters"),
        ("\u{feff}{}", "line 1 column 1"),
        (r#"{"messages":[{"role":"user","content":"x"}]}"#, "model is required"),
        (r#"{"model":"","messages":[]}"#, "model is required"),
        (r#"{"model":5,"messages":[]}"#, "model must be a string"),
        (r#"{"model":["m"],"messages":[]}"#, "model must be a string"),
        (r#"{"model":"m","stream":"yes","messages":[]}"#, "stream must be true or false"),
        (r#"{"model":"m","stream":1,"messages":[]}"#, "stream must be true or false"),
        (r#"{"model":"m","model":"n","messages":[]}"#, "once"),
        (r#"{"model":"m","Model":"n","messages":[]}"#, "once"),
        (r#"{"MODEL":"m","messages":[]}"#, "once"),
        (r#"{"model":"m","stream":true,"stream":false,"messages":[]}"#, "once"),
        (r#"{"model":"m","stream":true,"Stream":false,"messages":[]}"#, "once"),
        (deep.as_str(), "nested deeper"),
    ];
    for path in CHATS {
        let upstream = Upstream::always(INSTALLED, Script::said("hi")).await;
        let gateway = Gateway::before(&upstream).await;
        for (body, expected) in &wrong {
            let answer = gateway.client().send(Method::POST, path, (*body).to_owned()).await;
            let (status, message, _) = refusal(path, &answer);
            assert_eq!(status, 400, "{path} {body}");
            assert!(message.contains(expected), "{path} {body:.40}: {message}");
        }
        assert!(upstream.seen().is_empty(), "nothing of it goes anywhere");
        let rows = all_failed(gateway, &vec![400; wrong.len()]).await;
        assert!(rows.iter().all(|row| row["error_code"] == "invalid_request"), "{rows:?}");
    }
}

#[tokio::test]
async fn a_rule_that_does_not_exist_is_not_found_and_the_others_are_named() {
    let upstream = Upstream::always(INSTALLED, Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    for path in CHATS {
        let mut body = ask(false);
        body["model"] = "auto:x".into();
        let (status, message, code) = refusal(path, &gateway.client().post(path, &body).await);
        assert_eq!(status, 404, "{path}");
        assert!(
            message.contains("auto:x") && message.contains("coder, small, default"),
            "{message}"
        );
        assert!(code.is_empty() || code == "model_not_found", "{code}");
    }
    all_failed(gateway, &[404, 404]).await;
}

#[tokio::test]
async fn what_cannot_be_translated_is_refused_by_its_name_and_never_dropped() {
    let upstream = Upstream::always(INSTALLED, Script::said("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let path = "/v1/chat/completions";
    let wrong = [
        (json!({ "n": 9 }), "n"),
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": "hello" }), "messages"),
        (json!({ "messages": null }), "messages"),
        (json!({ "messages": [5] }), "messages"),
        (json!({ "messages": [{ "role": "user", "content": 5 }] }), "content"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "max_tokens": "many" }), "max_tokens"),
        (json!({ "stop": 5 }), "stop"),
        (json!({ "tools": {} }), "tools"),
    ];
    for (fields, name) in &wrong {
        let mut body = ask(false);
        for (field, value) in fields.as_object().unwrap() {
            body[field] = value.clone();
        }
        let (status, message, _) = refusal(path, &gateway.client().post(path, &body).await);
        assert_eq!(status, 400, "{fields}: {message}");
        assert!(message.contains(name), "{fields}: {message}");
    }
    assert!(upstream.seen().is_empty());
    all_failed(gateway, &vec![400; wrong.len()]).await;
}

#[tokio::test]
async fn what_the_upstream_itself_refuses_is_its_own_word_in_the_clients_dialect() {
    let upstream =
        Upstream::always(INSTALLED, Script::error(400, &json!({ "error": "the reason" }))).await;
    let gateway = Gateway::before(&upstream).await;
    for path in CHATS {
        let answer = gateway.client().post(path, &ask(true)).await;
        let (status, message, _) = refusal(path, &answer);
        assert_eq!((status, message.as_str()), (400, "the reason"), "{path}");
    }
    let rows = all_failed(gateway, &[400, 400]).await;
    assert_eq!(rows[0]["error_message"], "the reason");
    assert_eq!(upstream.seen().len(), 2, "a refusal is not tried again");
}

#[tokio::test]
async fn an_upstream_that_refuses_our_credential_does_not_send_the_client_to_sign_in() {
    let folder = tempfile::tempdir().unwrap();
    for (provider, code) in [("openai", 401), ("openai", 403), ("ollama", 401), ("ollama", 403)] {
        let no = json!({ "error": { "message": "bad key", "type": "invalid_request_error" } });
        let upstream = Upstream::always(INSTALLED, Script::error(code, &no)).await;
        let mut config = config(&[("cloud", provider, &upstream)]);
        config.upstream.get_mut("cloud").unwrap().key =
            Some(crate::support::secret(&folder, "key", "sk-1"));
        let gateway = Gateway::start(config).await;
        for path in CHATS {
            let answer = gateway.client().post(path, &ask(false)).await;
            let (status, message, _) = refusal(path, &answer);
            assert_eq!(status, 502, "{path} at {provider}: {message}");
            assert!(message.contains("bad key"), "{message}");
        }
        all_failed(gateway, &[502, 502]).await;
    }
}
