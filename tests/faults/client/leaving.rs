//! Clients that leave: at once, with something unread behind them, or by half.

use super::post;
use crate::rig::{Act, Chaosd, End, Reply, Row, Script, Setup, chat, ms, quantile, times};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// In which window its client leaves.
#[derive(Clone, Copy, Debug)]
enum Window {
    BeforeTheFirstToken,
    MidStream,
    Unstreamed,
}

const WINDOWS: [Window; 3] = [Window::BeforeTheFirstToken, Window::MidStream, Window::Unstreamed];

impl Window {
    fn script(self) -> Script {
        match self {
            Self::BeforeTheFirstToken | Self::Unstreamed => Script::just(Act::Stall),
            // Behind the head and one word.
            Self::MidStream => Script::from(Reply::chat(&["one", "two"])).at(2, Act::Stall),
        }
    }

    /// Sends a request with this behind it, and leaves; how long the upstream took to see it.
    async fn leave(
        self,
        row: &Row,
        up: &Chaosd,
        nth: usize,
        behind: &str,
        reset: bool,
    ) -> Duration {
        up.next(self.script());
        let path = if nth.is_multiple_of(2) { "/api/chat" } else { "/v1/chat/completions" };
        let body = chat("m", nth, !matches!(self, Self::Unstreamed)).to_string();
        let mut bytes = post(path, "", &body);
        bytes.extend_from_slice(behind.as_bytes());
        let mut open = row.raw(&bytes).await;
        if matches!(self, Self::MidStream) {
            assert!(open.until("one").await, "{path}");
        }
        up.asked(nth + 1).await;
        if reset {
            let _ = open.stream().set_zero_linger();
        }
        let at = open.leave();
        up.left(nth).await.saturating_duration_since(at)
    }
}

#[tokio::test]
async fn c1_a_client_that_leaves_takes_the_upstreams_request_with_it() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("C1", Setup::ollama(&up)).await;
    let mut nth = 0;
    for window in WINDOWS {
        let mut took = Vec::new();
        for round in 0..times(20, 3000) {
            took.push(window.leave(&row, &up, nth, "", round % 5 == 4).await);
            nth += 1;
        }
        let (half, most) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
        // The time of this rig is in it, on a machine that may be busy.
        assert!(half < Duration::from_millis(100), "{window:?}: {half:?}");
        row.figure(format!("{window:?}: p50 {} p99 {}", ms(half), ms(most)));
    }
    row.check().await;
}

#[tokio::test]
async fn c2_a_client_that_leaves_with_bytes_unread_behind_its_request_is_noticed() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("C2", Setup::ollama(&up)).await;
    let mut nth = 0;
    let second = String::from_utf8(post("/api/chat", "", "{}")).unwrap();
    for behind in ["GET / HTTP", "\r\n\r\njunk junk", second.as_str()] {
        for window in WINDOWS {
            for reset in [false, true] {
                let took = window.leave(&row, &up, nth, behind, reset).await;
                nth += 1;
                assert!(took < Duration::from_secs(1), "{window:?} {behind:?} {reset}: {took:?}");
                row.figure(ms(took));
            }
        }
    }
    assert_eq!(up.calls().len(), nth, "nothing behind a request was executed");
    row.check().await;
}

#[tokio::test]
async fn c3_a_client_that_will_send_no_more_is_taken_to_have_left() {
    let up = Chaosd::ollama(&["m"]).await;
    let mut row = Row::start("C3", Setup::ollama(&up)).await;
    for (nth, window) in WINDOWS.into_iter().enumerate() {
        up.next(window.script());
        let body = chat("m", nth, !matches!(window, Window::Unstreamed));
        let mut open = row.open("/api/chat", &body).await;
        if matches!(window, Window::MidStream) {
            assert!(open.until("one").await);
        }
        up.asked(nth + 1).await;
        let begun = Instant::now();
        open.stream().shutdown().await.unwrap();
        let left = up.left(nth).await;
        assert_eq!(open.finish().await.end, End::Cut, "{window:?}: and is told so");
        row.figure(ms(left.saturating_duration_since(begun)));
    }
    row.check().await;
}
