//! There and back: what OpenAI's dialect says, told in another one and read again, is what was said.

use crate::{
    json::Json,
    normal,
    speakers::{SPEAKERS, Speaker},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use proptest::{prelude::*, sample::subsequence};
use unigate::{
    dialect::{Operation, Reply, Wishes},
    translate::{Aim, Pair},
};

const NOW: u64 = 1_785_000_002_000;

/// The dialects by which a conversation of OpenAI's can go and come back.
fn others() -> impl Iterator<Item = &'static Speaker> {
    SPEAKERS.iter().filter(|speaker| ["ollama", "anthropic"].contains(&speaker.name))
}

/// What another dialect's clients ask of an OpenAI, and the other way round.
fn pair(client: &Speaker, upstream: &Speaker) -> Pair {
    Pair { client: client.dialect, upstream: upstream.dialect, operation: Operation::Chat }
}

fn openai() -> &'static Speaker {
    SPEAKERS.iter().find(|speaker| speaker.name == "openai").unwrap()
}

// === what is said ===

fn text() -> impl Strategy<Value = String> {
    // A letter first: a blank text is no text to Anthropic.
    prop::collection::vec(any::<char>(), 0..30)
        .prop_map(|text| text.into_iter().fold("t".into(), |all: String, c| all + &c.to_string()))
}

/// Arguments: an object whose keys have an order, with numbers that no float holds.
fn arguments() -> impl Strategy<Value = Json> {
    let number = prop_oneof![
        any::<u128>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<u32>(), 0..4usize)
            .prop_map(|(number, zeros)| format!("{number}.5{}", "0".repeat(zeros))),
        Just("1.0".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("1e300".to_owned()),
    ];
    let leaf = prop_oneof![
        number.prop_map(Json::Plain),
        prop::collection::vec(any::<char>(), 0..8)
            .prop_map(|text| Json::Text(text.into_iter().collect())),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            fields(inner).prop_map(Json::Object),
        ]
    });
    fields(value).prop_map(Json::Object)
}

fn fields(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Vec<(String, Json)>> {
    let keys = ["zeta", "alpha", "é", "1", "b c", "quo\"te"];
    let keys = subsequence(keys.to_vec(), 0..=keys.len()).prop_shuffle();
    (keys, prop::collection::vec(value, 6))
        .prop_map(|(keys, values)| keys.into_iter().map(str::to_owned).zip(values).collect())
}

#[derive(Clone, Debug)]
struct Called {
    id: String,
    name: String,
    arguments: Json,
}

fn calls() -> impl Strategy<Value = Vec<Called>> {
    let call = ("[a-zA-Z0-9_-]{1,12}", "[a-z_]{1,10}", arguments());
    prop::collection::vec(call, 1..4).prop_map(|calls| {
        let numbered = calls.into_iter().enumerate();
        numbered
            .map(|(at, (id, name, arguments))| Called { id: format!("{id}{at}"), name, arguments })
            .collect()
    })
}

fn written(call: &Called) -> Json {
    let function = Json::object([
        ("name", Json::text(&call.name)),
        ("arguments", Json::Text(call.arguments.compact())),
    ]);
    Json::object([
        ("id", Json::text(&call.id)),
        ("type", Json::text("function")),
        ("function", function),
    ])
}

/// One turn: what the user says and shows, and what the assistant answers or calls.
#[derive(Clone, Debug)]
enum Turn {
    Said { question: String, pictures: Vec<Vec<u8>>, answer: String },
    Called { question: String, calls: Vec<Called>, results: Vec<String>, answer: String },
}

fn turn() -> impl Strategy<Value = Turn> {
    let picture = prop::collection::vec(any::<u8>(), 0..40).prop_map(|mut rest| {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.append(&mut rest);
        bytes
    });
    let said = (text(), prop::collection::vec(picture, 0..3), text())
        .prop_map(|(question, pictures, answer)| Turn::Said { question, pictures, answer });
    let called = (text(), calls(), prop::collection::vec(text(), 3), text()).prop_map(
        |(question, calls, results, answer)| Turn::Called { question, calls, results, answer },
    );
    prop_oneof![said, called]
}

fn message(role: &str, content: Json) -> Json {
    Json::object([("role", Json::text(role)), ("content", content)])
}

/// The messages of these turns, in a conversation that ends with a question.
fn messages(turns: &[Turn], number: usize) -> Vec<Json> {
    let mut all = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        match turn {
            Turn::Said { question, pictures, answer } => {
                let shown = |bytes: &Vec<u8>| {
                    let url = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes));
                    let url = Json::object([("url", Json::Text(url))]);
                    Json::object([("type", Json::text("image_url")), ("image_url", url)])
                };
                let said =
                    Json::object([("type", Json::text("text")), ("text", Json::text(question))]);
                let parts = std::iter::once(said).chain(pictures.iter().map(shown));
                all.push(match pictures.is_empty() {
                    true => message("user", Json::text(question)),
                    false => message("user", Json::List(parts.collect())),
                });
                all.push(message("assistant", Json::text(answer)));
            }
            Turn::Called { question, calls, results, answer } => {
                all.push(message("user", Json::text(question)));
                // An id is a call's own in the whole conversation.
                let own = |call: &Called| Called {
                    id: format!("{}_{number}{at}", call.id),
                    ..call.clone()
                };
                let calls: Vec<Called> = calls.iter().map(own).collect();
                let mut asked = message("assistant", Json::Plain("null".into()));
                asked.put("tool_calls", Json::List(calls.iter().map(written).collect()));
                all.push(asked);
                // The results in another order than the calls.
                for (call, result) in calls.iter().zip(results).rev() {
                    let mut result = message("tool", Json::text(result));
                    result.put("tool_call_id", Json::text(&call.id));
                    all.push(result);
                }
                all.push(message("assistant", Json::text(answer)));
            }
        }
    }
    all.push(message("user", Json::text("And now?")));
    all
}

/// The same with the arguments as JSON, so that an escape and its character are one.
fn read(mut messages: Json) -> Json {
    let Json::List(list) = &mut messages else { return messages };
    for message in list {
        let Some(Json::List(calls)) = message.at_mut("tool_calls") else { continue };
        for function in calls.iter_mut().filter_map(|call| call.at_mut("function")) {
            let arguments = function.at("arguments").str().unwrap_or_default().to_owned();
            function.put("arguments", Json::read(arguments.as_bytes()).unwrap());
        }
    }
    messages
}

fn request(turns: &[Turn], schema: &Json) -> Bytes {
    let function = Json::object([
        ("name", Json::text("f")),
        ("description", Json::text("what it does")),
        ("parameters", schema.clone()),
    ]);
    let tool = Json::object([("type", Json::text("function")), ("function", function)]);
    let body = Json::object([
        ("model", Json::text("m")),
        ("messages", Json::List(messages(turns, 7))),
        ("tools", Json::List(vec![tool])),
        ("max_completion_tokens", Json::Plain("512".into())),
        ("stream", Json::Plain("false".into())),
    ]);
    body.compact().into()
}

// === what is answered ===

#[derive(Clone, Debug)]
struct Answered {
    text: String,
    calls: Vec<Called>,
    cut: bool,
    tokens: (u32, u32),
}

fn answered() -> impl Strategy<Value = Answered> {
    let calls = prop_oneof![Just(Vec::new()), calls()];
    (prop_oneof![Just(String::new()), text()], calls, any::<bool>(), (1..9999u32, 1..9999u32))
        .prop_map(|(text, calls, cut, tokens)| Answered { text, calls, cut, tokens })
}

impl Answered {
    fn usage(&self) -> Json {
        let (prompt, completion) = self.tokens;
        let count = |count: u32| Json::Plain(count.to_string());
        Json::object([
            ("prompt_tokens", count(prompt)),
            ("completion_tokens", count(completion)),
            ("total_tokens", count(prompt + completion)),
        ])
    }

    fn finish(&self) -> &'static str {
        match (self.cut, self.calls.is_empty()) {
            (true, _) => "length",
            (false, true) => "stop",
            (false, false) => "tool_calls",
        }
    }

    fn object(kind: &str, choices: Json) -> Json {
        Json::object([
            ("id", Json::text("chatcmpl-1")),
            ("object", Json::text(kind)),
            ("created", Json::Plain("1785000000".into())),
            ("model", Json::text("m")),
            ("choices", choices),
        ])
    }

    fn whole(&self) -> Json {
        let silent = self.text.is_empty() && !self.calls.is_empty();
        let content = if silent { Json::Plain("null".into()) } else { Json::text(&self.text) };
        let mut message = message("assistant", content);
        if !self.calls.is_empty() {
            message.put("tool_calls", Json::List(self.calls.iter().map(written).collect()));
        }
        let choice = Json::object([
            ("index", Json::Plain("0".into())),
            ("message", message),
            ("finish_reason", Json::text(self.finish())),
        ]);
        let mut body = Self::object("chat.completion", Json::List(vec![choice]));
        body.put("usage", self.usage());
        body
    }

    /// The stream that says the same, its text and its arguments cut every few characters.
    fn stream(&self) -> String {
        let mut out = String::new();
        let mut chunk = |delta: Json, finish: Json| {
            let choice = Json::object([
                ("index", Json::Plain("0".into())),
                ("delta", delta),
                ("finish_reason", finish),
            ]);
            let chunk = Self::object("chat.completion.chunk", Json::List(vec![choice]));
            out += &format!("data: {chunk}\n\n");
        };
        let null = || Json::Plain("null".into());
        let role = [("role", Json::text("assistant")), ("content", Json::text(""))];
        chunk(Json::object(role), null());
        for piece in pieces(&self.text) {
            chunk(Json::object([("content", Json::Text(piece))]), null());
        }
        for (at, call) in self.calls.iter().enumerate() {
            let piece =
                |fields: Vec<(&'static str, Json)>, arguments: String, name: Option<&str>| {
                    let mut function = Json::object([("arguments", Json::Text(arguments))]);
                    name.inspect(|name| function.put("name", Json::text(name)));
                    let mut call = Json::object(fields);
                    call.put("index", Json::Plain(at.to_string()));
                    call.put("function", function);
                    Json::object([("tool_calls", Json::List(vec![call]))])
                };
            let head = vec![("id", Json::text(&call.id)), ("type", Json::text("function"))];
            chunk(piece(head, String::new(), Some(&call.name)), null());
            for text in pieces(&call.arguments.compact()) {
                chunk(piece(vec![], text, None), null());
            }
        }
        chunk(Json::object([]), Json::text(self.finish()));
        let mut usage = Self::object("chat.completion.chunk", Json::List(vec![]));
        usage.put("usage", self.usage());
        out += &format!("data: {usage}\n\ndata: [DONE]\n\n");
        out
    }
}

fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(5).map(|piece| piece.iter().collect()).collect()
}

fn reply() -> Reply {
    let wishes = Wishes { usage: true, ..Wishes::default() };
    Reply { wishes, ..Reply::new("0123456789abcdef01234567".into(), NOW - 2000, "m".into()) }
}

fn whole(pair: Pair, body: &Bytes) -> Bytes {
    pair.answer(&"up".into(), body, &reply(), NOW).unwrap().0
}

fn flow(pair: Pair, stream: &[u8], size: usize) -> Vec<u8> {
    let mut flow = pair.flow(&reply(), false);
    let mut out = Vec::new();
    for piece in stream.chunks(size) {
        out.extend_from_slice(&flow.feed(Bytes::copy_from_slice(piece), NOW));
    }
    out.extend_from_slice(&flow.end(&"up".into(), NOW));
    assert!(flow.state().finished, "{}", String::from_utf8_lossy(&out));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_request_comes_back_as_it_went(
        turns in prop::collection::vec(turn(), 0..4),
        schema in arguments(),
    ) {
        let mut schema = schema;
        schema.put("type", Json::text("object"));
        let body = request(&turns, &schema);
        let said = Json::read(&body).unwrap();
        for other in others() {
            let aim = |speaker: &Speaker| Aim { quirks: speaker.quirks(), ..Aim::default() };
            let there = pair(openai(), other).request(&body, &aim(other)).unwrap();
            prop_assert!(there.dropped.is_empty());
            let back = pair(other, openai()).request(&there.body, &aim(openai())).unwrap();
            prop_assert!(back.dropped.is_empty());
            let back = Json::read(&back.body).unwrap();
            let shown = || format!("by way of {}", String::from_utf8_lossy(&there.body));
            let (before, after) = (read(said.at("messages").clone()), read(back.at("messages").clone()));
            prop_assert_eq!(before.canonical(), after.canonical(), "{}", shown());
            prop_assert_eq!(said.at("tools").canonical(), back.at("tools").canonical(), "{}", shown());
        }
    }

    #[test]
    fn an_answer_comes_back_as_it_went(answer in answered()) {
        let body = Bytes::from(answer.whole().compact());
        let mut said = normal::openai(answer.whole()).unwrap();
        let as_read = |body: &mut Json| {
            let Some(Json::List(choices)) = body.at_mut("choices") else { return };
            for choice in choices {
                let message = choice.take("message").unwrap();
                choice.put("message", read(Json::List(vec![message])));
            }
        };
        as_read(&mut said);
        for other in others() {
            let there = whole(pair(other, openai()), &body);
            let back = whole(pair(openai(), other), &there);
            let mut back = normal::openai(Json::read(&back).unwrap()).unwrap();
            as_read(&mut back);
            prop_assert_eq!(said.canonical(), back.canonical(), "by way of {}", String::from_utf8_lossy(&there));
        }
    }

    #[test]
    fn a_stream_comes_back_as_it_went(answer in answered(), sizes in (1..99usize, 1..99usize)) {
        let stream = answer.stream();
        let said = crate::steps::openai(&stream).unwrap();
        for other in others() {
            let there = flow(pair(other, openai()), stream.as_bytes(), sizes.0);
            let back = flow(pair(openai(), other), &there, sizes.1);
            let back = crate::steps::openai(std::str::from_utf8(&back).unwrap()).unwrap();
            prop_assert_eq!(said.canonical(), back.canonical(), "by way of {}", String::from_utf8_lossy(&there));
        }
    }
}
