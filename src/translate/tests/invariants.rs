use super::*;
use proptest::prelude::*;

struct Case {
    path: &'static str,
    upstream: &'static dyn Dialect,
    operation: Operation,
    /// What the last event needed for a clean end contains; `None` for a stream that fails.
    terminal: Option<&'static str>,
}

const fn case(
    path: &'static str,
    upstream: &'static dyn Dialect,
    operation: Operation,
    terminal: Option<&'static str>,
) -> Case {
    Case { path, upstream, operation, terminal }
}

const DONE: Option<&str> = Some("\"done\":true");
const FINISH: Option<&str> = Some("\"finish_reason\":\"");
const STOP: Option<&str> = Some("\"message_stop\"");
const COMPLETED: Option<&str> = Some("\"response.completed\"");
const INCOMPLETE: Option<&str> = Some("\"response.incomplete\"");

const CASES: &[Case] = &[
    case("ollama/chat.ndjson", &OLLAMA, Operation::Chat, DONE),
    case("ollama/thinking_and_tools.ndjson", &OLLAMA, Operation::Chat, DONE),
    case("ollama/generate.ndjson", &OLLAMA, Operation::Generate, DONE),
    case("ollama/error_after_content.ndjson", &OLLAMA, Operation::Chat, None),
    case("openai/chat.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/tools.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/odd_framing.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/azure.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/reasoning.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/openai.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/vllm.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/groq.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/openrouter.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/deepseek.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/llamacpp.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/lmstudio.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/mistral.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/gemini.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/together.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/fireworks.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/xai.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/ollama.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/vllm_error.sse", &OPENAI, Operation::Chat, None),
    case("openai/groq_error.sse", &OPENAI, Operation::Chat, None),
    case("openai/openrouter_error.sse", &OPENAI, Operation::Chat, None),
    case("openai/llamacpp_error.sse", &OPENAI, Operation::Chat, None),
    case("openai/completion.sse", &OPENAI, Operation::Generate, FINISH),
    case("openai/two_choices.sse", &OPENAI, Operation::Chat, FINISH),
    case("openai/error_after_content.sse", &OPENAI, Operation::Chat, None),
    case("openai/error_beside_choices.sse", &OPENAI, Operation::Chat, None),
    case("openai/bare_error.sse", &OPENAI, Operation::Chat, None),
    case("anthropic/chat.sse", &ANTHROPIC, Operation::Chat, STOP),
    case("anthropic/thinking_and_tools.sse", &ANTHROPIC, Operation::Chat, STOP),
    case("anthropic/odd.sse", &ANTHROPIC, Operation::Chat, STOP),
    case("anthropic/error_after_content.sse", &ANTHROPIC, Operation::Chat, None),
    case("responses/chat.sse", &RESPONSES, Operation::Chat, COMPLETED),
    case("responses/reasoning.sse", &RESPONSES, Operation::Chat, COMPLETED),
    case("responses/tools.sse", &RESPONSES, Operation::Chat, COMPLETED),
    case("responses/search.sse", &RESPONSES, Operation::Chat, COMPLETED),
    case("responses/incomplete.sse", &RESPONSES, Operation::Chat, INCOMPLETE),
    case("responses/error_after_content.sse", &RESPONSES, Operation::Chat, None),
    case("responses/failed.sse", &RESPONSES, Operation::Chat, None),
];

/// Every way a fixture can go: to either client, with and without usage, stripped or not.
fn ways(case: &Case) -> Vec<(Pair, bool, bool)> {
    let mut ways = Vec::new();
    for client in [&OLLAMA as &'static dyn Dialect, &OPENAI, &ANTHROPIC] {
        for (usage, strip) in [(false, false), (true, false), (false, true)] {
            ways.push((pair(client, case.upstream, case.operation), usage, strip));
        }
    }
    // Its streams tell their usage whether asked or not.
    ways.push((pair(&RESPONSES, case.upstream, case.operation), false, false));
    ways
}

fn run<'a>(
    (pair, usage, strip): (Pair, bool, bool),
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, State) {
    let mut flow = pair.flow(&reply(usage), strip);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&flow.feed(Bytes::copy_from_slice(piece), NOW));
    }
    out.extend_from_slice(&flow.end(&name(), NOW));
    (out, flow.state().clone())
}

/// Where the terminal of a stream is all there.
fn terminal_at(stream: &[u8], marker: &str) -> usize {
    let text = std::str::from_utf8(stream).unwrap();
    let marker = text.rfind(marker).unwrap();
    marker + text[marker..].find(['\r', '\n']).unwrap()
}

/// Line ends behind the terminal may be cut off where it was; they say nothing.
fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_end()
}

#[test]
fn any_split_gives_the_same_events() {
    for case in CASES {
        let stream = fixture(case.path);
        for way in ways(case) {
            let (whole, state) = run(way, [&stream[..]]);
            assert_eq!(state.fault.is_none(), case.terminal.is_some(), "{}", case.path);
            assert_eq!(state.finished, case.terminal.is_some(), "{}", case.path);
            for at in 0..=stream.len() {
                let (first, second) = stream.split_at(at);
                let (split, seen) = run(way, [first, second]);
                assert_eq!(trimmed(&whole), trimmed(&split), "{} at {at}", case.path);
                assert_eq!(state, seen, "{} at {at}", case.path);
            }
            let (single, seen) = run(way, stream.chunks(1));
            assert_eq!(trimmed(&whole), trimmed(&single), "{} byte by byte", case.path);
            assert_eq!(state, seen);
        }
    }
}

#[test]
fn a_stream_that_is_cut_before_its_terminal_is_never_complete() {
    for case in CASES {
        let stream = fixture(case.path);
        let end = case.terminal.map_or(stream.len(), |marker| terminal_at(&stream, marker));
        for way in ways(case) {
            for at in 0..end {
                let (out, state) = run(way, [&stream[..at]]);
                assert!(state.fault.is_some() && !state.finished, "{} at {at}", case.path);
                let out = String::from_utf8_lossy(&out);
                let done = |line: &str| {
                    let line = serde_json::from_str::<Value>(line);
                    line.is_ok_and(|line| line["done"] == true)
                };
                let over = |line: &str| {
                    let data = line.strip_prefix("data: ").unwrap_or_default();
                    let data = serde_json::from_str::<Value>(data).unwrap_or_default();
                    data["type"] == "response.completed" || data["type"] == "response.incomplete"
                };
                assert!(!out.lines().any(over), "{out}");
                assert!(!out.contains("[DONE]") && !out.lines().any(done), "{out}");
                assert!(!out.contains("{\"type\":\"message_stop\"}"), "{out}");
                assert!(out.trim_end().rsplit('\n').next().unwrap().contains("\"error\""), "{out}");
            }
        }
    }
}

#[test]
fn nothing_follows_the_end() {
    for case in CASES {
        let stream = fixture(case.path);
        for (pair, usage, strip) in ways(case) {
            let mut flow = pair.flow(&reply(usage), strip);
            let late = b"{\"error\":\"late\"}\n\ndata: {\"error\":\"late\"}\n\n";
            let joined = [&stream[..], late].concat();
            let out = flow.feed(Bytes::from(joined), NOW);
            assert!(!String::from_utf8_lossy(&out).contains("late"), "{}", case.path);
            let state = flow.state().clone();
            assert_eq!(flow.feed(Bytes::from_static(late), NOW), "");
            assert_eq!(flow.end(&name(), NOW), "");
            assert_eq!(flow.fail(&Error::Internal("late".into())), "");
            assert_eq!(*flow.state(), state);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_pieces_give_the_same_events(
        which in 0..CASES.len(),
        way in 0..10usize,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let case = &CASES[which];
        let stream = fixture(case.path);
        let way = ways(case)[way];
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        let (out, state) = run(way, pieces);
        let (whole, expected) = run(way, [&stream[..]]);
        prop_assert_eq!(trimmed(&whole), trimmed(&out));
        prop_assert_eq!(expected, state);
    }

    #[test]
    fn garbage_never_panics(stream in prop::collection::vec(any::<u8>(), 0..200)) {
        for case in CASES {
            for way in ways(case) {
                let (_, state) = run(way, [&stream[..]]);
                prop_assert!(!state.finished);
            }
        }
    }
}
