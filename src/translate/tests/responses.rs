//! The Responses API on either side, before and behind the others.

mod answers;
mod requests;
mod upstream;

use super::*;
use serde_json::json;

/// A client of the Responses API before this upstream.
fn front(upstream: &'static dyn Dialect) -> Pair {
    pair(&RESPONSES, upstream, Operation::Chat)
}

/// This client before an upstream of the Responses API.
fn before(client: &'static dyn Dialect) -> Pair {
    pair(client, &RESPONSES, Operation::Chat)
}

fn dropped(pair: Pair, body: &str) -> Vec<&'static str> {
    pair.request(&Bytes::copy_from_slice(body.as_bytes()), &Aim::default()).unwrap().dropped
}

/// What comes back for this request when the upstream answers so: unstreamed.
fn told(upstream: &'static dyn Dialect, request: &str, answer: &Value) -> Value {
    let pair = front(upstream);
    let reply = asking(pair, request);
    let answer = Bytes::from(answer.to_string());
    let (body, _) = pair.answer(&name(), &answer, &reply, NOW).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn asking(pair: Pair, request: &str) -> Reply {
    let plain = reply(false);
    pair.reply(request.as_bytes(), plain.id, plain.created_ms, plain.model)
}

/// The events of a stream, each of which must have the name that its data says, and its number.
fn events(stream: &str) -> Vec<Value> {
    assert!(stream.is_empty() || stream.ends_with("\n\n"), "{stream:?}");
    let named = stream.split_terminator("\n\n").enumerate().map(|(number, event)| {
        let (name, data) = event.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
        assert_eq!(data["sequence_number"], number, "{data}");
        data
    });
    named.collect()
}

/// What a reader puts together from events: the last of them, whose items must be those that grew before.
///
/// Holds what OpenAI's own readers hold: an item begins before it grows, keeps its identity, and is done before the end.
// Source: openai-python lib/streaming/responses/_responses.py.
fn gathered(stream: &str) -> Value {
    let mut items: Vec<(Value, bool)> = Vec::new();
    let mut last = Value::Null;
    for (at, event) in events(stream).into_iter().enumerate() {
        assert!(last.is_null(), "after the end: {event}");
        let kind = event["type"].as_str().unwrap().to_owned();
        match at {
            0 => assert_eq!(kind, "response.created"),
            1 => assert_eq!(kind, "response.in_progress"),
            _ => {}
        }
        if let Some(item) = event.get("item_id") {
            let place = event["output_index"].as_u64().unwrap() as usize;
            let (grown, done) = &items[place];
            assert!(!done && grown["id"] == *item, "{event}");
        }
        let place = event["output_index"].as_u64().map(|place| place as usize);
        let mut grow = |path: &str| {
            let slot = items[place.unwrap()].0.pointer_mut(path).expect("begun before it grows");
            *slot =
                format!("{}{}", slot.as_str().unwrap(), event["delta"].as_str().unwrap()).into();
        };
        match &*kind {
            "response.created" | "response.in_progress" => {
                let response = &event["response"];
                assert_eq!(response["status"], "in_progress");
                assert_eq!((&response["output"], &response["usage"]), (&json!([]), &Value::Null));
            }
            "response.output_item.added" => {
                assert_eq!(place, Some(items.len()));
                let thinks = event["item"]["type"] == "reasoning";
                assert!(thinks || event["item"]["status"] == "in_progress");
                items.push((event["item"].clone(), false));
            }
            "response.content_part.added" => {
                let content = items[place.unwrap()].0["content"].as_array_mut().unwrap();
                content.push(event["part"].clone());
            }
            "response.reasoning_summary_part.added" => {
                let summary = items[place.unwrap()].0["summary"].as_array_mut().unwrap();
                summary.push(event["part"].clone());
            }
            "response.output_text.delta" => {
                grow(&format!("/content/{}/text", event["content_index"]));
                let at = format!("/content/{}/logprobs", event["content_index"]);
                let logprobs = items[place.unwrap()].0.pointer_mut(&at).unwrap();
                let more = event["logprobs"].as_array().unwrap().iter().cloned();
                logprobs.as_array_mut().unwrap().extend(more);
            }
            "response.reasoning_summary_text.delta" => {
                grow(&format!("/summary/{}/text", event["summary_index"]));
            }
            "response.function_call_arguments.delta" => grow("/arguments"),
            "response.output_text.done" => {
                let part = &items[place.unwrap()].0["content"][0];
                assert_eq!(
                    (&part["text"], &part["logprobs"]),
                    (&event["text"], &event["logprobs"])
                );
            }
            "response.content_part.done" => {
                assert_eq!(items[place.unwrap()].0["content"][0], event["part"]);
            }
            "response.reasoning_summary_text.done" => {
                assert_eq!(items[place.unwrap()].0["summary"][0]["text"], event["text"]);
            }
            "response.reasoning_summary_part.done" => {
                assert_eq!(items[place.unwrap()].0["summary"][0], event["part"]);
            }
            "response.function_call_arguments.done" => {
                assert_eq!(items[place.unwrap()].0["arguments"], event["arguments"]);
            }
            "response.output_item.done" => {
                let (grown, done) = &mut items[place.unwrap()];
                assert!(!std::mem::replace(done, true), "done twice: {event}");
                let mut ended = event["item"].clone();
                assert_ne!(ended["status"], "in_progress");
                let seal = ended.as_object_mut().unwrap().remove("encrypted_content");
                if ended.get("status").is_some() && grown.get("status").is_some() {
                    ended["status"] = "in_progress".into();
                }
                assert_eq!(*grown, ended);
                *grown = event["item"].clone();
                assert_eq!(seal.is_some(), grown.get("encrypted_content").is_some());
            }
            "response.completed" | "response.incomplete" => last = event["response"].clone(),
            other => panic!("{other}"),
        }
    }
    assert!(items.iter().all(|(_, done)| *done), "{stream}");
    let items: Vec<Value> = items.into_iter().map(|(item, _)| item).collect();
    assert_eq!(last["output"], json!(items));
    last
}
