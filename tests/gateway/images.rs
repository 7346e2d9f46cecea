//! Images on their way to an Ollama: what is none, or too large, or elsewhere, never reaches it.

use crate::support::{Gateway, Script, Upstream, config};
use serde_json::{Value, json};

fn ask(url: &str) -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "x" }, { "type": "image_url", "image_url": { "url": url } }
    ] }] })
}

const PNG: &str = "iVBORw0KGgoAAAAA";

#[tokio::test]
async fn bytes_that_are_no_image_and_images_that_are_too_large_are_refused_by_their_place() {
    let upstream = Upstream::always(&["m"], Script::said("seen")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    config.translate.max_image_bytes = 12;
    let gateway = Gateway::start(config).await;
    let post = async |url: &str| gateway.client().post("/v1/chat/completions", &ask(url)).await;
    let answer = post("data:image/png;base64,aGVsbG8=").await;
    let message = answer.json()["error"]["message"].to_string();
    assert_eq!(answer.status, 400);
    assert!(message.contains("messages[0].content[1].image_url"), "{message}");
    let answer = post(&format!("data:image/png;base64,{PNG}AAAA")).await;
    let message = answer.json()["error"]["message"].to_string();
    assert_eq!(answer.status, 400);
    assert!(message.contains("messages[0].content[1] must be at most 12 bytes"), "{message}");
    assert!(upstream.seen().is_empty());
    assert_eq!(post(&format!("data:image/gif;base64,{PNG}")).await.status, 200);
    assert_eq!(upstream.seen()[0].json()["messages"][0]["images"], json!([PNG]));
}

#[tokio::test]
async fn golden_22_an_address_is_refused_unless_its_host_is_listed_and_public() {
    let upstream = Upstream::always(&["m"], Script::said("never")).await;
    let secret = Upstream::always(&[], Script::new("image/png", "\u{89}PNG")).await;
    let mut config = config(&[("ollama", "ollama", &upstream)]);
    let url = format!("http://localhost:{}/metadata?token=1", secret.addr.port());
    let gateway = Gateway::start(config.clone()).await;
    let answer = gateway.client().post("/v1/chat/completions", &ask(&url)).await;
    let message = answer.json()["error"]["message"].to_string();
    assert_eq!(answer.status, 400);
    assert!(message.contains("image URLs are not currently supported"), "{message}");
    config.translate.image_hosts = vec!["http://localhost".into(), "http://127.0.0.1".into()];
    config.log.path = None;
    let gateway = Gateway::start(config).await;
    for (url, why) in [
        (url.as_str(), "port"),
        ("http://localhost/metadata?token=1", "is at an address that is not public"),
        ("http://127.0.0.1/metadata?token=1", "is at an address that is not public"),
    ] {
        let answer = gateway.client().post("/v1/chat/completions", &ask(url)).await;
        let message = answer.json()["error"]["message"].to_string();
        assert_eq!(answer.status, 400);
        assert!(message.contains(why) && !message.contains("token"), "{message}");
    }
    assert!(upstream.seen().is_empty() && secret.seen().is_empty());
}

#[tokio::test]
async fn an_upstream_that_fetches_by_itself_gets_the_address() {
    let upstream = Upstream::always(&["g"], Script::completion("seen")).await;
    let gateway = Gateway::start(config(&[("cloud", "openai", &upstream)])).await;
    let mut body = ask("https://img.example/a.png");
    body["model"] = "g".into();
    assert_eq!(gateway.client().post("/v1/chat/completions", &body).await.status, 200);
    assert_eq!(upstream.seen()[0].json()["messages"], body["messages"]);
}
