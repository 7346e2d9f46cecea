//! Anthropic on either side, before and behind the other two: golden cases 70 to 75.

mod answers;
mod requests;
mod upstream;

use super::*;
use serde_json::json;

/// An Anthropic client before this upstream.
fn front(upstream: &'static dyn Dialect) -> Pair {
    pair(&ANTHROPIC, upstream, Operation::Chat)
}

/// This client before Anthropic.
fn before(client: &'static dyn Dialect) -> Pair {
    pair(client, &ANTHROPIC, Operation::Chat)
}

fn dropped(pair: Pair, body: &str) -> Vec<&'static str> {
    pair.request(&Bytes::copy_from_slice(body.as_bytes()), &Aim::default()).unwrap().dropped
}

/// The events of a stream, each of which must have the name that its data says.
fn events(stream: &str) -> Vec<Value> {
    assert!(stream.is_empty() || stream.ends_with("\n\n"), "{stream:?}");
    let named = stream.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
        data
    });
    named.collect()
}

/// What a reader puts together from events: the content of the message, and the last that was said of the whole.
///
/// Holds what Anthropic's own readers hold: one block at a time, in order, nothing after the end.
fn gathered(stream: &str) -> (Vec<Value>, Value) {
    let mut content: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let (mut open, mut last, mut over) = (false, Value::Null, false);
    for (at, event) in events(stream).into_iter().enumerate() {
        assert!(!over, "after the end: {event}");
        assert_eq!(at == 0, event["type"] == "message_start");
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert_eq!(event["message"]["content"], json!([]));
                assert_eq!(event["message"]["stop_reason"], Value::Null);
            }
            "content_block_start" => {
                assert!(!std::mem::replace(&mut open, true), "two open at once");
                assert_eq!(event["index"], content.len());
                content.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                assert!(open);
                let index = event["index"].as_u64().unwrap() as usize;
                assert_eq!(index, content.len() - 1);
                let delta = &event["delta"];
                let name = match delta["type"].as_str().unwrap() {
                    "text_delta" => "text",
                    "thinking_delta" => "thinking",
                    "signature_delta" => "signature",
                    "input_json_delta" => {
                        inputs[index].push_str(delta["partial_json"].as_str().unwrap());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                let before = content[index][name].as_str().expect("begins as a text");
                content[index][name] = format!("{before}{}", delta[name].as_str().unwrap()).into();
            }
            "content_block_stop" => assert!(std::mem::replace(&mut open, false)),
            "message_delta" => last = event,
            "message_stop" => over = true,
            other => panic!("{other}"),
        }
    }
    assert!(over && !open, "{stream}");
    for (block, input) in content.iter_mut().zip(inputs) {
        if !input.is_empty() {
            assert_eq!(block["input"], json!({}));
            block["input"] = serde_json::from_str(&input).unwrap();
        }
    }
    (content, last)
}
