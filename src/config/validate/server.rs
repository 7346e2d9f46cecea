//! The listener, and who may come in.

use super::Found;
use crate::config::{address, key_path::KeyPath, suggest};

impl Found<'_> {
    pub(super) fn server(&mut self) {
        let server = &self.config.server;
        let at = KeyPath::new("server");
        let listen = &server.listen;
        if address::split(listen).is_none() {
            self.say(
                at.key("listen"),
                format!(
                    "{listen:?} is no address and port; write \"127.0.0.1:11435\" for this machine \
                     alone, \"0.0.0.0:11435\" for everyone"
                ),
            );
        } else if !server.is_loopback() && server.keys.is_empty() {
            self.say(
                at.key("listen"),
                format!(
                    "server.listen is {listen}, which others can reach, and server.keys is empty; \
                     set GATEWAY_KEY or server.keys, or listen on 127.0.0.1"
                ),
            );
        }
        for (index, host) in server.allowed_hosts.iter().enumerate() {
            if host.is_empty() || host.contains(['/', ' ']) {
                self.say(
                    at.key("allowed_hosts").index(index),
                    format!("{host:?} is no host; write the name alone, such as \"gate.lan\""),
                );
            }
        }
        for (index, origin) in server.allowed_origins.iter().enumerate() {
            if origin != "*" && !origin.contains("://") {
                self.say(
                    at.key("allowed_origins").index(index),
                    format!(
                        "{origin:?} is no origin; write \"https://{origin}\", or \"*\" for all"
                    ),
                );
            }
        }
        if let Some(name) = &server.default_upstream
            && !self.config.upstream.contains_key(name)
        {
            let hint = suggest::hint(name, self.config.upstream.keys().map(String::as_str));
            self.say(at.key("default_upstream"), format!("unknown upstream {name:?}; {hint}"));
        }
        self.at_least_one(at.key("max_connections"), server.max_connections as u64);
        self.at_least_one(at.key("max_body_bytes"), server.max_body_bytes as u64);
        self.at_least_one(at.key("max_answer_bytes"), server.max_answer_bytes as u64);
        self.at_least_one(at.key("max_stream_bytes"), server.max_stream_bytes as u64);
        self.at_least_one(at.key("head_s"), server.head_s);
        self.at_least_one(at.key("first_byte_s"), server.first_byte_s);
        if !(0.0..=3600.0).contains(&server.heartbeat_s) {
            self.say(at.key("heartbeat_s"), "must be 0, or a number of seconds up to 3600");
        }
        self.at_least_one(at.key("body_idle_s"), server.body_idle_s);
        self.at_least_one(at.key("body_s"), server.body_s);
        self.at_least_one(at.key("write_s"), server.write_s);
        if server.max_buffered_mb.is_some_and(|mb| mb > 1 << 20) {
            self.say(at.key("max_buffered_mb"), "must be 0 to 1048576");
        }
    }
}
