use super::*;

#[test]
fn its_paths_are_its_own() {
    let of = |method: Method, path: &str| ANTHROPIC.operation(&method, path);
    assert_eq!(of(Method::POST, "/v1/messages"), Some(Operation::Chat));
    assert_eq!(of(Method::POST, "/v1/messages/count_tokens"), Some(Operation::Count));
    assert_eq!(of(Method::GET, "/v1/messages/batches"), Some(Operation::Other));
    assert_eq!(of(Method::POST, "/v1/chat/completions"), None);
    assert_eq!(of(Method::GET, "/v1/models/"), None);
    assert_eq!(of(Method::POST, "/api/chat"), None);
}
