//! What is wrong is refused in the client's own dialect, by name; and what an upstream gets wrong stays where it is.

mod fields;
mod streams;

use crate::speakers::{SPEAKERS, Speaker};
use bytes::Bytes;
use http::StatusCode;
use unigate::{
    dialect::Operation,
    error::Error,
    translate::{Aim, Pair},
};

/// A request that is wrong, and what the refusal must name.
struct Wrong {
    client: &'static str,
    what: &'static str,
    named: &'static str,
    body: &'static str,
}

const fn wrong(
    client: &'static str,
    what: &'static str,
    named: &'static str,
    body: &'static str,
) -> Wrong {
    Wrong { client, what, named, body }
}

const WRONG: &[Wrong] = &[
    wrong("openai", "not JSON", "JSON", "{\"model\":\"m\",\"messages\":["),
    wrong("openai", "no object", "JSON", "[1]"),
    wrong("openai", "no messages", "messages", "{\"model\":\"m\"}"),
    wrong(
        "openai",
        "wrong base64",
        "messages[0].content[0].image_url",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%%%"}}]}]}"#,
    ),
    wrong(
        "openai",
        "wrong base64 of a sound",
        "messages[0].content[0].input_audio",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"%%%","format":"wav"}}]}]}"#,
    ),
    wrong(
        "openai",
        "a schema that is a text",
        "response_format.json_schema.schema",
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":"y"}}}"#,
    ),
    wrong(
        "openai",
        "an unknown role",
        "messages[0].role",
        r#"{"model":"m","messages":[{"role":"robot","content":"x"}]}"#,
    ),
    wrong(
        "openai",
        "an unknown part",
        "messages[0].content[0].type",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"hologram"}]}]}"#,
    ),
    wrong(
        "openai",
        "arguments that are not JSON",
        "messages[0].tool_calls[0].function.arguments",
        r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{"}}]},{"role":"user","content":"x"}]}"#,
    ),
    wrong(
        "openai",
        "a result without a call",
        "messages[1].tool_call_id",
        r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"c","content":"x"}]}"#,
    ),
    wrong("ollama", "not JSON", "JSON", "{\"model\":\"m\",\"messages\":["),
    wrong(
        "ollama",
        "wrong base64",
        "messages[0].images[0]",
        r#"{"model":"m","messages":[{"role":"user","images":["%%%"]}]}"#,
    ),
    wrong(
        "ollama",
        "a data: URL",
        "messages[0].images[0]",
        r#"{"model":"m","messages":[{"role":"user","images":["data:image/png;base64,iVBORw=="]}]}"#,
    ),
    wrong(
        "ollama",
        "a schema that is a text",
        "format",
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"format":"yaml"}"#,
    ),
    wrong("ollama", "no role", "messages[0].role", r#"{"model":"m","messages":[{"content":"x"}]}"#),
    wrong(
        "ollama",
        "a result without a call",
        "tool message without matching tool call",
        r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"tool","tool_name":"f","content":"x"}]}"#,
    ),
    wrong(
        "ollama",
        "arguments that are a text",
        "messages[0].tool_calls[0].function.arguments",
        r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
    ),
    wrong(
        "ollama",
        "an option of another type",
        "options.temperature",
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"options":{"temperature":"1"}}"#,
    ),
    wrong("anthropic", "not JSON", "JSON", r#"{"model":"m","max_tokens":9,"messages":["#),
    wrong(
        "anthropic",
        "no limit",
        "max_tokens",
        r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#,
    ),
    wrong("anthropic", "no messages", "messages", r#"{"model":"m","max_tokens":9}"#),
    wrong(
        "anthropic",
        "wrong base64",
        "messages[0].content[0].source",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%%%"}}]}]}"#,
    ),
    wrong(
        "anthropic",
        "a schema that is a text",
        "output_config.format.schema",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"output_config":{"format":{"type":"json_schema","schema":"y"}}}"#,
    ),
    wrong(
        "anthropic",
        "an unknown role",
        "messages[0].role",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"robot","content":"x"}]}"#,
    ),
    wrong(
        "anthropic",
        "an unknown block",
        "messages[0].content[0].type",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"hologram"}]}]}"#,
    ),
    wrong(
        "anthropic",
        "a result without a call",
        "messages[0].content[0].tool_use_id",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"x"}]}]}"#,
    ),
    wrong(
        "anthropic",
        "two results of one call",
        "messages[1].content[1].tool_use_id",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"x"},{"type":"tool_result","tool_use_id":"c","content":"x"}]}]}"#,
    ),
    wrong(
        "anthropic",
        "arguments that are a text",
        "messages[0].content[0].input",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":"{}"}]},{"role":"user","content":"x"}]}"#,
    ),
    wrong(
        "anthropic",
        "a tool of Anthropic's own",
        "tools[0].type",
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
    ),
    wrong("responses", "not JSON", "JSON", r#"{"model":"m","input":["#),
    wrong("responses", "no input", "input", r#"{"model":"m"}"#),
    wrong("responses", "an empty input", "input", r#"{"model":"m","input":[]}"#),
    wrong(
        "responses",
        "wrong base64",
        "input[0].content[0].image_url",
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,%%%"}]}]}"#,
    ),
    wrong(
        "responses",
        "a schema that is a text",
        "text.format.schema",
        r#"{"model":"m","input":"x","text":{"format":{"type":"json_schema","name":"n","schema":"y"}}}"#,
    ),
    wrong(
        "responses",
        "an unknown role",
        "input[0].role",
        r#"{"model":"m","input":[{"role":"robot","content":"x"}]}"#,
    ),
    wrong(
        "responses",
        "an unknown part",
        "input[0].content[0].type",
        r#"{"model":"m","input":[{"role":"user","content":[{"type":"hologram"}]}]}"#,
    ),
    wrong(
        "responses",
        "an unknown item",
        "input[0].type",
        r#"{"model":"m","input":[{"type":"hologram"}]}"#,
    ),
    wrong(
        "responses",
        "a result without a call",
        "input[0].call_id",
        r#"{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":"x"}]}"#,
    ),
    wrong(
        "responses",
        "arguments that are not JSON",
        "input[0].arguments",
        r#"{"model":"m","input":[{"type":"function_call","call_id":"c","name":"f","arguments":"x"}]}"#,
    ),
    wrong(
        "responses",
        "a tool of OpenAI's own",
        "tools[0].type",
        r#"{"model":"m","input":"x","tools":[{"type":"file_search"}]}"#,
    ),
    wrong(
        "responses",
        "an answer that somebody should have kept",
        "previous_response_id",
        r#"{"model":"m","input":"x","previous_response_id":"resp_1"}"#,
    ),
];

#[test]
fn a_wrong_request_is_refused_by_name_in_the_clients_own_dialect() {
    for client in SPEAKERS {
        let mut cases = WRONG.iter().filter(|wrong| wrong.client == client.name).peekable();
        assert!(cases.peek().is_some(), "nothing wrong is known of {}", client.name);
        for case in cases {
            for upstream in others(client) {
                let error = ask(client, upstream, case.body.as_bytes()).expect_err(case.what);
                assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{}: {error}", case.what);
                let words = words(client, &client.dialect.error(&error, "r1"));
                assert!(words.contains(case.named), "{}, {}: {words}", client.name, case.what);
            }
        }
    }
}

/// Upstreams of another dialect that this client can be served by.
fn others(client: &Speaker) -> impl Iterator<Item = &'static Speaker> {
    SPEAKERS.iter().filter(|upstream| upstream.serves(client) && !upstream.is(client))
}

fn ask(client: &Speaker, upstream: &Speaker, body: &[u8]) -> Result<Bytes, Error> {
    asked(client, upstream, Operation::Chat, body)
}

fn asked(
    client: &Speaker,
    upstream: &Speaker,
    operation: Operation,
    body: &[u8],
) -> Result<Bytes, Error> {
    let pair = Pair { client: client.dialect, upstream: upstream.dialect, operation };
    let aim = Aim { quirks: upstream.quirks(), ..Aim::default() };
    pair.request(&Bytes::copy_from_slice(body), &aim).map(|outgoing| outgoing.body)
}

/// The words of an error, found where a client of this dialect looks for them.
fn words(client: &Speaker, body: &[u8]) -> String {
    let body = crate::json::Json::read(body).unwrap();
    let error = body.at("error");
    let words = match client.name {
        "ollama" => error,
        "anthropic" => {
            assert_eq!(body.at("type").str(), Some("error"), "{body}");
            assert_eq!(error.at("type").str(), Some("invalid_request_error"), "{body}");
            error.at("message")
        }
        _ => {
            assert_eq!(error.at("type").str(), Some("invalid_request_error"), "{body}");
            error.at("message")
        }
    };
    words.str().unwrap_or_else(|| panic!("no words: {body}")).to_owned()
}
