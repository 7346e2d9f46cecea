//! What the system is told of the listener's connections, and how many of them it can have.

use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::net::TcpListener;

/// Bytes that the system holds for a client that reads slowly. Left to itself it takes megabytes for each, which no
/// figure of the program shows.
const SEND_BUFFER: usize = 128 * 1024;

/// When a silent connection is asked whether its other end is there, how often, and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 3);

/// Descriptors that are left for the log, the stores, the upstreams' probes and the program itself.
const RESERVE: u64 = 256;

/// Tells the system what holds for every connection that is accepted; on Linux they have it from their listener.
/// `takes` is how long a client may confirm nothing of what was sent. What the system does not know is left out.
pub(super) fn prepare(listener: &TcpListener, takes: Duration) {
    let socket = SockRef::from(listener);
    let (after, every, times) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(after).with_interval(every).with_retries(times);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(takes));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = takes;
}

/// How many connections the program can serve at a time, at most `wanted`: as many as it has descriptors, of which each
/// takes two, its own and the upstream's. Raises the program's limit as far as the system lets it.
pub fn connections(wanted: usize) -> usize {
    let most = usize::try_from(places(descriptors())).unwrap_or(usize::MAX);
    if most < wanted {
        tracing::warn!(
            connections = most,
            wanted,
            "fewer connections than configured: the limit of open files (ulimit -n) is too low"
        );
    }
    wanted.min(most).max(1)
}

fn places(descriptors: u64) -> u64 {
    // With very few, half of them.
    (descriptors - RESERVE.min(descriptors / 2)) / 2
}

/// How many descriptors the program may have, after asking for as many as there are.
#[cfg(unix)]
fn descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current.unwrap_or(u64::MAX);
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(not(unix))]
fn descriptors() -> u64 {
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_needs_two_descriptors_and_some_are_kept_for_others() {
        assert_eq!(places(20_000), 9_872);
        assert_eq!(places(1024), 384);
        assert_eq!(places(256), 64);
        assert_eq!(places(2), 0);
        assert_eq!(connections(1), 1);
    }

    #[tokio::test]
    async fn accepted_connections_have_what_their_listener_was_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        prepare(&listener, Duration::from_secs(7));
        let addr = listener.local_addr().unwrap();
        let client = tokio::net::TcpStream::connect(addr).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        // Linux doubles what it is told.
        assert_eq!(socket.send_buffer_size().unwrap(), 2 * SEND_BUFFER);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(7)));
        drop(client);
    }
}
