//! What a client may say of the cache in its headers.

use super::{ask, post, sampled, says, status, text};
use crate::support::{Gateway, Script, Upstream};
use std::sync::atomic::{AtomicUsize, Ordering};

/// One that counts its answers: "1", "2", ….
async fn counting() -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::start(&["m"], move |_| {
        Script::said(&(count.fetch_add(1, Ordering::SeqCst) + 1).to_string())
    })
    .await
}

#[tokio::test]
async fn no_store_neither_reads_nor_writes() {
    let upstream = counting().await;
    let gateway = Gateway::before(&upstream).await;
    let (client, path) = (gateway.client(), "/v1/chat/completions");
    let private = client.with("cache-control", "no-store");
    for (client, expected) in [
        (&private, ("BYPASS", "1")),
        (&client, ("MISS", "2")),
        (&private, ("BYPASS", "3")),
        (&client, ("HIT", "2")),
    ] {
        let answer = post(client, path, &sampled(false)).await;
        assert_eq!((status(&answer), text(&answer).as_str()), expected);
    }
}

#[tokio::test]
async fn no_cache_and_a_max_age_of_nothing_get_a_new_answer_that_is_kept() {
    for wish in ["no-cache", "max-age=0", "No-Cache, foo=bar"] {
        let upstream = counting().await;
        let gateway = Gateway::before(&upstream).await;
        let client = gateway.client();
        let new = client.with("cache-control", wish);
        for (client, expected) in [
            (&client, ("MISS", "1")),
            (&new, ("REFRESH", "2")),
            (&client, ("HIT", "2")),
            (&new, ("REFRESH", "3")),
        ] {
            let answer = post(client, "/api/chat", &sampled(false)).await;
            assert_eq!((status(&answer), text(&answer).as_str()), expected, "{wish}");
        }
    }
}

#[tokio::test]
async fn a_client_may_say_how_long_its_answer_is_kept() {
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let path = "/api/chat";
    let never = gateway.client().with("x-unigate-cache-ttl", "0");
    for _ in 0..2 {
        assert_eq!(status(&post(&never, path, &ask(path, false)).await), "BYPASS");
    }
    let longer = gateway.client().with("x-unigate-cache-ttl", "86400");
    assert_eq!(status(&post(&longer, path, &ask(path, false)).await), "MISS");
    let hit = post(&gateway.client(), path, &ask(path, false)).await;
    let ttl = hit.header("cache-status").rsplit('=').next().unwrap().parse::<u64>().unwrap();
    assert!((86_000..=86_400).contains(&ttl), "{ttl}");
    assert!(!upstream.seen()[0].headers.contains_key("x-unigate-cache-ttl"), "it is for us alone");
}

#[tokio::test]
async fn what_cannot_be_read_in_these_headers_is_left_out_of_account() {
    let upstream = Upstream::start(&["m"], says("hi")).await;
    let gateway = Gateway::before(&upstream).await;
    let odd = gateway
        .client()
        .with("x-unigate-cache-ttl", "soon")
        .with("cache-control", "max-age=later, private");
    for expected in ["MISS", "HIT"] {
        assert_eq!(status(&post(&odd, "/api/chat", &sampled(false)).await), expected);
    }
}
