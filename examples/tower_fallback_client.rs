//! A client that tries again and then asks somebody else: a `tower::ServiceBuilder` around hyper-util's client.
//!
//! What is worth another try is the gateway's own judgement, [`Worth`]; it judges the gateway's errors, so the
//! client's are made into those below it.
//! `cargo run --example tower_fallback_client`

mod support;

use http::Request;
use serde_json::json;
use support::{Failure, chat, client, say, target, text, unreachable, upstream};
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder, ServiceExt, retry::RetryLayer};
use unigate::retry::Worth;
use unigate_layers::{
    buffer::BufferLayer,
    notes::{Fallbacks, Served},
    retry::Fallback,
    rewrite::RewriteLayer,
};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?; // Nobody listens there any more.
    let busy = target("busy", upstream(503).await?, "large")?;
    let dead = target("dead", closed, "large")?;
    let cloud = target("cloud", upstream(200).await?, "gpt-4o-mini")?;

    let mut service = ServiceBuilder::new()
        .layer(BufferLayer::new(1 << 20))
        .layer(RetryLayer::new(Fallback::new(Worth)))
        .layer(RewriteLayer::new())
        .map_err(unreachable)
        .service(client());
    let ask = |first, rest: Vec<_>| -> Result<Request<_>, Failure> {
        let mut request = chat("", &json!({ "model": "auto", "messages": [] }))?;
        request.extensions_mut().insert(first);
        request.extensions_mut().insert(Fallbacks(rest.into()));
        Ok(request)
    };

    // A full queue is left at once, a dead address after a second try; the third one answers.
    let request = ask(busy, vec![dead.clone(), cloud])?;
    let answer = service.ready().await?.call(request).await?;
    let served = Served::of(&answer).map(|served| served.attempts.clone()).unwrap_or_default();
    let attempt = |attempt: &unigate_layers::notes::Attempt| {
        let target = attempt.target.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{target} {}", attempt.outcome)
    };
    let attempts: Vec<String> = served.iter().map(attempt).collect();
    say(&attempts.join(", "));
    let answer = text(answer.into_body()).await?;
    say(&answer);
    assert_eq!(attempts.len(), 4);
    assert_eq!((&*attempts[0], &*attempts[3]), ("busy/large 503", "cloud/gpt-4o-mini 200"));
    assert!(answer.contains("this is gpt-4o-mini"));

    // When nobody is left, the error names every attempt.
    let error = service.ready().await?.call(ask(dead, Vec::new())?).await;
    let error = error.map(|answer| answer.status()).expect_err("nobody listens there");
    say(&error.to_string());
    assert!(error.to_string().starts_with("all 2 attempts failed: dead/large"));
    Ok(())
}
