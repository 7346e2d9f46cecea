//! What an answer repeats of its request: the settings that it was made with.

use super::object::Object;
use crate::dialect::json::{self, Fields};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::{Arc, LazyLock};

/// The fields of a response object that repeat the request, as one JSON object, with the API's own words where the
/// request says nothing. `None` for a body that is no JSON object.
pub(super) fn of(body: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).ok()?;
    Some(written(&fields))
}

/// The same for a request that says nothing.
pub(super) fn nothing() -> Arc<str> {
    static NOTHING: LazyLock<Arc<str>> = LazyLock::new(|| {
        Fields::body("{}").map(|fields| written(&fields)).unwrap_or_default().into()
    });
    NOTHING.clone()
}

fn written(fields: &Fields<'_>) -> String {
    let mut echo = Object::default();
    let mut put = |name: &'static str, absent: &str| {
        let absent = serde_json::from_str::<&RawValue>(absent).ok();
        echo.put(name, fields.raw(name).or(absent));
    };
    // Source: openai-python types/responses/response.py; openresponses.org for the penalties, which no request names.
    put("background", "false");
    put("frequency_penalty", "0");
    put("instructions", "null");
    put("max_output_tokens", "null");
    put("max_tool_calls", "null");
    put("metadata", "{}");
    put("parallel_tool_calls", "true");
    put("presence_penalty", "0");
    put("previous_response_id", "null");
    put("prompt_cache_key", "null");
    put("reasoning", r#"{"effort":null,"summary":null}"#);
    put("safety_identifier", "null");
    put("temperature", "1.0");
    put("tool_choice", "\"auto\"");
    put("tools", "[]");
    put("top_logprobs", "0");
    put("top_p", "1.0");
    put("truncation", "\"disabled\"");
    put("user", "null");
    echo.put("text", text(fields));
    // Whatever was asked for: this is how it is.
    echo.put("service_tier", "default");
    echo.put("store", false);
    let mut out = Vec::new();
    json::write(&mut out, &echo);
    // An event is on one line, whatever the client wrote.
    String::from_utf8(out).map(|echo| json::compact(&echo)).unwrap_or_default()
}

/// The form of the text, which is always said.
fn text<'a>(fields: &Fields<'a>) -> Object<'a> {
    let given = fields.object("text").ok().flatten();
    let mut text = given.as_ref().map(Object::of).unwrap_or_default();
    if given.is_none_or(|text| !text.has("format")) {
        text.put("format", Plain { r#type: "text" });
    }
    text
}

#[derive(Serialize)]
struct Plain {
    r#type: &'static str,
}
