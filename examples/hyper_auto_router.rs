//! A complete router for the model `auto` without the gateway: hyper's server above, hyper-util's client below.
//!
//! `cargo run --example hyper_auto_router`

mod support;

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use support::{Failure, chat, client, say, text, unreachable};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use unigate::{
    catalog::Catalog,
    config::Config,
    front::{AskLayer, Errors, NameLayer},
    route::{Addresses, Router},
};
use unigate_layers::{
    buffer::BufferLayer, rescue::RescueLayer, rewrite::RewriteLayer, route::RouteLayer,
};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let up = support::upstream(200).await?;
    let known = BTreeMap::from([("up".into(), (http::uri::Scheme::HTTP, up.to_string().parse()?))]);
    let mut config = Config::default(); // Its rules: code to the coder, short prompts to the small one.
    config.models.default = Some("llama3.3:70b".into());
    config.models.coder = Some("qwen2.5-coder:7b".into());
    config.models.small = Some("gemma3:1b".into());
    // A catalogue that knows nothing: the names are in the configuration.
    let router = Router::new(&config, Addresses::new("up", known), Arc::new(Catalog::default()))?;

    let service = ServiceBuilder::new()
        .layer(NameLayer)
        .layer(BufferLayer::new(1 << 20))
        .layer(AskLayer)
        .layer(RescueLayer::new(Errors))
        .layer(RouteLayer::new(router))
        .layer(RewriteLayer::new())
        .map_err(unreachable)
        .service(client());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            });
        }
    });

    let long = "Tell me how the harbours of the north grew rich. ".repeat(10);
    for (prompt, rule, model) in [
        ("Write a Python function that merges two lists", "code", "qwen2.5-coder:7b"),
        ("What is the capital of Peru?", "short", "gemma3:1b"),
        (&long, "default", "llama3.3:70b"),
    ] {
        let ask = json!({ "model": "auto", "messages": [{ "role": "user", "content": prompt }] });
        let (head, body) = client().request(chat(&address, &ask)?).await?.into_parts();
        let route = head.headers["x-unigate-route"].to_str()?.to_owned();
        let body = text(body).await?;
        say(&format!("{} {route}: {body}", head.status));
        assert!(route.starts_with(rule) && body.contains(&format!("this is {model}")));
    }
    Ok(())
}
