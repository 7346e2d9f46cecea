//! Anthropic's events, as its SDKs gather them.

use super::{Steps, events, must};
use crate::{json::Json, normal};

/// The block that is open.
struct Block {
    kind: String,
    id: Json,
    name: String,
    input: String,
    seal: String,
}

pub(crate) fn read(stream: &str) -> Result<Json, String> {
    let mut steps = Steps::default();
    let (mut begun, mut ended, mut finished) = (false, false, false);
    let (mut open, mut count): (Option<Block>, u64) = (None, 0);
    for (name, data) in events(stream)? {
        let event = Json::read(data.as_bytes())?;
        let kind = event.at("type").str().unwrap_or_default().to_owned();
        must(name == Some(&kind), "an event is named as its type is", &event)?;
        must(!ended, "nothing follows the end", &event)?;
        must(begun || matches!(&*kind, "message_start" | "error" | "ping"), "begins it", &event)?;
        match &*kind {
            "ping" => {}
            "message_start" => {
                must(!begun, "a message begins once", &event)?;
                begun = true;
                let message = event.at("message");
                for (key, expected) in [("type", "message"), ("role", "assistant")] {
                    must(message.at(key).str() == Some(expected), key, &event)?;
                }
                must(
                    message.at("id").str().is_some_and(|id| id.starts_with("msg_")),
                    "id",
                    &event,
                )?;
                must(*message.at("content") == Json::List(vec![]), "content begins empty", &event)?;
                must(message.at("usage").at("input_tokens").number().is_some(), "usage", &event)?;
                must(message.at("model").str().is_some(), "model", &event)?;
            }
            "content_block_start" => {
                must(open.is_none() && !finished, "one block at a time", &event)?;
                must(event.at("index").number() == Some(count), "in their order", &event)?;
                count += 1;
                open = Some(block(event.at("content_block"), &mut steps)?);
            }
            "content_block_delta" => {
                let block = open.as_mut().ok_or("a piece outside of a block")?;
                must(event.at("index").number() == Some(count - 1), "of the open block", &event)?;
                piece(block, event.at("delta"), &mut steps)?;
            }
            "content_block_stop" => {
                must(event.at("index").number() == Some(count - 1), "of the open block", &event)?;
                let block = open.take().ok_or("no block is open")?;
                if block.kind == "tool_use" {
                    let input = if block.input.is_empty() { "{}" } else { &block.input };
                    steps.call(&block.id, &block.name, input);
                }
                if !block.seal.is_empty() {
                    steps.push("seal", Json::Text(block.seal));
                }
            }
            "message_delta" => {
                must(open.is_none(), "every block is closed first", &event)?;
                finished = true;
                steps.push("finish", event.at("delta").at("stop_reason").clone());
                must(event.at("usage").at("output_tokens").number().is_some(), "usage", &event)?;
                steps.push("usage", normal::counts(event.at("usage")));
            }
            "message_stop" => {
                must(finished, "a reason comes before the end", &event)?;
                ended = true;
                steps.push("end", Json::default());
            }
            "error" => {
                ended = true;
                must(event.at("error").at("type").str().is_some(), "an error has a type", &event)?;
                steps.push("error", event.at("error").at("message").clone());
            }
            _ => return Err(format!("older SDKs do not know it: {event}")),
        }
    }
    Ok(steps.done())
}

fn block(start: &Json, steps: &mut Steps) -> Result<Block, String> {
    let kind = start.at("type").str().unwrap_or_default().to_owned();
    // The SDKs add to what stands here, so that it has to be there.
    let empty = |key: &str| must(start.at(key).str() == Some(""), key, start);
    match &*kind {
        "text" => empty("text")?,
        "thinking" => {
            empty("thinking")?;
            empty("signature")?;
        }
        "tool_use" => {
            must(start.at("id").str().is_some_and(|id| !id.is_empty()), "id", start)?;
            must(*start.at("input") == Json::Object(vec![]), "input begins empty", start)?;
            steps.flush();
        }
        _ => return Err(format!("a block of an unknown kind: {start}")),
    }
    Ok(Block {
        kind,
        id: start.at("id").clone(),
        name: start.at("name").str().unwrap_or_default().to_owned(),
        input: String::new(),
        seal: String::new(),
    })
}

fn piece(block: &mut Block, delta: &Json, steps: &mut Steps) -> Result<(), String> {
    let text = |key: &str| delta.at(key).str().map(str::to_owned).ok_or(format!("{key}: {delta}"));
    match (&*block.kind, delta.at("type").str().unwrap_or_default()) {
        ("text", "text_delta") => steps.text("text", &text("text")?),
        ("thinking", "thinking_delta") => steps.text("thinking", &text("thinking")?),
        ("thinking", "signature_delta") => block.seal = text("signature")?,
        ("tool_use", "input_json_delta") => block.input += &text("partial_json")?,
        (kind, _) => return Err(format!("not in a block of the kind {kind}: {delta}")),
    }
    Ok(())
}
