//! Upstreams behind TLS: trusted by the system's roots, and refused without them.

use crate::shutdown::program::Program;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::{convert::Infallible, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

/// A server with a certificate of its own making for `localhost`, and that certificate.
async fn serve() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let server = hyper::server::conn::http1::Builder::new();
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    });
    (addr, made.cert.pem())
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let key = request.headers().get("authorization").cloned();
    let host = request.headers()["host"].to_str().unwrap().to_owned();
    let _ = request.into_body().collect().await;
    let said = format!("{} at {host}", key.as_ref().map_or("nobody", |key| key.to_str().unwrap()));
    let body = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "g",
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": said } }] });
    let mut response = Response::new(body.to_string().into());
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

fn config(addr: SocketAddr) -> String {
    let port = addr.port();
    format!(
        "[upstream.cloud]\nprovider = \"openai\"\nurl = \"https://localhost:{port}/v1\"\n\
         key = \"env:CLOUD_KEY\"\n"
    )
}

#[tokio::test]
async fn an_upstream_whose_certificate_the_system_trusts_is_spoken_to() {
    let (addr, certificate) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, certificate).unwrap();
    let env = [("CLOUD_KEY", "sk-1"), ("SSL_CERT_FILE", roots.to_str().unwrap())];
    let program = Program::start_in(&config(addr), &env).await;
    let body = json!({ "model": "g", "messages": [{ "role": "user", "content": "x" }] });
    let answer = program.client().post("/v1/chat/completions", &body).await.json();
    let said = format!("Bearer sk-1 at localhost:{}", addr.port());
    assert_eq!(answer["choices"][0]["message"]["content"], said, "{answer}");
}

#[tokio::test]
async fn an_upstream_whose_certificate_nobody_trusts_is_told_nothing() {
    let (addr, _) = serve().await;
    let program = Program::start_in(&config(addr), &[("CLOUD_KEY", "sk-1")]).await;
    let body = json!({ "model": "g", "messages": [{ "role": "user", "content": "x" }] });
    let answer = program.client().post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("certificate"), "{}", answer.text());
}
