//! The raw HTTP stack: the listener's connection and the check of heads, over anything a client may write.

use crate::cut::{pieces, places};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex, split},
    runtime::Builder,
    task::yield_now,
};
use tower::{Layer, service_fn};
use unigate::{
    edge::HeadLayer,
    listen::{Limits, connection},
};

/// What came of it.
#[derive(Debug, Default)]
struct Served {
    /// Method, path and body of what was executed.
    executed: Vec<(String, String, Bytes)>,
    out: Vec<u8>,
}

/// A connection ends, answers what it executes, executes nothing of a head with two meanings, and nothing else when the
/// same bytes come in other pieces.
pub fn http(data: &[u8]) {
    let whole = serve(&[data]);
    // Frames of HTTP/2 are h2's, which is fuzzed elsewhere; here they must only end.
    if data.starts_with(b"PRI") {
        return;
    }
    let count =
        |words: &[u8], text: &[u8]| text.windows(words.len()).filter(|w| *w == words).count();
    let said =
        count(b"HTTP/1.1 200 OK\r\n", &whole.out) + count(b"HTTP/1.0 200 OK\r\n", &whole.out);
    assert_eq!(said, whole.executed.len(), "an answer for each");
    assert!(whole.executed.len() <= count(b"HTTP/1.", data), "no request without its line");
    let start = data.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(data.len());
    if let Some(end) = data[start..].iter().position(|byte| *byte == b'\n')
        && data[start..start + end].last() != Some(&b'\r')
    {
        assert!(whole.executed.is_empty(), "a line that ends without CR: {:?}", whole.executed);
    }
    for other in
        [serve(&pieces(data, &places::<3>(data))), serve(&data.chunks(1).collect::<Vec<_>>())]
    {
        // In smaller pieces more may be done before something odd is seen, never something else.
        let common = whole.executed.len().min(other.executed.len());
        assert_eq!(whole.executed[..common], other.executed[..common], "in other pieces");
        assert!(whole.executed.len() <= other.executed.len(), "in other pieces less is done");
    }
}

fn serve(pieces: &[&[u8]]) -> Served {
    // A clock that goes on when nothing else does: deadlines cost no time.
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let executed: Arc<Mutex<Vec<_>>> = Arc::default();
    let seen = executed.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let mut response = Response::new(Full::new(Bytes::from_static(b"done")));
            match body.collect().await {
                Ok(body) => seen.lock().expect("nobody panicked").push((
                    head.method.to_string(),
                    head.uri.to_string(),
                    body.to_bytes(),
                )),
                Err(_) => *response.status_mut() = http::StatusCode::BAD_REQUEST,
            }
            Ok::<_, Infallible>(response)
        }
    });
    let out = runtime.block_on(async {
        let (client, server) = duplex(64 * 1024);
        let served = connection(server, HeadLayer.layer(service), Limits::default());
        let (mut read, mut write) = split(client);
        let mut out = Vec::new();
        let client = async {
            let writing = async {
                for piece in pieces {
                    if write.write_all(piece).await.is_err() {
                        break;
                    }
                    for _ in 0..4 {
                        yield_now().await;
                    }
                }
                // Whoever hangs up at once is not answered.
                tokio::time::sleep(Limits::default().head / 2).await;
                let _ = write.shutdown().await;
            };
            tokio::join!(writing, async { drop(read.read_to_end(&mut out).await) });
        };
        let (_, ()) = tokio::join!(served, client);
        out
    });
    let executed = std::mem::take(&mut *executed.lock().expect("nobody panicked"));
    Served { executed, out }
}
