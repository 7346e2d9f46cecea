//! Which hosts are on this machine or in the same network.

use std::net::IpAddr;

/// Endings of names that no public name server knows. Source: RFC 6762, RFC 8375, RFC 6761, and ICANN's `internal`.
const NEAR: [&str; 5] = [".localhost", ".local", ".internal", ".lan", ".home.arpa"];

/// Whether a host is near: loopback, private and link-local addresses, and names that only a home knows.
pub(super) fn is_near(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    match bare.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => {
            let name = bare.trim_end_matches('.').to_ascii_lowercase();
            // A name without a dot: `localhost`, or a machine or container of one's own network.
            !name.contains('.') || NEAR.iter().any(|end| name.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn what_only_a_home_knows_is_near() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "10.1.2.3",
            "192.168.1.9",
            "172.16.0.1",
            "169.254.1.1",
            "[fe80::1]",
            "[fd00::1]",
            "gpu",
            "gpu.local",
            "gpu.lan",
            "host.docker.internal",
            "x.home.arpa",
        ] {
            assert!(is_near(host), "{host}");
        }
        for host in
            ["api.openai.com", "8.8.8.8", "172.32.0.1", "[2606::1]", "mylocal.com", "local.ai"]
        {
            assert!(!is_near(host), "{host}");
        }
    }
}
