//! Ollama's lines, as its own client and ollama-python read them.

use super::{Steps, must};
use crate::json::Json;

pub(crate) fn read(stream: &str) -> Result<Json, String> {
    let mut steps = Steps::default();
    let body = stream.strip_suffix('\n').ok_or("the last line has no end")?;
    let mut ended = false;
    // ollama-python cuts lines where Python does.
    let cuts = |c| matches!(c, '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    for line in body.split(cuts) {
        let line = Json::read(line.as_bytes())?;
        must(!ended, "nothing follows the last line", &line)?;
        if line.has("error") {
            must(line.at("error").str().is_some(), "an error is a string", &line)?;
            steps.push("error", line.at("error").clone());
            ended = true;
            continue;
        }
        must(line.at("model").str().is_some(), "every line has the model", &line)?;
        must(line.at("created_at").str().is_some(), "every line has its time", &line)?;
        let message = line.at("message");
        let chat = !message.is_null();
        if chat {
            must(message.at("role").str() == Some("assistant"), "pydantic wants a role", &line)?;
            must(message.at("content").str().is_some(), "content is always there", &line)?;
        } else {
            must(line.at("response").str().is_some(), "response is always there", &line)?;
        }
        let words = if chat { message } else { &line };
        steps.text("thinking", words.at("thinking").str().unwrap_or_default());
        let text = words.at(if chat { "content" } else { "response" });
        steps.text("text", text.str().unwrap_or_default());
        for call in words.at("tool_calls").list() {
            let function = call.at("function");
            must(matches!(function.at("arguments"), Json::Object(_)), "an object", &line)?;
            let name = function.at("name").str().ok_or("a call has a name")?;
            steps.call(call.at("id"), name, &function.at("arguments").compact());
        }
        if line.has("logprobs") {
            steps.push("logprobs", line.at("logprobs").clone());
        }
        must(matches!(line.at("done"), Json::Plain(_)), "done is always there", &line)?;
        if line.at("done").compact() == "true" {
            ended = true;
            steps.push("finish", line.at("done_reason").clone());
            let counts = ["prompt_eval_count", "eval_count"]
                .into_iter()
                .filter(|name| line.has(name))
                .map(|name| (name, line.at(name).clone()));
            steps.push("usage", Json::object(counts));
            let took = line.at("total_duration").number();
            must(took.is_some_and(|took| took > 0), "clients divide by durations", &line)?;
        }
    }
    Ok(steps.done())
}
