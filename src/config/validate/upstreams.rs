//! Whom the gateway calls.

use super::Found;
use crate::config::{Upstream, address, key_path::KeyPath};

const DIALECTS: [&str; 4] = ["ollama", "openai", "anthropic", "responses"];
const BREAKERS: [&str; 3] = ["local", "cloud", "off"];

impl Found<'_> {
    pub(super) fn upstreams(&mut self) {
        let at = KeyPath::new("upstream");
        if self.config.upstream.is_empty() {
            self.say(at.clone(), "there is none; without one, nothing can be answered");
        }
        for (name, upstream) in &self.config.upstream {
            self.upstream(&at.key(name), name, upstream);
        }
    }

    fn upstream(&mut self, at: &KeyPath, name: &str, upstream: &Upstream) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(plain) {
            self.say(
                at.clone(),
                "an upstream's name has letters, digits, \"-\", \"_\" and \".\" only",
            );
        }
        if let Some(url) = &upstream.url {
            if let Some(complaint) = address::complaint(url) {
                // Not repeated when it holds a password.
                let shown = if url.contains('@') { String::new() } else { format!("{url:?} ") };
                self.say(at.key("url"), format!("{shown}{complaint}"));
            } else if address::is_self(url, &self.config.server.listen) {
                let listen = &self.config.server.listen;
                self.say(
                    at.key("url"),
                    format!("{url} is this gateway itself (server.listen is {listen})"),
                );
            }
        }
        if let Some(chat) = &upstream.chat {
            self.word(at.key("chat"), "dialect", chat, &DIALECTS);
        }
        if let Some(breaker) = &upstream.breaker {
            self.word(at.key("breaker"), "breaker", breaker, &BREAKERS);
        }
        let times = [
            ("connect_s", upstream.connect_s),
            ("first_byte_s", upstream.first_byte_s),
            ("idle_s", upstream.idle_s),
            ("total_s", upstream.total_s),
            ("queue_s", upstream.queue_s),
            ("swap_wait_s", upstream.swap_wait_s),
            ("load_s", upstream.load_s),
        ];
        for (key, seconds) in times {
            // Up to ten years, which every clock can add to now.
            if seconds.is_some_and(|s| !(s > 0.0 && s <= 315_360_000.0)) {
                self.say(at.key(key), "must be a number of seconds above 0");
            }
        }
    }
}
