//! Rows U18 to U21, U24 to U26, U31: bytes that no upstream in its right mind sends.

use crate::rig::{Act, Chaosd, End, Framing, Reply, Row, Script, Setup, chat, times};
use serde_json::{Value, json};

const PATHS: [&str; 3] = ["/api/chat", "/v1/chat/completions", "/v1/messages"];

/// A sane body with this head before it.
fn headed(head: &str) -> Script {
    let body = Reply::said("fine").body();
    let head = head.replace("{length}", &body.len().to_string());
    Script::raw([head.as_bytes(), &body].concat())
}

#[tokio::test]
async fn u18_a_head_that_is_none_is_a_bad_gateway() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("U18", Setup::ollama(&up).toml("[retry]\nbudget_percent = 100\n")).await;
    let lines =
        |count: usize| -> String { (0..count).map(|nth| format!("x-h{nth}: v\r\n")).collect() };
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n";
    let heads = [
        ("500 headers", format!("{ok}{}\r\n", lines(500))),
        ("300 KiB", format!("{ok}x-long: {}\r\n\r\n", "a".repeat(300 << 10))),
        ("a control byte in a value", format!("{ok}x-bad: a\u{1}b\r\n\r\n")),
        ("a zero byte in a value", format!("{ok}x-bad: a\0b\r\n\r\n")),
        ("no colon", format!("{ok}nonsense\r\n\r\n")),
        ("a space in a name", format!("{ok}x bad: 1\r\n\r\n")),
        ("an empty name", format!("{ok}: 1\r\n\r\n")),
        ("no status", "HTTP/1.1\r\n\r\n".to_owned()),
        ("a status that is none", "HTTP/1.1 9999 What\r\n\r\n".to_owned()),
        ("another version", "HTTP/9.9 200 OK\r\n\r\n".to_owned()),
        ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n".to_owned()),
        ("garbage", "\u{16}\u{3}\u{1}\0\u{2}".repeat(100)),
        ("a negative length", ok.replace("{length}", "-1") + "\r\n"),
        ("a length of letters", ok.replace("{length}", "many") + "\r\n"),
        ("a length beyond numbers", ok.replace("{length}", "99999999999999999999999") + "\r\n"),
    ];
    for (nth, (what, head)) in heads.iter().enumerate() {
        for path in PATHS {
            up.always(headed(head).then(Act::Fin));
            let answer = row.ask(path, &chat("m", nth, false)).await;
            assert_eq!(
                (answer.status, answer.end),
                (502, End::Refused),
                "{what}: {}",
                answer.text()
            );
            assert!(!answer.text().contains("nonsense") && !answer.text().contains("x-h1"));
        }
    }
    up.sane();
    assert_eq!(row.ask("/api/chat", &chat("m", 0, true)).await.end, End::Complete);
    row.check().await;
}

#[tokio::test]
async fn u18_headers_that_are_odd_and_legal_pass_or_are_left_out() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("U18", Setup::ollama(&up)).await;
    let reply = Reply::said("fine").with("x-latin", "caf\u{e9}").with("x-empty", "");
    up.always(reply);
    for path in PATHS {
        let answer = row.ask(path, &chat("m", 0, false)).await;
        assert_eq!(
            (answer.end, answer.said().as_str()),
            (End::Complete, "fine"),
            "{}",
            answer.text()
        );
    }
    row.check().await;
}

#[tokio::test]
async fn u19_what_follows_an_answer_is_never_the_next_ones() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup =
        Setup::ollama(&up).toml("[retry]\nbudget_percent = 100\n[upstream.ollama]\nidle_s = 0.2\n");
    let row = Row::start("U19", setup).await;
    let evil: Vec<u8> = Reply::said("EVIL").wire().concat();
    let fine = Reply::said("fine");
    let body = fine.body();
    let with = |headers: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let length = body.len();
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("two answers", [fine.wire().concat(), evil.clone()].concat()),
        (
            "two, the first chunked",
            [fine.clone().framed(Framing::Chunked).wire().concat(), evil.clone()].concat(),
        ),
        ("bytes after the body", [fine.wire().concat(), b"EVIL\r\n\r\n".to_vec()].concat()),
        (
            "a length and chunks",
            with(&format!("content-length: {length}\r\ntransfer-encoding: chunked"), &chunked),
        ),
        (
            "chunks and a length of 0",
            [with("transfer-encoding: chunked\r\ncontent-length: 0", &chunked), evil.clone()]
                .concat(),
        ),
        (
            "two lengths",
            [with(&format!("content-length: {length}\r\ncontent-length: 3"), &body), evil.clone()]
                .concat(),
        ),
        ("a length too short", [with("content-length: 3", &body), evil.clone()].concat()),
        (
            "chunks that are not",
            [with("transfer-encoding: xchunked", &chunked), evil.clone()].concat(),
        ),
        ("204 with a body", [b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), evil.clone()].concat()),
        (
            "304 with a body",
            [b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n".to_vec(), evil.clone()]
                .concat(),
        ),
        ("an answer ahead of time", [fine.wire().concat(), evil.clone(), evil].concat()),
    ];
    let rounds = times(4, 200);
    let mut nth = 0;
    for (what, wire) in &answers {
        for _ in 0..rounds {
            for path in PATHS {
                up.next(Script::raw(wire.clone()));
                let answer = row.ask(path, &chat("m", nth, false)).await;
                let fine = answer.end == End::Complete && answer.said() == "fine";
                assert!(
                    fine || answer.end == End::Refused || answer.said().contains("Hello"),
                    "{what}: {}",
                    answer.text()
                );
                assert!(!answer.text().contains("EVIL"), "{what}: {}", answer.text());
                let next = row.ask(path, &chat("m", nth + 1, false)).await;
                let expected = (End::Complete, "Hello, wörld from m".to_owned());
                assert_eq!((next.end, next.said()), expected, "{what}, the next: {}", next.text());
                nth += 2;
            }
        }
    }
    row.check().await;
}

#[tokio::test]
async fn u20_interim_answers_are_not_the_answer_and_have_an_end() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).toml("[upstream.ollama]\nfirst_byte_s = 1.5\ntotal_s = 1.5\n");
    let row = Row::start("U20", setup).await;
    for (nth, path) in PATHS.iter().enumerate() {
        let interim =
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n";
        up.always(Script::from(Reply::said("fine")).after(Act::Send(interim.repeat(5000).into())));
        let answer = row.ask(path, &chat("m", nth, false)).await;
        assert_eq!((answer.status, answer.said().as_str()), (200, "fine"), "{}", answer.text());
        // For ever.
        up.always(Script::just(Act::Forever(interim.repeat(50).into())));
        let answer = row.ask(path, &chat("m", nth, true)).await;
        assert_eq!((answer.status, answer.end), (504, End::Refused), "{}", answer.text());
        // A change of protocol that nobody asked for.
        up.always(Script::raw(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nGET / HTTP/1.1",
        ));
        for stream in [true, false] {
            let answer = row.ask(path, &chat("m", nth, stream)).await;
            assert_eq!(
                (answer.status, answer.end),
                (502, End::Refused),
                "{} {}",
                answer.head,
                answer.text()
            );
            assert_eq!(answer.header("upgrade"), "");
        }
    }
    row.check().await;
}

#[tokio::test]
async fn u21_a_redirection_is_not_followed_and_the_key_goes_nowhere() {
    for (provider, path) in [("ollama", "/api/chat"), ("openai", "/v1/chat/completions")] {
        let up = match provider {
            "ollama" => Chaosd::ollama(&["m"]).await,
            _ => Chaosd::openai(&["m"]).await,
        };
        let thief = Chaosd::ollama(&["m"]).await;
        let setup =
            Setup::new().upstream("up", provider, &up).credential("up", "sk-canary-redirect");
        let row = Row::start("U21", setup.toml("[retry]\nbudget_percent = 100\n")).await;
        for status in [301, 302, 303, 307, 308, 300, 304] {
            for stream in [true, false] {
                let reply = Reply { status, ..Reply::new("text/plain", "over there") };
                up.always(reply.with("location", &format!("http://{}/api/chat", thief.addr)));
                for path in PATHS {
                    let answer = row.ask(path, &chat("m", usize::from(status), stream)).await;
                    let what = format!("{path} {status}: {} {}", answer.head, answer.text());
                    assert_eq!((answer.status, answer.end), (502, End::Refused), "{what}");
                    assert_eq!(answer.header("location"), "", "{what}");
                }
            }
        }
        assert_eq!(thief.connections(), 0, "nobody came");
        up.sane();
        assert_eq!(row.ask(path, &chat("m", 0, true)).await.end, End::Complete);
        row.check().await;
    }
}

#[tokio::test]
async fn u24_a_page_is_no_answer_and_is_not_shown_as_one() {
    let page = "<html><body><h1>secret-page</h1></body></html>";
    for provider in ["ollama", "openai"] {
        let up = match provider {
            "ollama" => Chaosd::ollama(&["m"]).await,
            _ => Chaosd::openai(&["m"]).await,
        };
        let setup =
            Setup::new().upstream("up", provider, &up).toml("[retry]\nbudget_percent = 100\n");
        let row = Row::start("U24", setup).await;
        let replies = [
            ("a page", Reply::new("text/html", page)),
            ("a page with a charset", Reply::new("Text/HTML; charset=utf-8", page)),
            ("a page as JSON", Reply::new("application/json", page)),
            ("a page as a stream", Reply::new("text/event-stream", page)),
            ("a page as lines", Reply::new("application/x-ndjson", page)),
            ("text", Reply::new("text/plain", "It works!")),
            ("nothing", Reply::new("application/json", "")),
            ("another JSON", Reply::json(&json!({ "hello": "world" }))),
            ("a text", Reply::json(&json!("hello"))),
            ("an image", Reply::new("image/png", &b"\x89PNG\r\n\x1a\n"[..])),
            ("a page with 502", Reply { status: 502, ..Reply::new("text/html", page) }),
            ("a page with 403", Reply { status: 403, ..Reply::new("text/html", page) }),
        ];
        for (what, reply) in replies {
            for path in PATHS {
                for stream in [true, false] {
                    up.always(reply.clone());
                    let answer = row.ask(path, &chat("m", 0, stream)).await;
                    let what = format!(
                        "{provider} {path} {what} {stream}: {} {}",
                        answer.head,
                        answer.text()
                    );
                    assert_eq!(answer.end, End::Refused, "{what}");
                    assert!(answer.status == 502 || answer.status == reply.status, "{what}");
                    assert!(
                        answer.header("content-type").starts_with("application/json"),
                        "{what}"
                    );
                    assert!(answer.json().get("error").is_some(), "{what}");
                    assert!(!answer.text().contains("<html"), "{what}");
                }
            }
        }
        row.check().await;
    }
}

#[tokio::test]
async fn u25_whatever_follows_a_terminal_there_is_one_terminal() {
    let ollama = Chaosd::ollama(&["m"]).await;
    let openai = Chaosd::openai(&["g"]).await;
    let row =
        Row::start("U25", Setup::ollama(&ollama).upstream("openai", "openai-compatible", &openai))
            .await;
    let chat_reply = Reply::chat(&["one", "two"]);
    let done = chat_reply.pieces[2].clone();
    let word = chat_reply.pieces[0].clone();
    let chunks = Reply::chunks(&["one", "two"]);
    let finish = chunks.pieces[3].clone();
    let twos = [
        ("m", chat_reply.clone().piece(3, done.clone())),
        ("m", chat_reply.clone().piece(3, word.clone()).piece(4, done)),
        ("m", chat_reply.clone().piece(3, "{\"error\":\"late\"}\n")),
        ("m", chat_reply.piece(3, word).piece(4, "garbage\n")),
        ("g", chunks.clone().piece(6, "data: [DONE]\n\n")),
        ("g", chunks.clone().piece(4, finish)),
        ("g", chunks.clone().piece(6, chunks.pieces[1].clone())),
        ("g", chunks.clone().piece(6, "data: {\"error\":{\"message\":\"late\"}}\n\n")),
        ("g", chunks.clone().piece(4, chunks.pieces[1].clone())),
    ];
    for (nth, (model, reply)) in twos.iter().enumerate() {
        for path in PATHS.into_iter().chain(["/v1/responses"]) {
            let mut body = chat(model, nth, true);
            if path == "/v1/responses" {
                body = json!({ "model": model, "stream": true, "input": "x" });
            }
            for split in [false, true] {
                let reply = if split { reply.clone().pieces_of(1 << 20) } else { reply.clone() };
                ollama.always(reply.clone());
                openai.always(reply);
                let answer = row.ask(path, &body).await;
                assert_eq!(answer.end, End::Complete, "{nth} {path} {split}: {}", answer.text());
                assert!(!answer.text().contains("late"), "{nth} {path}: {}", answer.text());
            }
        }
    }
    row.check().await;
}

#[tokio::test]
async fn u25_pieces_of_calls_in_any_order_are_no_panic_and_no_lie() {
    let up = Chaosd::openai(&["g"]).await;
    let row = Row::start("U25", Setup::new().upstream("openai", "openai-compatible", &up)).await;
    let chunk = |delta: Value, finish: Value| {
        json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "g",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
    };
    let call = |index: i64, id: Value, name: Value, arguments: &str| {
        let function = json!({ "name": name, "arguments": arguments });
        chunk(
            json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] }),
            Value::Null,
        )
    };
    let (null, end) = (Value::Null, chunk(json!({}), "tool_calls".into()));
    let orders: Vec<Vec<Value>> = vec![
        // The end of the second before that of the first.
        vec![
            call(1, "b".into(), "two".into(), "{\"y\":"),
            call(0, "a".into(), "one".into(), "{\"x\":"),
            call(1, null.clone(), null.clone(), "2}"),
            call(0, null.clone(), null.clone(), "1}"),
        ],
        // Arguments before the name.
        vec![
            call(0, null.clone(), null.clone(), "{\"x\":1}"),
            call(0, "a".into(), "one".into(), ""),
        ],
        // Places that are not, arguments that are none.
        vec![call(7, "a".into(), "one".into(), "{}"), call(-1, "b".into(), "two".into(), "{")],
        vec![call(i64::MAX, "a".into(), "one".into(), "not json")],
        vec![call(0, "a".into(), "one".into(), ""), call(0, "a".into(), "one".into(), "{}")],
    ];
    for (nth, mut events) in orders.into_iter().enumerate() {
        events.push(end.clone());
        up.always(Reply::events(&events));
        for path in PATHS.into_iter().chain(["/v1/responses"]) {
            let mut body = chat("g", nth, true);
            if path == "/v1/responses" {
                body = json!({ "model": "g", "stream": true, "input": "x" });
            }
            let answer = row.ask(path, &body).await;
            let fine = matches!(answer.end, End::Complete | End::ErrorEvent | End::Refused);
            assert!(fine, "{nth} {path}: {:?} {}", answer.end, answer.text());
        }
    }
    row.check().await;
}

#[tokio::test]
async fn u26_counts_that_are_none_are_not_stored_as_counts() {
    let (ollama, openai) = (Chaosd::ollama(&["m"]).await, Chaosd::openai(&["g"]).await);
    let row =
        Row::start("U26", Setup::ollama(&ollama).upstream("openai", "openai-compatible", &openai))
            .await;
    let odd = ["absent", "null", "-1", "9223372036854775808", "1e300", "\"3\"", "2.5", "[]", "{}"];
    for (nth, count) in odd.iter().enumerate() {
        let replaced = |reply: Reply, names: &[&str]| {
            let mut text = String::from_utf8(reply.body().to_vec()).unwrap();
            for name in names {
                for old in 0..9 {
                    let from = format!("\"{name}\":{old}");
                    let to = match *count {
                        "absent" => format!("\"x_{name}\":{old}"),
                        count => format!("\"{name}\":{count}"),
                    };
                    if text.contains(&from) {
                        text = text.replace(&from, &to);
                        break;
                    }
                }
            }
            Reply { pieces: vec![text.into()], ..reply }
        };
        for path in PATHS {
            for stream in [true, false] {
                let one = if stream { Reply::chat(&["one"]) } else { Reply::said("one") };
                ollama.always(replaced(one, &["prompt_eval_count", "eval_count"]));
                let two = if stream { Reply::chunks(&["one"]) } else { Reply::completion("one") };
                openai
                    .always(replaced(two, &["prompt_tokens", "completion_tokens", "total_tokens"]));
                for model in ["m", "g"] {
                    let answer = row.ask(path, &chat(model, nth, stream)).await;
                    let what = format!("{count} {model} {path} {stream}: {}", answer.text());
                    assert_eq!(
                        (answer.end, answer.said().as_str()),
                        (End::Complete, "one"),
                        "{what}"
                    );
                }
            }
        }
    }
    let program = &row.program;
    let all = odd.len() * PATHS.len() * 4;
    let posts =
        || program.rows().into_iter().filter(|row| row["method"] == "POST").collect::<Vec<_>>();
    let begun = std::time::Instant::now();
    while posts().len() < all && begun.elapsed().as_secs() < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(posts().len(), all);
    for line in posts() {
        for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            assert!(
                line[name].is_null() || line[name].as_i64().is_some_and(|n| n > 0),
                "{name}: {line:?}"
            );
        }
    }
    row.check().await;
}

#[tokio::test]
async fn u31_trailers_and_chunks_of_any_kind_change_nothing_or_are_a_bad_gateway() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("U31", Setup::ollama(&up).toml("[retry]\nbudget_percent = 100\n")).await;
    let body = Reply::chat(&["one"]).body();
    let head = Reply::chat(&[]).head();
    let size = format!("{:x}", body.len());
    let wire = |size: &str, end: &str| {
        Script::raw(
            [head.as_bytes(), size.as_bytes(), b"\r\n", &body, b"\r\n", end.as_bytes()].concat(),
        )
    };
    let good = [
        ("trailers", wire(&size, "0\r\nx-evil: 1\r\nset-cookie: a=b\r\ncontent-length: 3\r\n\r\n")),
        ("small extensions", wire(&format!("{size};a=b;c=\"d\""), "0\r\n\r\n")),
        ("zeros before", wire(&format!("000{size}"), "0\r\n\r\n")),
    ];
    for (what, script) in good {
        for path in PATHS {
            up.always(script.clone());
            let answer = row.ask(path, &chat("m", 0, true)).await;
            assert_eq!(
                (answer.end, answer.said().as_str()),
                (End::Complete, "one"),
                "{what}: {}",
                answer.text()
            );
            assert!(!answer.head.contains("x-evil") && !answer.text().contains("x-evil"), "{what}");
        }
    }
    let bad = [
        ("extensions of 64 KiB", wire(&format!("{size};{}", "a".repeat(64 << 10)), "0\r\n\r\n")),
        ("a size beyond numbers", wire("fffffffffffffffff", "0\r\n\r\n")),
        ("the largest size", wire("ffffffffffffffff", "")),
        ("a negative size", wire("-1", "0\r\n\r\n")),
        ("a size of letters", wire("xyz", "0\r\n\r\n")),
        ("no size", wire("", "0\r\n\r\n")),
        ("a size too short", wire("3", "0\r\n\r\n")),
        (
            "64 KiB of trailers",
            wire(&size, &format!("0\r\nx-long: {}\r\n\r\n", "a".repeat(64 << 10))),
        ),
    ];
    for (what, script) in bad {
        for path in PATHS {
            up.always(script.clone().then(Act::Fin));
            let answer = row.ask(path, &chat("m", 0, true)).await;
            // What is whole before the nonsense may be told.
            let fine = matches!(answer.end, End::Refused | End::ErrorEvent)
                || answer.end == End::Complete && answer.said() == "one";
            assert!(fine, "{what}: {:?} {}", answer.end, answer.text());
        }
    }
    row.check().await;
}
