//! S2 to S4: a stop, with much under way.

use crate::rig::{Act, Chaosd, End, Open, Reply, Row, Script, Setup, chat, full, ms, times};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Two words, the second when the test says so.
fn slow(go: &Arc<Notify>) -> Script {
    Script::from(Reply::chat(&["one", "two"])).at(2, Act::Until(go.clone()))
}

async fn streams(row: &Row, count: usize) -> Vec<Open> {
    let mut open = Vec::new();
    for nth in 0..count {
        let path = ["/api/chat", "/v1/chat/completions", "/v1/messages"][nth % 3];
        open.push(row.open(path, &chat("m", nth, true)).await);
    }
    for stream in &mut open {
        assert!(stream.until("one").await);
    }
    open
}

fn row_of<'a>(rows: &'a [crate::rig::LogLine], id: &str) -> &'a crate::rig::LogLine {
    rows.iter().find(|row| row["id"] == id).expect("a row of each")
}

#[tokio::test]
async fn s2_two_hundred_streams_are_finished_and_have_their_rows_when_it_is_told_to_stop() {
    for round in 0..times(1, 500) {
        let up = Chaosd::ollama(&["m"]).await;
        let go = Arc::new(Notify::new());
        up.always(slow(&go));
        let mut row = Row::start("S2", Setup::ollama(&up)).await;
        let open = streams(&row, 200).await;
        row.program.signal("TERM").await;
        row.program.says("draining").await;
        let released = Instant::now();
        go.notify_waiters();
        for stream in open {
            let entry = stream.finish().await;
            assert_eq!(entry.end, End::Complete, "round {round}: {}", entry.text());
        }
        let ended = row.program.ended().await;
        assert_eq!(ended.code(), Some(0), "{}", row.program.said());
        row.figure(format!("200 streams whole, exit 0 {} after the last", ms(released.elapsed())));
        row.check().await;
    }
}

#[tokio::test]
async fn s3_a_stream_that_outlasts_the_grace_is_told_so_and_its_row_says_why() {
    let up = Chaosd::ollama(&["m"]).await;
    up.always(slow(&Arc::default()));
    let setup = Setup::ollama(&up).toml("[server]\ndrain_s = 1\n");
    let mut row = Row::start("S3", setup).await;
    let open = streams(&row, if full() { 200 } else { 6 }).await;
    let stopped = Instant::now();
    row.program.signal("TERM").await;
    let mut ids = Vec::new();
    for stream in open {
        let entry = stream.finish().await;
        let told = "the gateway is being stopped";
        assert_eq!(entry.end, End::ErrorEvent, "{}: {}", entry.path, entry.text());
        assert!(entry.text().contains(told), "{}: {}", entry.path, entry.text());
        assert!(entry.whole, "{}: an end that HTTP knows", entry.path);
        ids.push(entry.id().to_owned());
    }
    let code = row.program.ended().await.code();
    let took = stopped.elapsed();
    assert_eq!(code, Some(0), "{}", row.program.said());
    assert!(took < Duration::from_secs(if full() { 3 } else { 6 }), "{took:?}");
    let rows = row.program.rows();
    for id in &ids {
        let line = row_of(&rows, id);
        assert_eq!(
            (&line["ending"], &line["error_code"]),
            (&"failed".into(), &"gateway_stopped".into())
        );
    }
    row.figure(format!("grace 1 s, over after {}", ms(took)));
    row.check().await;
}

#[tokio::test]
async fn s4_a_second_signal_is_quick_and_still_leaves_every_row() {
    for second in ["TERM", "INT"] {
        let up = Chaosd::ollama(&["m"]).await;
        up.always(slow(&Arc::default()));
        let mut row = Row::start("S4", Setup::ollama(&up)).await;
        let open = streams(&row, 30).await;
        row.program.signal("TERM").await;
        row.program.says("draining").await;
        let stopped = Instant::now();
        row.program.signal(second).await;
        for stream in open {
            let entry = stream.finish().await;
            assert_ne!(entry.end, End::Complete);
        }
        let code = row.program.ended().await.code();
        let took = stopped.elapsed();
        assert_eq!(code, Some(0), "{}", row.program.said());
        assert!(took < Duration::from_secs(5), "{took:?}");
        row.figure(format!("{second}: over after {}", ms(took)));
        row.check().await;
    }
}
