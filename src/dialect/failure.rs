//! Reads the words out of an upstream's error, in any of the forms that are about.

use super::json::{Fields, text};
use http::StatusCode;
use serde_json::value::RawValue;

/// Most bytes of an upstream's error that are told to a client.
const MAX_MESSAGE: usize = 4096;

/// The words of an error body, and its code where it has one that is a word.
pub(crate) fn read(status: StatusCode, body: &[u8]) -> (String, Option<String>) {
    let body = String::from_utf8_lossy(body);
    let (message, code) = match Fields::body(&body) {
        Ok(fields) => object(&fields),
        Err(_) => (plain(&body), None),
    };
    let message = message.unwrap_or_else(|| {
        let reason = status.canonical_reason().unwrap_or("an error");
        format!("the upstream answered {} ({reason}) without saying why", status.as_u16())
    });
    (cut(message), code)
}

/// The words of the `error` of an event; `None` when it says that there is none.
pub(crate) fn words(error: &RawValue) -> Option<String> {
    match error.get() {
        "null" | "false" | "\"\"" | "0" => None,
        _ => Some(cut(value(error).0.unwrap_or_else(|| "the upstream reported an error".into()))),
    }
}

fn object(fields: &Fields<'_>) -> (Option<String>, Option<String>) {
    if let Some(error) = fields.raw("error") {
        let (message, code) = value(error);
        // Source: ollama server/cloud_proxy.go, 401 with the address to sign in at.
        return match (message, fields.raw("signin_url").and_then(text)) {
            (Some(message), Some(url)) => (Some(format!("{message} (sign in at {url})")), code),
            (message, _) => (message, code),
        };
    }
    // Mistral and FastAPI: the message stands at the top.
    let message = ["message", "detail"].iter().find_map(|name| fields.raw(name).map(words_of));
    (message, fields.raw("code").and_then(text))
}

fn value(error: &RawValue) -> (Option<String>, Option<String>) {
    if let Ok(fields) = Fields::of(error, String::new(), false) {
        let message = ["message", "msg", "error"].iter().find_map(|name| fields.raw(name));
        return (message.map(words_of), fields.raw("code").and_then(text));
    }
    let message = words_of(error);
    // Ollama hands the whole error body of its runner on as a string.
    // Source: ollama llm/llama_server.go statusErrorMessage.
    if message.starts_with('{') {
        if let Ok(inner) = Fields::body(&message) {
            if let (Some(inner), code) = object(&inner) {
                return (Some(inner), code);
            }
        }
    }
    (Some(message).filter(|message| !message.is_empty()), None)
}

fn words_of(raw: &RawValue) -> String {
    text(raw).unwrap_or_else(|| super::json::compact(raw.get()))
}

fn plain(body: &str) -> Option<String> {
    let body = body.trim();
    // A page of a proxy between us says nothing that a client could use.
    (!body.is_empty() && !body.starts_with('<')).then(|| body.to_owned())
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = message.floor_char_boundary(MAX_MESSAGE);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> (String, Option<String>) {
        read(StatusCode::BAD_GATEWAY, body.as_bytes())
    }

    #[test]
    fn the_words_are_found_in_every_form() {
        for body in [
            r#"{"error":"ctx"}"#,
            r#"{"error":{"message":"ctx","code":400}}"#,
            r#"{"object":"error","message":"ctx","code":400}"#,
            r#"{"detail":"ctx"}"#,
            r#"{"error":"{\"error\":{\"code\":400,\"message\":\"ctx\"}}"}"#,
            r#"{"code":400,"message":"ctx"}"#,
            " ctx\n",
        ] {
            assert_eq!(of(body), ("ctx".into(), None), "{body}");
        }
        assert_eq!(of(r#"{"error":{"message":"m","code":"c"}}"#), ("m".into(), Some("c".into())));
        assert!(of(r#"{"error":"unauthorized","signin_url":"https://x"}"#).0.contains("https://x"));
    }

    #[test]
    fn a_page_or_nothing_is_told_by_its_status() {
        for body in ["<html>Bad Gateway</html>", "", "{}", r#"{"error":null}"#] {
            assert!(of(body).0.contains("502 (Bad Gateway)"), "{body}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        assert!(of(&"ä".repeat(9000)).0.len() < 4200);
    }
}
