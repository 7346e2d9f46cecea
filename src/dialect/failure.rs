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
        Err(_) => only(&body).unwrap_or_else(|| (plain(&body), None)),
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

/// Gemini's errors are lists of one.
fn only(body: &str) -> Option<(Option<String>, Option<String>)> {
    let list = serde_json::from_str::<Vec<&RawValue>>(body).ok()?;
    let fields = Fields::of(list.first()?, String::new(), false).ok()?;
    Some(object(&fields))
}

fn value(error: &RawValue) -> (Option<String>, Option<String>) {
    if let Ok(fields) = Fields::of(error, String::new(), false) {
        let message = ["message", "msg", "error"].iter().find_map(|name| fields.raw(name));
        let message = message.map(words_of).map(|message| match behind(&fields) {
            Some(behind) => format!("{message} ({behind})"),
            None => message,
        });
        return (message, fields.raw("code").and_then(text));
    }
    let message = words_of(error);
    // Ollama hands the whole error body of its runner on as a string.
    // Source: ollama llm/llama_server.go statusErrorMessage.
    if message.starts_with('{')
        && let Ok(inner) = Fields::body(&message)
        && let (Some(inner), code) = object(&inner)
    {
        return (Some(inner), code);
    }
    (Some(message).filter(|message| !message.is_empty()), None)
}

/// Who failed behind an upstream that only hands on, and in which words.
///
/// Source: openrouter.ai/docs, "Errors": `metadata.provider_name` and `metadata.raw`.
fn behind(error: &Fields<'_>) -> Option<String> {
    let metadata = error.object("metadata").ok()??;
    let name = metadata.raw("provider_name").and_then(text)?;
    // Its whole body, as a text.
    let raw = metadata.raw("raw").filter(|raw| raw.get().starts_with('"'));
    Some(match raw.and_then(|raw| value(raw).0) {
        Some(words) => format!("{name}: {words}"),
        None => name,
    })
}

fn words_of(raw: &RawValue) -> String {
    text(raw).or_else(|| complaints(raw)).unwrap_or_else(|| super::json::compact(raw.get()))
}

/// What a FastAPI server finds wrong with a body: a list of places and words, at Mistral inside one more object.
///
/// Source: fastapi.tiangolo.com, "Handling Errors"; api.mistral.ai, status 422.
fn complaints(raw: &RawValue) -> Option<String> {
    let raw = match Fields::of(raw, String::new(), false) {
        Ok(fields) => fields.raw("detail")?,
        Err(_) => raw,
    };
    let list = serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok()?;
    let one = |item: &RawValue| {
        let fields = Fields::of(item, String::new(), false).ok()?;
        let words = fields.raw("msg").and_then(text)?;
        let place = fields.list("loc").unwrap_or_default();
        let place: Vec<_> = place
            .iter()
            .map(|part| text(part).unwrap_or_else(|| part.get().to_owned()))
            .filter(|part| part != "body")
            .collect();
        Some(if place.is_empty() { words } else { format!("{}: {words}", place.join(".")) })
    };
    let all: Option<Vec<_>> = list.iter().map(|item| one(item)).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.join("; "))
}

fn plain(body: &str) -> Option<String> {
    let body = body.trim();
    // A page of a proxy between us says nothing that a client could use.
    (!body.is_empty() && !body.starts_with('<')).then(|| body.to_owned())
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        super::json::cut(&mut message, MAX_MESSAGE);
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
        assert_eq!(
            of(r#"[{"error":{"code":400,"message":"ctx","status":"S"}}]"#),
            ("ctx".into(), None)
        );
        for body in [
            r#"{"detail":[{"loc":["body","seed"],"msg":"no"},{"loc":["body","n",0],"msg":"bad"}]}"#,
            r#"{"object":"error","message":{"detail":[{"loc":["body","seed"],"msg":"no"},
                {"loc":["body","n",0],"msg":"bad"}]},"code":null}"#,
        ] {
            assert_eq!(of(body), ("seed: no; n.0: bad".into(), None), "{body}");
        }
        let behind = r#"{"error":{"message":"Provider returned error","metadata":
            {"provider_name":"X","raw":"{\"error\":{\"message\":\"ctx\"}}"}}}"#;
        assert_eq!(of(behind).0, "Provider returned error (X: ctx)");
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
