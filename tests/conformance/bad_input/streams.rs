//! What upstreams get wrong in streams: it is an error, or it is mended; it never touches the next event.

use super::others;
use crate::{
    feature,
    json::Json,
    speakers::{SPEAKERS, Speaker},
};
use bytes::Bytes;
use unigate::{
    dialect::{Framing, Operation, Reply},
    translate::{Pair, State},
};

const NOW: u64 = 1_785_000_002_000;

/// Every pair of two dialects, the upstream first.
fn pairs() -> impl Iterator<Item = (&'static Speaker, &'static Speaker)> {
    SPEAKERS.iter().flat_map(|client| others(client).map(move |upstream| (upstream, client)))
}

fn run(upstream: &Speaker, client: &Speaker, stream: &[u8]) -> (String, State) {
    let pair =
        Pair { client: client.dialect, upstream: upstream.dialect, operation: Operation::Chat };
    let reply = Reply::new("0123456789abcdef01234567".into(), NOW - 2000, "m".into());
    let mut flow = pair.flow(&reply, false);
    let mut out = flow.feed(Bytes::copy_from_slice(stream), NOW).to_vec();
    out.extend_from_slice(&flow.end(&"up".into(), NOW));
    (String::from_utf8(out).unwrap(), flow.state().clone())
}

/// What a stream of plain text is in this dialect, with this text in it.
fn saying(upstream: &Speaker, text: &str) -> String {
    let stream = feature::all().into_iter().find(|feature| feature.name == "text").unwrap();
    let stream = String::from_utf8(stream.said("stream", upstream).unwrap()).unwrap();
    let text = Json::text(text).compact();
    // The files say "Hello." in two pieces.
    stream.replace("\"Hel\"", &text).replace("\"lo.\"", "\"|\"")
}

fn said(client: &Speaker, out: &str) -> String {
    let steps = (client.steps)(out).unwrap_or_else(|error| panic!("{}: {error}", client.name));
    let texts = steps.list().iter().filter_map(|step| step.at("text").str());
    texts.collect()
}

#[test]
fn what_looks_like_framing_stays_inside_its_text() {
    for text in [
        "data: [DONE]",
        "a\n\ndata: [DONE]\n\nb",
        "a\u{2028}b\u{2029}c\u{85}d",
        "event: error\ndata: {}\n\n",
        "{\"error\":\"no\"}\n{\"done\":true}",
        "\u{feff}\r\n\r\n: comment",
        "\u{0}\u{1f}\\u0000 \u{10ffff} 👩‍👩‍👧",
    ] {
        for (upstream, client) in pairs() {
            let (out, state) = run(upstream, client, saying(upstream, text).as_bytes());
            assert!(state.finished && state.fault.is_none(), "{state:?}");
            assert_eq!(said(client, &out), format!("{text}|"), "{}: {out}", client.name);
        }
    }
}

#[test]
fn golden_77_a_line_of_nearly_eight_million_bytes_passes_and_what_follows_it_too() {
    let text = "x".repeat(7_900_000);
    for (upstream, client) in pairs() {
        let (out, state) = run(upstream, client, saying(upstream, &text).as_bytes());
        assert!(state.finished, "{:?}", state.fault);
        let said = said(client, &out);
        assert!(said.len() == text.len() + 1 && said.ends_with("x|"), "{}", client.name);
        let long = "x".repeat(unigate::wire::MAX_EVENT);
        let (out, state) = run(upstream, client, saying(upstream, &long).as_bytes());
        assert!(!state.finished && state.fault.is_some());
        assert!(out.len() < 4096 && !out.contains("[DONE]"), "{} bytes", out.len());
    }
}

#[test]
fn an_event_that_is_no_json_is_an_error_and_nothing_follows_it() {
    for (upstream, client) in pairs() {
        let good = saying(upstream, "a");
        let bad = match upstream.dialect.framing() {
            Framing::Lines => "{\"message\":\n",
            Framing::Events => "event: message_delta\ndata: {\"choices\":[\n\n",
        };
        let end = match upstream.dialect.framing() {
            Framing::Lines => "\n",
            Framing::Events => "\n\n",
        };
        let ends: Vec<usize> = good.match_indices(end).map(|(at, _)| at + end.len()).collect();
        for at in &ends[..ends.len() - 1] {
            let stream = format!("{}{bad}{}", &good[..*at], &good[*at..]);
            let (out, state) = run(upstream, client, stream.as_bytes());
            // OpenAI's `[DONE]` may be missing, so that what stands behind the finish is not looked at.
            if state.finished {
                continue;
            }
            assert!(state.fault.is_some(), "{stream}");
            let steps = (client.steps)(&out).unwrap();
            let last = steps.list().last().unwrap();
            assert!(last.has("error"), "{}: {steps}", client.name);
        }
    }
}

#[test]
fn calls_of_one_place_do_not_become_one_call() {
    let chunk = |call: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{{{call}}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let call = |id: &str, name: &str| {
        format!(
            "\"tool_calls\":[{{\"index\":0,\"id\":\"{id}\",\"type\":\"function\",\
             \"function\":{{\"name\":\"{name}\",\"arguments\":\"{{}}\"}}}}]"
        )
    };
    let stream = [
        chunk(&call("a", "f"), "null"),
        chunk(&call("b", "g"), "null"),
        chunk("", "\"tool_calls\""),
        "data: [DONE]\n\n".to_owned(),
    ];
    let upstream = SPEAKERS.iter().find(|speaker| speaker.name == "openai").unwrap();
    for client in SPEAKERS.iter().filter(|client| !client.is(upstream)) {
        let (out, _) = run(upstream, client, stream.concat().as_bytes());
        let steps = (client.steps)(&out).unwrap();
        let names: Vec<_> =
            steps.list().iter().filter_map(|s| s.at("call").at("name").str()).collect();
        assert_eq!(names, ["f", "g"], "{}: {out}", client.name);
    }
}
