//! A8: whoever tries keys is slowed down, and nobody else.

use super::{KEY, reached, send};
use crate::rig::{Chaosd, Row, Setup, times};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a8_whoever_tries_keys_waits_and_whoever_has_one_does_not() {
    let up = Chaosd::ollama(&["m"]).await;
    let (short, unused) = ("canary-short", "canary-unused");
    let setup = Setup::ollama(&up).key(KEY).key(short).key(unused);
    let setup = setup.toml("[server]\nmax_failures_per_min = 20\n");
    let mut row = Row::start("A8", setup).await;
    let with = async |key: &str| {
        let lines = format!("authorization: Bearer {key}\r\n");
        send(&row, "POST", "/v1/chat/completions", &lines).await
    };
    assert_eq!(with(short).await.status, 200);
    let (begun, tries) = (Instant::now(), times(300, 60_000));
    let (mut judged, mut told_to_wait) = (0, 0);
    for nth in 0..tries {
        let answer = with(&format!("guess-{nth}")).await;
        match answer.status {
            401 => judged += 1,
            429 => {
                told_to_wait += 1;
                let wait: u64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=60).contains(&wait), "{wait}");
            }
            other => panic!("{other}"),
        }
        if nth % 20 == 0 {
            for key in [KEY, short] {
                assert_eq!(with(key).await.status, 200, "somebody who works here is shut out");
            }
        }
    }
    let most = 20 + begun.elapsed().as_secs() as usize / 3 + 1;
    assert!((20..=most).contains(&judged), "{judged} guesses were judged");
    // A guess that is right is none the wiser.
    assert_eq!(with(unused).await.status, 429);
    let rate = f64::from(told_to_wait) / begun.elapsed().as_secs_f64();
    row.figure(format!("{judged} of {tries} guesses judged, {rate:.0} a second told to wait"));
    row.check().await;
    let _ = reached(&up);
}

#[tokio::test]
async fn a8_requests_without_any_key_are_no_guesses() {
    let up = Chaosd::ollama(&["m"]).await;
    let setup = Setup::ollama(&up).key("canary-short");
    let row = Row::start("A8", setup.toml("[server]\nmax_failures_per_min = 3\n")).await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(send(&row, "POST", "/v1/chat/completions", "").await.status, 401);
    }
    let lines = "authorization: Bearer canary-short\r\n";
    assert_eq!(send(&row, "POST", "/v1/chat/completions", lines).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(20));
    row.check().await;
}
