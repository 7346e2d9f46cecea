//! What is measured: bodies of two sizes, and prose.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use unigate::{
    dialect::{Dialect, Operation, openai::OPENAI},
    front::Front,
};

/// The sizes of a body, in KiB: a question, and a conversation.
pub(crate) const KB: [usize; 2] = [1, 32];

/// Text that is not about code, of about so many bytes, with the quotes and line ends of real text.
pub(crate) fn prose(bytes: usize) -> String {
    const SENTENCES: [&str; 6] = [
        "The harbour was quiet when the last ferry left, and nobody had asked where it was going.\n",
        "\"You could write to her,\" he said, \"but she reads her letters only in winter.\"\n",
        "Plans for the new library were discussed at length; the café next door objected.\n\n",
        "In the second year of the drought the village moved its market under the old bridge. ",
        "Most visitors come for the view, stay for the bread, and remember neither for long. ",
        "What the survey counted as one household was often three generations at one table. ",
    ];
    let mut text = String::with_capacity(bytes + 100);
    for sentence in SENTENCES.iter().cycle() {
        if text.len() >= bytes {
            break;
        }
        text.push_str(sentence);
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}

/// A chat request of about `kb` KiB: a system prompt and turns of up to 2 KiB, the model behind them.
pub(crate) fn body(kb: usize) -> Bytes {
    let turns = if kb == 1 { 1 } else { kb / 2 - 1 };
    let turn = (kb * 1024 - 150) / turns - 40;
    let mut messages = vec![json!({ "role": "system", "content": "You are a helpful guide." })];
    for at in 0..turns {
        let role = if at % 2 == 0 { "user" } else { "assistant" };
        messages.push(json!({ "role": role, "content": prose(turn) }));
    }
    // Written by hand, because the order of the fields matters.
    let messages = Value::from(messages);
    let body = format!(
        "{{\"messages\": {messages}, \"model\": \"auto\", \"temperature\": 0, \"stream\": false}}"
    );
    let size = body.len();
    assert!((kb * 950..=kb * 1080).contains(&size), "{size} bytes are not about {kb} KiB");
    body.into()
}

/// The same as a request that has come as far as the cache.
pub(crate) fn asked<B: From<Bytes>>(kb: usize) -> Request<B> {
    let body = body(kb);
    let path = "/v1/chat/completions";
    let ask = OPENAI.ask(Operation::Chat, &body).expect("a valid request");
    let mut request = Request::new(B::from(body));
    let front = Front::name(&Method::POST, path, request.headers());
    request.extensions_mut().insert(front);
    request.extensions_mut().insert(ask);
    request
}

pub(crate) fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}
