//! The events of the Responses API, as OpenAI's SDKs gather them.

use super::{Steps, events, must};
use crate::{json::Json, normal};

pub(crate) fn read(stream: &str) -> Result<Json, String> {
    let mut steps = Steps::default();
    // What was told in pieces, by the place of the item: it has to be what the end of the item says.
    let mut told: Vec<String> = Vec::new();
    let mut items = 0;
    let mut ended = false;
    let mut kinds = Vec::new();
    for (number, (name, data)) in events(stream)?.into_iter().enumerate() {
        let event = Json::read(data.as_bytes())?;
        let kind = event.at("type").str().unwrap_or_default().to_owned();
        must(name == Some(&kind), "an event is named as its type is", &event)?;
        must(!ended, "nothing follows the end", &event)?;
        must(event.at("sequence_number").number() == Some(number as u64), "in order", &event)?;
        let at = event.at("output_index").number().unwrap_or_default() as usize;
        match &*kind {
            "response.created" | "response.in_progress" => {
                let running = event.at("response").at("status").str() == Some("in_progress");
                must(running, "it is still running", &event)?;
            }
            "response.output_item.added" => {
                must(at == told.len(), "items come in their order", &event)?;
                told.push(String::new());
                must(event.at("item").at("id").str().is_some(), "an item has an id", &event)?;
            }
            "response.content_part.added"
            | "response.content_part.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done" => {
                must(event.at("part").has("type"), "a part has a type", &event)?;
            }
            "response.output_text.delta"
            | "response.reasoning_summary_text.delta"
            | "response.function_call_arguments.delta" => {
                let piece = event.at("delta").str().ok_or("a piece is text")?;
                told.get_mut(at).ok_or("a piece before its item")?.push_str(piece);
            }
            "response.output_text.done" | "response.reasoning_summary_text.done" => {
                let whole = event.at("text").str();
                must(whole == told.get(at).map(String::as_str), "the pieces are it", &event)?;
            }
            "response.function_call_arguments.done" => {
                let whole = event.at("arguments").str();
                must(whole == told.get(at).map(String::as_str), "the pieces are it", &event)?;
            }
            "response.output_item.done" => {
                items += 1;
                item(event.at("item"), &mut steps)?;
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                ended = true;
                let response = event.at("response");
                let ends = format!("response.{}", response.at("status").str().unwrap_or_default());
                must(ends == kind, "the event is named as the status is", &event)?;
                if kind == "response.failed" {
                    told.iter().skip(items).for_each(|text| steps.text("text", text));
                    steps.push("error", response.at("error").at("message").clone());
                    continue;
                }
                let mut again = Steps::default();
                response.at("output").list().iter().try_for_each(|i| item(i, &mut again))?;
                steps.flush();
                must(again.done() == Json::List(steps.list.clone()), "all of it again", &event)?;
                steps.push("finish", normal::responses_finish(response));
                steps.push("usage", normal::counts(response.at("usage")));
            }
            "error" => {
                ended = true;
                told.iter().skip(items).for_each(|text| steps.text("text", text));
                steps.push("error", event.at("message").clone());
            }
            _ => return Err(format!("not an event of the SDKs: {event}")),
        }
        kinds.push(kind);
    }
    if kinds.first().is_some_and(|kind| kind != "response.created" && kind != "error") {
        return Err("a response begins with response.created".into());
    }
    Ok(steps.done())
}

fn item(item: &Json, steps: &mut Steps) -> Result<(), String> {
    match item.at("type").str().unwrap_or_default() {
        "reasoning" => {
            for part in item.at("summary").list() {
                steps.text("thinking", part.at("text").str().unwrap_or_default());
            }
            if item.has("encrypted_content") {
                steps.push("seal", Json::text("<sealed>"));
            }
            steps.flush();
        }
        "message" => {
            for part in item.at("content").list() {
                let text = part.at("text").str().or(part.at("refusal").str());
                steps.text("text", text.unwrap_or_default());
                if !part.at("logprobs").list().is_empty() {
                    steps.push("logprobs", part.at("logprobs").clone());
                }
            }
            steps.flush();
        }
        "function_call" => {
            let name = item.at("name").str().ok_or("a call has a name")?;
            steps.call(item.at("call_id"), name, item.at("arguments").str().unwrap_or_default());
        }
        _ => return Err(format!("an item of an unknown kind: {item}")),
    }
    Ok(())
}
