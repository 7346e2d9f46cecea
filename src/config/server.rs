//! The `server` section.

use super::{SecretRef, address};
use serde::{Deserialize, Serialize};

/// The listener, who may come in, and the bounds on what they send.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Host and port to listen on; port 0 takes a free one. Default `127.0.0.1:11435`. An address that others can
    /// reach needs `keys`.
    pub listen: String,
    /// Keys that clients may present, as references to where they stand. Default: none, which lets every local client in.
    pub keys: Vec<SecretRef>,
    /// Values of `Host` accepted besides loopback names and the listener's own address. Default: none.
    pub allowed_hosts: Vec<String>,
    /// Values of `Origin` accepted besides local ones: `scheme://host[:port]`, or `*` for all. Default: none.
    pub allowed_origins: Vec<String>,
    /// Whether clients may pull, push, create, copy and delete models. Default when absent: yes on a loopback
    /// listener, no on any other; see [`Server::manages`].
    pub allow_manage: Option<bool>,
    /// Where a request goes that names no model of any upstream. Default when absent: see [`Config::default_upstream`](super::Config::default_upstream).
    pub default_upstream: Option<String>,
    /// Connections at a time, 1 and up; more wait in the system's queue. Fewer where the limit of open files is too low
    /// for two each. Default 1024.
    pub max_connections: usize,
    /// Bytes of a request body held whole. A larger one still passes where it can, but is not routed by content,
    /// cached, retried or translated; a compressed one that would be larger is refused. Default 67108864 (64 MiB).
    pub max_body_bytes: usize,
    /// Bytes of an unstreamed answer that must be translated; a larger one is an error. Default 67108864 (64 MiB).
    pub max_answer_bytes: usize,
    /// Bytes of an answer that passes or is translated while it comes, as the upstream sends it; a longer one is ended with an
    /// error. Default 1073741824 (1 GiB).
    pub max_stream_bytes: usize,
    /// Mebibytes that request bodies held whole may take together; a request whose body finds no room is answered with
    /// 503. 0 to 1048576. Default when absent: a quarter of the memory that the system allows, at least 256.
    pub max_buffered_mb: Option<u64>,
    /// Seconds between two pieces of a request body, 1 and up. Default 10.
    pub body_idle_s: u64,
    /// Seconds for a request body that is held whole, 1 and up; those that stream on have as long as they need. Default 60.
    pub body_s: u64,
    /// Seconds a client may take nothing of its answer, 1 and up; then its connection (of HTTP/2, the stream) is dropped,
    /// and the upstream's request with it. Default 60.
    pub write_s: u64,
    /// Wrong keys that one address may bring in a minute; then it is told to wait, unless its key has worked from there
    /// before or is too long to guess. Default 60; 0 is any number.
    pub max_failures_per_min: u32,
    /// Seconds a client has to send the head of a request. Default 10.
    pub head_s: u64,
    /// Seconds a client has to send the first byte after it connected. Default 10.
    pub first_byte_s: u64,
    /// Seconds that running requests get to finish when the gateway stops. Default 30.
    pub drain_s: u64,
    /// Seconds between saying so at `/readyz` and taking no more connections, for whoever sends requests here to notice.
    /// Default 0.
    pub drain_delay_s: u64,
    /// Seconds without a word after which a client that waits for a stream gets a sign of life, and again each time. From
    /// the first one on, the status is 200 and a failure is told inside the stream. Default 0: none.
    pub heartbeat_s: f64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:11435".to_owned(),
            keys: Vec::new(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            allow_manage: None,
            default_upstream: None,
            max_connections: 1024,
            max_body_bytes: 64 << 20,
            max_answer_bytes: 64 << 20,
            max_stream_bytes: 1 << 30,
            max_buffered_mb: None,
            body_idle_s: 10,
            body_s: 60,
            write_s: 60,
            max_failures_per_min: 60,
            head_s: 10,
            first_byte_s: 10,
            drain_s: 30,
            drain_delay_s: 0,
            heartbeat_s: 0.0,
        }
    }
}

impl Server {
    /// Whether only this machine can reach the listener. A name other than `localhost` counts as reachable by others.
    pub fn is_loopback(&self) -> bool {
        address::split(&self.listen).is_some_and(|(host, _)| address::is_loopback(host))
    }

    /// Whether clients may pull, push, create, copy and delete models.
    pub fn manages(&self) -> bool {
        self.allow_manage.unwrap_or_else(|| self.is_loopback())
    }
}
