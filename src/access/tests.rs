//! Who is let in, and who is not.

use super::*;

fn head(headers: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::post("/v1/chat/completions");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn rules(keys: &[&str]) -> Arc<Rules> {
    AccessLayer::new(keys, vec!["gw.example.com".into()], vec![], true).rules
}

#[test]
fn local_names_and_address_literals_are_let_in_and_a_rebound_name_is_not() {
    for host in
        ["localhost:11435", "127.0.0.1", "[::1]:80", "box.local", "10.0.0.7:1", "gw.example.com"]
    {
        assert!(rules(&[]).admit(&mut head(&[("host", host)])).is_ok(), "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "local", "127.0.0.1.nip.io:80"] {
        assert!(rules(&[]).admit(&mut head(&[("host", host)])).is_err(), "{host}");
    }
}

#[test]
fn pages_of_local_tools_are_let_in_and_pages_of_other_sites_are_not() {
    for origin in
        ["http://localhost:3000", "app://obsidian.md", "vscode-webview://x", "https://127.0.0.1"]
    {
        assert!(rules(&[]).admit(&mut head(&[("origin", origin)])).is_ok(), "{origin}");
    }
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        assert!(rules(&[]).admit(&mut head(&[("origin", origin)])).is_err(), "{origin}");
    }
}

#[test]
fn a_page_that_does_not_say_whose_it_is_is_let_in_only_as_a_link() {
    let cross = ("sec-fetch-site", "cross-site");
    assert!(rules(&[]).admit(&mut head(&[cross])).is_err());
    let local = ("origin", "http://localhost:3000");
    assert!(rules(&[]).admit(&mut head(&[cross, local])).is_ok());
    assert!(rules(&[]).admit(&mut head(&[("sec-fetch-site", "same-origin")])).is_ok());
    let link = [cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert!(rules(&[]).admit(&mut head(&link)).is_err(), "a form that is sent");
    let mut link = head(&link);
    link.method = http::Method::GET;
    assert!(rules(&[]).admit(&mut link).is_ok());
}

#[test]
fn every_name_that_a_request_calls_us_must_be_allowed() {
    let both = [("host", "localhost"), ("host", "evil.example")];
    assert!(rules(&[]).admit(&mut head(&both)).is_err());
    let mut absolute = head(&[("host", "localhost")]);
    absolute.uri = "http://evil.example/v1/chat/completions".parse().unwrap();
    assert!(rules(&[]).admit(&mut absolute).is_err());
}

#[test]
fn whoever_tries_keys_is_told_to_wait_and_whoever_has_one_is_not() {
    let long = "a-key-that-nobody-will-guess";
    let layer = AccessLayer::new(&["short", "brief", long], vec![], vec![], true);
    let rules = layer.max_failures_per_min(3).rules;
    let from = Peer("10.0.0.1".parse().unwrap());
    let admit = |key: &str| {
        let mut head = head(&[("x-api-key", key)]);
        head.extensions.insert(from);
        rules.admit(&mut head).map(drop)
    };
    admit("short").unwrap();
    for _ in 0..3 {
        assert!(matches!(admit("wrong"), Err(Error::Unauthorized(_))));
    }
    assert!(matches!(admit("wrong"), Err(Error::Throttled { .. })));
    assert!(matches!(admit("brief"), Err(Error::Throttled { .. })), "a lucky guess");
    admit("short").unwrap();
    admit(long).unwrap();
    assert!(matches!(rules.admit(&mut head(&[])), Err(Error::Unauthorized(_))));
}

#[test]
fn a_page_that_the_gateway_itself_serves_is_let_in() {
    let own = [("host", "gw.example.com"), ("origin", "https://gw.example.com")];
    assert!(rules(&[]).admit(&mut head(&own)).is_ok());
}

#[test]
fn a_key_is_accepted_in_each_of_its_three_places() {
    let rules = rules(&["other", "sesame"]);
    for (name, value) in [
        ("authorization", "Bearer sesame"),
        ("authorization", "bearer sesame"),
        ("x-api-key", "sesame"),
        ("x-gateway-key", "sesame"),
    ] {
        assert!(rules.admit(&mut head(&[(name, value)])).is_ok(), "{name}: {value}");
    }
    for headers in [
        &[][..],
        &[("authorization", "Bearer sesam")],
        &[("authorization", "sesame")],
        &[("x-api-key", "")],
    ] {
        assert!(
            matches!(rules.admit(&mut head(headers)), Err(Error::Unauthorized(_))),
            "{headers:?}"
        );
    }
}

#[test]
fn without_configured_keys_any_key_will_do() {
    assert!(rules(&[]).admit(&mut head(&[("authorization", "Bearer local")])).is_ok());
}
