//! No secret is ever told: not in an answer, not in a header, not in the log.

use super::ask;
use crate::support::{Answer, Gateway, Script, Upstream, config, secret};
use http::Method;

const SECRETS: [&str; 5] =
    ["gateway-hunter2", "upstream-hunter2", "stranger-hunter2", "cookie-hunter2", "redis-hunter2"];

#[tokio::test]
async fn whatever_goes_wrong_no_secret_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let good = Upstream::always(&["m"], Script::said("hi")).await;
    let (dead, page) = (
        Upstream::nobody().await,
        Upstream::always(&["p"], Script::new("text/html", "<html></html>")).await,
    );
    let mut config = config(&[
        ("ollama", "ollama", &good),
        ("dead", "openai", &dead),
        ("page", "openai", &page),
    ]);
    config.server.keys = vec![secret(&folder, "gateway", SECRETS[0])];
    for (name, upstream) in &mut config.upstream {
        upstream.key = Some(secret(&folder, name, SECRETS[1]));
    }
    config.cache.store = "redis".into();
    let url = format!("redis://user:{}@127.0.0.1:1/", SECRETS[4]);
    config.cache.redis = Some(unigate::config::SecretUrl::parse(&url).unwrap());
    let gateway = Gateway::start(config).await;
    let friend = gateway
        .client()
        .with("authorization", &format!("Bearer {}", SECRETS[0]))
        .with("cookie", &format!("session={}", SECRETS[3]));
    let stranger = gateway.client().with("x-api-key", SECRETS[2]);
    let mut answers: Vec<Answer> = Vec::new();
    for path in super::CHATS {
        for client in [&friend, &stranger] {
            for model in ["m", "dead/x", "page/p", "auto:nothing"] {
                let mut body = ask(false);
                body["model"] = model.into();
                answers.push(client.post(path, &body).await);
            }
            answers.push(client.send(Method::POST, path, "{").await);
            answers.push(client.with("host", "evil.example.com").post(path, &ask(false)).await);
        }
    }
    for path in ["/api/tags", "/readyz", "/unigate/x", "/api/ps", "/something"] {
        answers.push(friend.get(path).await);
    }
    for answer in &answers {
        let all = format!("{:?} {}", answer.headers, answer.text());
        assert!(SECRETS.iter().all(|secret| !all.contains(secret)), "{all}");
        assert_eq!(answer.header("x-request-id").len(), 36);
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    for expected in [200, 400, 401, 403, 404, 502, 503] {
        assert!(statuses.contains(&expected), "{expected} in {statuses:?}");
    }
    for row in gateway.stop().await {
        let row = row.to_string();
        assert!(SECRETS.iter().all(|secret| !row.contains(secret)), "{row}");
    }
}
