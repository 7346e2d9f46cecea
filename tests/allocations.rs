//! A translated event may cost three allocations. The stream as a whole is counted, its beginning and its end included.

#[expect(dead_code, reason = "the benchmark uses the rest")]
#[path = "../benches/streams/mod.rs"]
mod streams;

use bytes::Bytes;
use streams::{About, EVENTS, NOW, flow, stream};
use unigate::dialect::{
    Dialect, anthropic::ANTHROPIC, ollama::OLLAMA, openai::OPENAI, responses::RESPONSES,
};

const CLIENTS: [&dyn Dialect; 4] = [&OPENAI, &OLLAMA, &ANTHROPIC, &RESPONSES];
const UPSTREAMS: [&dyn Dialect; 3] = [&OPENAI, &OLLAMA, &ANTHROPIC];

#[test]
fn an_event_costs_three_allocations_at_most() {
    let (mut all, mut costly) = (Vec::new(), Vec::new());
    for upstream in UPSTREAMS {
        for client in CLIENTS {
            for about in [About::Text, About::Thinking, About::Call] {
                let events: Vec<Bytes> = stream(upstream.name(), about);
                // Whoever reads from a connection hands out shared bytes; sharing these costs nothing more.
                let _shared = events.clone();
                let mut flow = flow(client, upstream, false);
                let mut sent = 0;
                let counted = allocation_counter::measure(|| {
                    for event in events {
                        sent += flow.feed(event, NOW).len();
                    }
                });
                assert!(sent > 0 && flow.state().finished, "{:?}", flow.state());
                let each = counted.count_total as f64 / EVENTS as f64;
                if each > 3.0 {
                    costly.push((upstream.name(), client.name(), about, each));
                }
                all.push(format!("{} to {}, {about:?}: {each:.2}", upstream.name(), client.name()));
            }
        }
    }
    assert!(costly.is_empty(), "{costly:?} of\n{}", all.join("\n"));
}
