//! What the three examples share: upstreams to stand in front of, and policies of a few lines each.

#![expect(clippy::unwrap_used, reason = "an example that meets a surprise should stop")]
#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(dead_code, reason = "each example uses what it needs")]

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response, StatusCode, response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use unigate_layers::body::Replay;
use unigate_layers::cache::{Entry, Fill, Key, Plan, Policy};
use unigate_layers::memory::MemoryStore;
use unigate_layers::notes::{CacheStatus, Fallbacks, Served, Target};
use unigate_layers::retry::{Judge, Verdict};

pub(crate) type HttpClient<B> = Client<HttpConnector, B>;
pub(crate) type ClientError = hyper_util::client::legacy::Error;

/// An upstream that answers with this status and, in its body, what it was asked.
pub(crate) async fn upstream(status: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move |request: Request<Incoming>| async move {
        let path = request.uri().path().to_owned();
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        let body = format!("{path} {}", String::from_utf8_lossy(&asked));
        Ok::<_, Infallible>(
            Response::builder().status(status).body(Full::<Bytes>::from(body)).unwrap(),
        )
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(answer);
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

pub(crate) fn client<B>() -> HttpClient<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

/// Every request goes to `first` as model `small`, then to `second` as model `large`.
pub(crate) fn two_targets<B>(
    first: SocketAddr,
    second: SocketAddr,
) -> impl Fn(Request<B>) -> Request<B> + Clone {
    let target = |name: &str, address: SocketAddr, model: &str| Target {
        upstream: name.into(),
        scheme: Scheme::HTTP,
        authority: address.to_string().parse().unwrap(),
        model: Some(model.into()),
    };
    let first = target("first", first, "small");
    let rest: Arc<[Target]> = [target("second", second, "large")].into();
    move |mut request| {
        request.extensions_mut().insert(first.clone());
        request.extensions_mut().insert(Fallbacks(Arc::clone(&rest)));
        request
    }
}

/// 5xx and errors are worth another try.
#[derive(Clone, Debug)]
pub(crate) struct On5xx;

impl<R, E: std::fmt::Display> Judge<R, E> for On5xx {
    fn judge(&self, result: Result<&Response<R>, &E>) -> Verdict {
        match result {
            Ok(response) if !response.status().is_server_error() => Verdict::Done,
            Ok(_) | Err(_) => Verdict::Same { after: None },
        }
    }

    fn outcome(&self, result: Result<&Response<R>, &E>) -> Arc<str> {
        match result {
            Ok(response) => response.status().as_str().into(),
            Err(error) => error.to_string().into(),
        }
    }
}

/// Caches whole requests by path and body for a minute.
#[derive(Clone, Debug)]
pub(crate) struct ByBody;

pub(crate) struct KeepOk;

impl<B: Replay> Policy<B> for ByBody {
    type Fill = KeepOk;

    fn plan(&self, request: &Request<B>) -> Option<Plan> {
        let body = request.body().bytes()?;
        let key = Key::of(&[request.uri().path().as_bytes(), body]);
        let ttl = Duration::from_secs(60);
        Some(Plan { key, read: true, write: true, ttl, max_age: None })
    }

    fn fill(&self, _: &Request<B>) -> KeepOk {
        KeepOk
    }

    fn replay(&self, _: &Request<B>, entry: &Entry, _: Duration) -> Option<Response<Bytes>> {
        Some(Response::new(entry.body.clone()))
    }
}

impl Fill for KeepOk {
    fn worth(&mut self, head: &response::Parts) -> bool {
        head.status == StatusCode::OK
    }

    fn keep(self, body: Bytes) -> Option<(Bytes, Arc<str>)> {
        Some((body, "".into()))
    }
}

/// Notes are for the process; a client reads headers.
pub(crate) fn notes_to_headers<R>(mut response: Response<R>) -> Response<R> {
    let status = CacheStatus::of(&response).map_or("-", CacheStatus::as_str);
    let attempts = Served::of(&response).map_or("-".to_owned(), |served| {
        let attempt = |attempt: &unigate_layers::notes::Attempt| {
            let target = attempt.target.as_ref().map(ToString::to_string);
            format!("{} {}", target.unwrap_or_default(), attempt.outcome)
        };
        served.attempts.iter().map(attempt).collect::<Vec<_>>().join(", ")
    });
    response.headers_mut().insert("x-cache", status.parse().unwrap());
    response.headers_mut().insert("x-attempts", attempts.parse().unwrap());
    response
}

/// Asks the same thing twice, shows the answers, and checks that all layers did their work.
pub(crate) async fn ask_twice(address: SocketAddr, store: &MemoryStore) {
    let client = client::<Full<Bytes>>();
    for expected in ["miss", "hit"] {
        let request = Request::post(format!("http://{address}/chat"))
            .header("content-type", "application/json")
            .body(Full::from(r#"{"model": "auto", "prompt": "hi"}"#))
            .unwrap();
        let response = client.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        check(&head, &body, expected);
        kept(store).await;
    }
}

/// Waits until an answer is kept: it is written beside the client's path, a moment after it was given.
pub(crate) async fn kept(store: &MemoryStore) {
    let kept = async {
        while store.is_empty() {
            tokio::task::yield_now().await;
            store.settle();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), kept).await.unwrap();
}

/// Shows an answer, and checks that all layers did their work.
pub(crate) fn check(head: &response::Parts, body: &Bytes, expected: &str) {
    let header = |name: &str| head.headers[name].to_str().unwrap().to_owned();
    let (cache, attempts) = (header("x-cache"), header("x-attempts"));
    let body = String::from_utf8_lossy(body).into_owned();
    say(&format!("{}  cache: {cache}  attempts: {attempts}\n     {body}", head.status));
    assert_eq!(cache, expected);
    assert_eq!(body, r#"/chat {"model": "large", "prompt": "hi"}"#);
    if expected == "miss" {
        assert_eq!(attempts, "first/small 503, first/small 503, second/large 200");
    }
}

/// Shows the rows of the log, and checks that there is one per request.
pub(crate) fn show_log(path: &std::path::Path) {
    let database = rusqlite::Connection::open(path).unwrap();
    let mut statement = database
        .prepare("SELECT method || ' ' || path || ' ' || status || ' ' || ending FROM http_log")
        .unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    for row in &rows {
        say(&format!("log  {row}"));
    }
    assert_eq!(rows, ["POST /chat 200 complete"; 2]);
}

pub(crate) fn say(line: &str) {
    println!("{line}");
}
