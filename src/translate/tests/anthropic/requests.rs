//! What an Anthropic client asks of the others.

use super::*;
use crate::{
    chat::Effort,
    dialect::{Switch, Thinking},
};

fn ask(extra: &str) -> String {
    let comma = if extra.is_empty() { "" } else { "," };
    format!(
        r#"{{"model":"m","max_tokens":100,"messages":[{{"role":"user","content":"hi"}}]{comma}{extra}}}"#
    )
}

fn with(messages: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":100,"messages":{messages}}}"#)
}

fn openai(body: &str) -> Value {
    sent(front(&OPENAI), body).unwrap()
}

fn ollama(body: &str) -> Value {
    sent(front(&OLLAMA), body).unwrap()
}

fn not(body: &str) -> String {
    refused(front(&OPENAI), body)
}

const LOOP: &str = r#"[
    {"role":"user","content":[{"type":"text","text":"look","cache_control":{"type":"ephemeral"}}]},
    {"role":"assistant","content":[
        {"type":"thinking","thinking":"hm","signature":"sig"},
        {"type":"text","text":"I look."},
        {"type":"tool_use","id":"toolu_1","name":"f","input":{"b": 1,"a":12345678901234567890}},
        {"type":"tool_use","id":"toolu_2","name":"g","input":{}}]},
    {"role":"user","content":[
        {"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"two"},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]},
        {"type":"tool_result","tool_use_id":"toolu_1","content":"one","is_error":true},
        {"type":"text","text":"and now?"}]}
]"#;

#[test]
fn golden_70_results_come_first_then_what_they_show_then_what_is_said() {
    let sent = openai(&with(LOOP));
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user"]);
    assert_eq!(
        (&messages[2]["tool_call_id"], &messages[2]["content"]),
        (&json!("toolu_2"), &json!("two"))
    );
    assert_eq!(messages[3]["tool_call_id"], "toolu_1");
    let said = &messages[4]["content"];
    assert_eq!(said[0]["image_url"]["url"], "data:image/png;base64,iVBORw0KGgo=");
    assert_eq!(said[1]["text"], "and now?");
    let call = &messages[1]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"b":1,"a":12345678901234567890}"#);
    assert_eq!((&messages[1]["content"], &call["id"]), (&json!("I look."), &json!("toolu_1")));
}

#[test]
fn a_failed_tool_is_told_as_one_where_there_is_no_mark_for_it() {
    assert_eq!(openai(&with(LOOP))["messages"][3]["content"], "Error: one");
    assert_eq!(ollama(&with(LOOP))["messages"][3]["content"], "Error: one");
}

#[test]
fn an_ollama_hears_names_thoughts_and_pictures() {
    let sent = ollama(&with(LOOP));
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(messages[1]["thinking"], "hm");
    assert_eq!(messages[1]["tool_calls"][0]["function"]["arguments"]["b"], 1);
    assert_eq!((&messages[2]["tool_name"], &messages[3]["tool_name"]), (&json!("g"), &json!("f")));
    assert_eq!(messages[4]["images"], json!(["iVBORw0KGgo="]));
    assert_eq!(sent["options"]["num_predict"], 100);
    // What the client does not say is the model's own.
    assert_eq!(sent["options"].get("temperature"), None);
    assert_eq!(sent["stream"], false);
}

#[test]
fn the_system_prompt_is_the_first_message() {
    for system in [r#""a\nb""#, r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#] {
        let sent = openai(&ask(&format!("\"system\":{system}")));
        assert_eq!(sent["messages"][0], json!({"role":"system","content":"a\nb"}));
        assert_eq!(sent["messages"][1]["role"], "user");
    }
    assert_eq!(openai(&ask(r#""system":"""#))["messages"][0]["role"], "user");
    let later = with(r#"[{"role":"user","content":"a"},{"role":"system","content":"b"}]"#);
    assert_eq!(openai(&later)["messages"][1]["role"], "system");
}

#[test]
fn sampling_is_said_in_the_words_of_the_others() {
    let all = ask(
        r#""temperature":0.5,"top_p":0.9,"top_k":5,"stop_sequences":["a"],"metadata":{"user_id":"u"},"stream":true"#,
    );
    let heard = openai(&all);
    assert_eq!((&heard["temperature"], &heard["top_p"]), (&json!(0.5), &json!(0.9)));
    assert_eq!((&heard["stop"], &heard["user"]), (&json!(["a"]), &json!("u")));
    assert_eq!((&heard["max_tokens"], &heard["stream"]), (&json!(100), &json!(true)));
    assert_eq!(dropped(front(&OPENAI), &all), ["top_k"]);
    let long = ask(&format!(r#""metadata":{{"user_id":"{}"}}"#, "u".repeat(65)));
    assert_eq!(openai(&long).get("user"), None);
    assert_eq!(ollama(&all)["options"]["top_k"], 5);
    assert_eq!(dropped(front(&OLLAMA), &all), [""; 0]);
}

#[test]
fn tools_and_choices_are_said_in_the_words_of_the_others() {
    let tools = r#""tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{"z":{},"a":{}}},"strict":true,"cache_control":{"type":"ephemeral"}},{"type":"custom","name":"g","input_schema":{"type":"object"}}]"#;
    let choose = |choice: &str| openai(&ask(&format!("{tools},\"tool_choice\":{choice}")));
    let sent = choose(r#"{"type":"auto"}"#);
    let function = &sent["tools"][0]["function"];
    assert_eq!((&function["name"], &function["strict"]), (&json!("f"), &json!(true)));
    assert_eq!(
        function["parameters"].to_string(),
        r#"{"properties":{"a":{},"z":{}},"type":"object"}"#
    );
    assert_eq!(sent["tool_choice"], "auto");
    assert_eq!(sent["parallel_tool_calls"], Value::Null);
    assert_eq!(choose(r#"{"type":"any"}"#)["tool_choice"], "required");
    assert_eq!(choose(r#"{"type":"none"}"#)["tool_choice"], "none");
    let one = choose(r#"{"type":"tool","name":"g","disable_parallel_tool_use":true}"#);
    assert_eq!(one["tool_choice"]["function"]["name"], "g");
    assert_eq!(one["parallel_tool_calls"], false);
    assert!(not(&ask(r#""tool_choice":{"type":"some"}"#)).contains("tool_choice.type"));
}

#[test]
fn thinking_and_effort_are_one_wish() {
    let efforts = &[Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh];
    let thinking = Thinking { efforts, switch: Switch::Effort, ..Thinking::default() };
    let aim = Aim { quirks: Quirks { thinking, ..Quirks::default() }, ..Aim::default() };
    let effort = |extra: &str| {
        let body = Bytes::from(ask(extra));
        let sent = front(&OPENAI).request(&body, &aim).unwrap();
        serde_json::from_slice::<Value>(&sent.body).unwrap()["reasoning_effort"].clone()
    };
    assert_eq!(effort(r#""thinking":{"type":"enabled","budget_tokens":2048}"#), "low");
    assert_eq!(effort(r#""thinking":{"type":"enabled","budget_tokens":30000}"#), "high");
    assert_eq!(effort(r#""thinking":{"type":"disabled"}"#), "none");
    assert_eq!(effort(r#""thinking":{"type":"adaptive"}"#), "medium");
    let both = r#""thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}"#;
    assert_eq!(effort(both), "xhigh");
    assert_eq!(effort(r#""output_config":{"effort":"low"}"#), "low");
    assert_eq!(effort(""), Value::Null);
    assert_eq!(ollama(&ask(r#""thinking":{"type":"disabled"}"#))["think"], false);
    let budget = ollama(&ask(r#""thinking":{"type":"enabled","budget_tokens":9000}"#));
    assert_eq!(budget["think"], true);
    assert!(
        not(&ask(r#""thinking":{"type":"enabled","budget_tokens":5}"#)).contains("budget_tokens")
    );
    assert!(not(&ask(r#""output_config":{"effort":"huge"}"#)).contains("output_config.effort"));
}

#[test]
fn a_schema_is_a_format_in_both_its_places() {
    let schema = r#"{"type":"json_schema","schema":{"type":"object","x":1}}"#;
    for place in [
        format!(r#""output_config":{{"format":{schema}}}"#),
        format!(r#""output_format":{schema}"#),
    ] {
        assert_eq!(ollama(&ask(&place))["format"], json!({"type":"object","x":1}));
        let format = openai(&ask(&place))["response_format"].clone();
        assert_eq!(format["json_schema"]["schema"]["x"], 1);
    }
    assert!(not(&ask(r#""output_config":{"format":{"type":"json"}}"#)).contains("format.type"));
}

#[test]
fn documents_and_addresses_go_where_they_are_understood() {
    let content = |block: &str| with(&format!(r#"[{{"role":"user","content":[{block}]}}]"#));
    let pdf = content(
        r#"{"type":"document","title":"t.pdf","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}"#,
    );
    let file = openai(&pdf)["messages"][0]["content"][0]["file"].clone();
    assert_eq!(file["filename"], "t.pdf");
    assert_eq!(file["file_data"], "data:application/pdf;base64,JVBERi0=");
    let url = content(r#"{"type":"image","source":{"type":"url","url":"https://x/y.png"}}"#);
    let image = openai(&url)["messages"][0]["content"][0].clone();
    assert_eq!(image["image_url"]["url"], "https://x/y.png");
    refused(front(&OLLAMA), &url);
    let paper = content(r#"{"type":"document","source":{"type":"url","url":"https://x/y.pdf"}}"#);
    let words = refused(front(&OPENAI), &paper);
    assert!(words.contains("messages[0].content[0]") && words.contains("documents"), "{words}");
    assert!(refused(front(&OLLAMA), &paper).contains("application/pdf"));
    let upload = content(r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#);
    assert!(not(&upload).contains("base64"));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let content = |block: &str| with(&format!(r#"[{{"role":"user","content":[{block}]}}]"#));
    for (body, words) in [
        (r#"{"model":"m","messages":[]}"#.to_owned(), "messages: at least one message"),
        (r#"{"model":"m","max_tokens":1}"#.to_owned(), "messages: Field required"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#.to_owned(),
            "max_tokens: Field required",
        ),
        (
            r#"{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"x"}]}"#.to_owned(),
            "max_tokens must be a whole number, at least 1",
        ),
        (with(r#"[{"role":"tool","content":"x"}]"#), "messages[0].role must be user"),
        (with(r#"[{"role":"user"}]"#), "messages[0].content: Field required"),
        (content(r#"{"type":"video"}"#), "messages[0].content[0].type must be text, image"),
        (
            content(r#"{"type":"text","text":"a"},{"type":"server_tool_use"}"#),
            "messages[0].content[1].type must be text",
        ),
        (content(r#"{"type":"tool_use","id":"a","name":"f"}"#), "only an assistant"),
        (
            content(
                r#"{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":"QQ=="}}"#,
            ),
            "source.media_type must be image/jpeg",
        ),
        (
            content(
                r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"!"}}"#,
            ),
            "source.data must be an image in base64",
        ),
        (ask(r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#), "tools[0].type"),
        (ask(r#""tools":[{"name":"f","input_schema":5}]"#), "tools[0].input_schema"),
        (ask(r#""mcp_servers":[{"url":"x"}]"#), "mcp_servers"),
    ] {
        let error = not(&body);
        assert!(error.contains(words), "{error} for {body}");
    }
}

#[test]
fn a_result_answers_one_call_that_was_made() {
    let result =
        |id: &str| format!(r#"{{"type":"tool_result","tool_use_id":"{id}","content":"x"}}"#);
    let turns = |results: &str| {
        with(&format!(
            r#"[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{{}}}}]}},{{"role":"user","content":[{results}]}}]"#
        ))
    };
    assert_eq!(openai(&turns(&result("t")))["messages"][2]["tool_call_id"], "t");
    let error = not(&turns(&result("other")));
    assert!(error.contains("messages[2].content[0].tool_use_id: no tool_use before it"), "{error}");
    let error = not(&turns(&format!("{},{}", result("t"), result("t"))));
    assert!(error.contains("messages[2].content[1]") && error.contains("already"), "{error}");
}

#[test]
fn what_nobody_else_can_be_told_is_named() {
    let body = ask(
        r#""container":"c","context_management":{"edits":[]},"service_tier":"auto","cache_control":{"type":"ephemeral"}"#,
    );
    assert_eq!(dropped(front(&OPENAI), &body), ["container", "context_management"]);
    let strict = Aim { strict: true, ..Aim::default() };
    assert!(front(&OPENAI).request(&Bytes::from(body), &strict).is_err());
}
