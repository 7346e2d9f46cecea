//! What the examples share: an upstream of a few lines, and a client that asks it a chat.

#![allow(dead_code, reason = "each example uses what it needs")]

use axum::{Router, http::StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use unigate::error::Error;
use unigate_layers::notes::Target;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type HttpClient<B> = Client<HttpConnector, B>;

/// A client for any body; the leaf of a stack, or who asks it.
pub(crate) fn client<B>() -> HttpClient<B>
where
    B: http_body::Body<Data = bytes::Bytes> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

/// The client's errors in the words of the gateway, which can be judged, and told in the dialect of whoever asked.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` calls")]
pub(crate) fn unreachable(error: legacy::Error) -> Error {
    Error::Connect { upstream: "the upstream".into(), why: error.to_string() }
}

/// An upstream that speaks as OpenAI does, answers with this status, and says which model was asked.
pub(crate) async fn upstream(status: u16) -> Result<SocketAddr, Failure> {
    let status = StatusCode::from_u16(status)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(move |body: String| async move {
        let asked: Value = serde_json::from_str(&body).unwrap_or_default();
        (status, [("content-type", "application/json")], completion(&asked).to_string())
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// What a model answers, in OpenAI's words.
pub(crate) fn completion(asked: &Value) -> Value {
    let text = format!("this is {}", asked["model"].as_str().unwrap_or("nobody"));
    json!({ "id": "c1", "object": "chat.completion", "created": 1, "model": asked["model"],
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": text } }],
        "usage": { "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8 } })
}

/// A model of the upstream that lives there.
pub(crate) fn target(upstream: &str, at: SocketAddr, model: &str) -> Result<Target, Failure> {
    Ok(Target {
        upstream: upstream.into(),
        scheme: http::uri::Scheme::HTTP,
        authority: at.to_string().parse()?,
        model: Some(model.into()),
    })
}

/// A chat request; the address may be left to whoever routes.
pub(crate) fn chat(
    address: &str,
    body: &Value,
) -> Result<http::Request<Full<bytes::Bytes>>, Failure> {
    let request = http::Request::post(format!("{address}/v1/chat/completions"))
        .header("content-type", "application/json");
    Ok(request.body(Full::from(body.to_string()))?)
}

/// The whole text of a body.
pub(crate) async fn text<B>(body: B) -> Result<String, Failure>
where
    B: http_body::Body<Data = bytes::Bytes>,
    B::Error: Into<Failure>,
{
    let bytes = body.collect().await.map_err(Into::into)?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
