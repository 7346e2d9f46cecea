//! Rows R: whatever Redis does, requests flow and no answer changes.

mod away;
mod refusing;
mod server;
mod truth;

use self::server::Redis;
use crate::rig::{Chaosd, End, Entry, Reply, Row, Script, Setup, chat};
use serde_json::Value;

/// A gateway before an upstream that answers each question with its number, and a Redis that is somewhere.
struct Bench {
    row: Row,
    up: Chaosd,
}

/// Said at the beginning of every outage, and at its end.
const AWAY: &str = "redis does not answer";
const BACK: &str = "redis is back";
const NO_WRITES: &str = "redis takes no writes";

impl Bench {
    async fn start(id: &'static str, url: &str) -> Self {
        let up = Chaosd::ollama(&["m", "n"]).await;
        up.rule(|call| {
            let nth = number(&call.json());
            call.asks.map(|_| Script::from(Reply::said(&format!("answer {nth}"))))
        });
        let setup = Setup::ollama(&up);
        let row = Row::start(id, setup.toml(&cache(url))).await;
        Self { row, up }
    }

    /// Asks, and holds the answer to what it is without a Redis, byte by byte.
    async fn ask(&self, nth: usize) -> Entry {
        let answer = self.row.ask("/api/chat", &chat("m", nth, false)).await;
        let expected = Reply::said(&format!("answer {nth}")).pieces.concat();
        let seen = (answer.status, answer.end, answer.text());
        assert_eq!(seen, (200, End::Complete, String::from_utf8(expected).unwrap()), "{nth}");
        answer
    }

    async fn asks(&self, numbers: std::ops::Range<usize>) -> Vec<Entry> {
        let mut answers = Vec::new();
        for nth in numbers {
            answers.push(self.ask(nth).await);
        }
        answers
    }

    /// Asks until Redis is used again: the breaker looks for itself, a second later or more.
    async fn until_hit(&self, nth: usize) {
        for _ in 0..1500 {
            if self.ask(nth).await.header("x-unigate-cache") == "HIT" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("nothing is found in Redis any more: {}", self.row.program.said());
    }

    /// How often the gateway has said this.
    fn said(&self, words: &str) -> usize {
        self.row.program.said().matches(words).count()
    }

    /// One of the counters that `/metrics` has of Redis.
    async fn misfortunes(&self, why: &str) -> u64 {
        let text = self.row.metrics().await;
        let name = format!("unigate_redis_misfortunes_total{{reason=\"{why}\"}}");
        let line = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().unwrap()
    }
}

fn cache(url: &str) -> String {
    format!("[cache]\nstore = \"redis\"\nredis = \"{url}\"\n")
}

/// The number that stands at the end of a question.
fn number(body: &Value) -> usize {
    let text = body["messages"][0]["content"].as_str().unwrap_or_default();
    text.rsplit(' ').next().unwrap_or_default().parse().unwrap_or(0)
}
