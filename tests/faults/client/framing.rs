//! Requests that can be read in two ways, that are too long, or that want something else than HTTP.

use super::{post, refused};
use crate::rig::{Chaosd, End, Row, Setup, chat};
use serde_json::json;

/// What would be executed if it were taken for a request.
const SECOND: &str = "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20\r\n\r\n{\"model\":\"smuggled\"}";

/// What stands between request line and body, and what the body is.
fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = format!("0\r\n\r\n{SECOND}");
    let sized = format!("{}{SECOND}", "{\"model\":\"m\"}");
    let mut corpus = Vec::new();
    let mut add = |name, line: &str, head: &str, body: &str| {
        corpus.push((name, format!("{line}\r\n{head}\r\n{body}").into_bytes()));
    };
    let line = "POST /api/chat HTTP/1.1\r\nhost: localhost";
    for (name, head) in [
        ("CL.TE", "content-length: 5\r\ntransfer-encoding: chunked\r\n"),
        ("TE.CL", "transfer-encoding: chunked\r\ncontent-length: 5\r\n"),
        (
            "CL.TE padded",
            &format!("transfer-encoding: chunked\r\ncontent-length:{}5\r\n", " ".repeat(99)),
        ),
        ("CL.TE with a length that is none", "transfer-encoding: chunked\r\ncontent-length: x\r\n"),
        ("TE xchunked", "transfer-encoding: xchunked\r\n"),
        ("TE space before the colon", "transfer-encoding : chunked\r\ncontent-length: 5\r\n"),
        ("TE tab", "transfer-encoding:\tchunked\r\ncontent-length: 5\r\n"),
        ("TE vertical tab", "transfer-encoding: \u{b}chunked\r\ncontent-length: 5\r\n"),
        ("TE identity", "transfer-encoding: identity\r\ncontent-length: 5\r\n"),
        ("TE chunked, identity", "transfer-encoding: chunked, identity\r\n"),
        ("TE identity, chunked", "transfer-encoding: identity, chunked\r\n"),
        ("TE gzip, chunked", "transfer-encoding: gzip, chunked\r\n"),
        ("TE twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
        (
            "TE twice, the second is none",
            "transfer-encoding: chunked\r\ntransfer-encoding: cow\r\n",
        ),
        ("TE folded", "transfer-encoding:\r\n chunked\r\ncontent-length: 5\r\n"),
        ("TE behind a bare CR", "x: y\rtransfer-encoding: chunked\r\ncontent-length: 5\r\n"),
        ("TE behind a bare LF", "x: y\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n"),
    ] {
        add(name, line, head, &chunked);
    }
    for (name, head) in [
        ("CL.CL", "content-length: 13\r\ncontent-length: 14\r\n"),
        ("CL list", "content-length: 13, 14\r\n"),
        ("CL list of the same", "content-length: 13, 13\r\n"),
        ("CL plus", "content-length: +13\r\n"),
        ("CL minus", "content-length: -13\r\n"),
        ("CL hexadecimal", "content-length: 0xd\r\n"),
        ("CL with a space in it", "content-length: 1 3\r\n"),
        ("CL beyond 2^64", "content-length: 18446744073709551629\r\n"),
        ("CL space before the colon", "content-length : 13\r\n"),
        ("a folded line", "x: y\r\n z\r\ncontent-length: 13\r\n"),
        ("NUL in a name", "x\0y: z\r\ncontent-length: 13\r\n"),
        ("NUL in a value", "x: y\0z\r\ncontent-length: 13\r\n"),
        ("no colon", "x\r\ncontent-length: 13\r\n"),
        ("an empty name", ": x\r\ncontent-length: 13\r\n"),
        ("two hosts", "host: elsewhere\r\ncontent-length: 13\r\n"),
        ("a bare LF", "x: y\ncontent-length: 13\r\n"),
    ] {
        add(name, line, head, &sized);
    }
    let host = "host: localhost\r\ncontent-length: 13\r\n";
    add(
        "HTTP/1.0 with TE",
        "POST /api/chat HTTP/1.0\r\nhost: localhost",
        "transfer-encoding: chunked\r\n",
        &chunked,
    );
    add("another host in the address", "POST http://elsewhere/api/chat HTTP/1.1", host, &sized);
    add("HTTP/1.2", "POST /api/chat HTTP/1.2", host, &sized);
    add("HTTP/9", "POST /api/chat HTTP/9.9", host, &sized);
    add("no version", "POST /api/chat", host, &sized);
    add("two spaces", "POST  /api/chat HTTP/1.1", host, &sized);
    add("a tab in the line", "POST\t/api/chat HTTP/1.1", host, &sized);
    add("NUL in the path", "POST /api/\0chat HTTP/1.1", host, &sized);
    add("a line before the method", "\r\n\r\nx\r\nPOST /api/chat HTTP/1.1", host, &sized);
    add("a bare LF behind the line", "POST /api/chat HTTP/1.1\nx: y", host, &sized);
    corpus
}

#[tokio::test]
async fn c10_a_request_with_two_meanings_is_refused_and_nothing_behind_it_is_executed() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("C10", Setup::ollama(&up)).await;
    let corpus = corpus();
    let count = corpus.len();
    let mut ours = 0;
    for (name, bytes) in corpus {
        // Alone, and behind a request that is in order.
        let get = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec();
        let (entry, rest) = refused(&row, &bytes).await;
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert_eq!((entry.status, rest.as_str()), (400, ""), "{name}: {}", entry.head);
        ours += usize::from(!entry.id().is_empty());
        let (_, rest) = refused(&row, &[get, bytes].concat()).await;
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(!rest.contains(" 200 "), "{name}: {rest}");
        assert_eq!(up.calls().len(), 0, "{name}: {:?}", up.calls());
    }
    row.figure(format!("{count} requests, {ours} of them refused above hyper"));
    let answer = row.ask("/api/chat", &chat("m", 1, true)).await;
    assert_eq!(answer.end, End::Complete);
    // Of two requests on one connection the ledger knows the first.
    row.waive("I1", "the second of two requests on a connection may have a row of its own")
        .check()
        .await;
}

#[tokio::test]
async fn c10_what_looks_alike_and_has_one_meaning_is_served() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("C10", Setup::ollama(&up)).await;
    let body = chat("m", 1, true).to_string();
    let length = body.len();
    let chunks = format!("{length:x};x=y\r\n{body}\r\n0\r\nx-trailer: content-length: 5\r\n\r\n");
    for (name, bytes) in [
        (
            "chunked",
            format!(
                "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: Chunked\r\n\r\n{chunks}"
            ),
        ),
        (
            "the same length twice",
            format!(
                "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        ),
        (
            "its own host in the address",
            format!(
                "POST http://localhost/api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        ),
        (
            "empty lines first",
            format!(
                "\r\n\r\nPOST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        ),
    ] {
        let entry = row.raw(bytes.as_bytes()).await.finish().await;
        assert_eq!((entry.status, entry.end), (200, End::Complete), "{name}: {}", entry.text());
    }
    row.check().await;
}

#[tokio::test]
async fn c15_what_is_too_long_is_refused_and_a_name_with_a_line_end_stays_a_name() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("C15", Setup::ollama(&up)).await;
    let body = chat("m", 1, true).to_string();
    let many: String = (0..10_000).map(|nth| format!("x-{nth}: y\r\n")).collect();
    let some: String = (0..101).map(|nth| format!("x-{nth}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(70_000));
    for (name, lines, allowed) in
        [("10,000", &many, &[431][..]), ("101", &some, &[431]), ("70 kB", &long, &[431, 400])]
    {
        let (entry, rest) = refused(&row, &post("/api/chat", lines, &body)).await;
        assert!(allowed.contains(&entry.status) && rest.is_empty(), "{name}: {:?}", entry.head);
    }
    for length in [20_000, 60_000, 1 << 20] {
        let path = format!("/v1/models/{}", "x".repeat(length));
        let (entry, _) = refused(&row, &post(&path, "", &body)).await;
        assert!([414, 431].contains(&entry.status), "{length}: {:?}", entry.head);
        if length == 20_000 {
            let message = entry.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
            assert!(message.contains("16384"), "in the client's dialect: {}", entry.text());
        }
    }
    for name in ["m\r\nx-injected: yes", "m\nx-injected: yes", "m\0", "m\u{1b}[31m", "m\u{202e}x"] {
        for path in ["/api/chat", "/v1/chat/completions"] {
            let entry =
                row.ask(path, &json!({ "model": name, "messages": [], "stream": true })).await;
            let head = entry.head.to_lowercase();
            assert!(!head.contains("\nx-injected"), "{path}: {head}");
            assert!(head.is_ascii() && !head.contains('\u{1b}'), "{head}");
        }
    }
    let said = row.program.said();
    assert!(!said.contains("\nx-injected") && !said.contains("\u{1b}[31m"), "{said}");
    assert!(up.calls().iter().all(|call| !call.head.to_lowercase().contains("\nx-injected")));
    row.check().await;
}

#[tokio::test]
async fn c17_nothing_becomes_a_tunnel() {
    let up = Chaosd::ollama(&["m"]).await;
    let row = Row::start("C17", Setup::ollama(&up)).await;
    let upgrade = "connection: upgrade\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n";
    for (line, lines, status) in [
        ("CONNECT 127.0.0.1:22 HTTP/1.1", String::new(), 405),
        ("CONNECT localhost:11434 HTTP/1.1", String::new(), 405),
        ("TRACE / HTTP/1.1", String::new(), 405),
        ("TRACE /api/chat HTTP/1.1", "cookie: c\r\n".to_owned(), 405),
        ("GET /v1/realtime HTTP/1.1", format!("upgrade: websocket\r\n{upgrade}"), 501),
        ("GET /api/chat HTTP/1.1", format!("upgrade: WebSocket\r\n{upgrade}"), 501),
    ] {
        let bytes = format!("{line}\r\nhost: localhost\r\n{lines}\r\n{SECOND}");
        let (entry, rest) = refused(&row, bytes.as_bytes()).await;
        assert_eq!((entry.status, rest.len()), (status, 0), "{line}: {}", entry.head);
        assert!(entry.json().get("error").is_some(), "{line}: {}", entry.text());
        assert_eq!(up.all().iter().filter(|call| call.path.contains("realtime")).count(), 0);
        assert_eq!(up.calls().len(), 0, "{line}");
    }
    // Java's own client offers this with every request; HTTP lets a server ignore it.
    let offer =
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    let body = chat("m", 1, true).to_string();
    let entry = row.raw(&post("/api/chat", offer, &body)).await.finish().await;
    assert_eq!((entry.status, entry.end), (200, End::Complete), "{}", entry.head);
    let head = up.calls()[0].head.to_lowercase();
    assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
    row.check().await;
}

#[tokio::test]
async fn c18_a_request_that_is_sent_again_by_its_client_is_a_request_with_its_key_and_its_row() {
    let up = Chaosd::openai(&["g"]).await;
    let setup = Setup::new().upstream("openai", "openai", &up);
    let row = Row::start("C18", setup).await;
    let body = chat("g", 1, true).to_string();
    for nth in 0..2 {
        let bytes = post("/v1/chat/completions", "idempotency-key: one-and-the-same\r\n", &body);
        let entry = row.raw(&bytes).await.finish().await;
        assert_eq!(entry.end, End::Complete, "{}", entry.text());
        assert_eq!(up.calls()[nth].header("idempotency-key"), "one-and-the-same");
    }
    // Whether it is billed once is the upstream's to say, which has the key; here are two rows.
    assert_eq!(up.calls().len(), 2);
    row.check().await;
}
