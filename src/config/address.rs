//! Addresses: which ones only this machine reaches, and which ones are this gateway itself.

use std::net::{IpAddr, Ipv6Addr};

/// Host and port of `host:port` or `[v6]:port`; `None` for anything else, a missing host or port included.
pub(super) fn split(listen: &str) -> Option<(&str, u16)> {
    let (host, port) = listen.rsplit_once(':')?;
    let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok())??;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let host = rest.strip_suffix(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            host
        }
        None if host.contains([':', '/', ' ']) => return None,
        None => host,
    };
    (!host.is_empty()).then_some((host, port))
}

/// Whether a host, without brackets, means this machine only. Of names, only `localhost` does.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether a host means every address of this machine. Who connects to it reaches the machine itself.
fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_unspecified())
}

/// Scheme, host without brackets, and port of a URL, with the port that its scheme implies.
fn parts(url: &str) -> Option<(String, u16)> {
    let uri: http::Uri = url.parse().ok()?;
    let port = uri.port_u16().or(match uri.scheme_str()? {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    })?;
    Some((uri.host()?.trim_matches(['[', ']']).to_owned(), port))
}

/// Whether a request to `url` would come back to who listens on `listen`.
///
/// The same port on this machine is enough, since two programs cannot have it; another machine of ours cannot be told
/// from here.
pub(super) fn is_self(url: &str, listen: &str) -> bool {
    let (Some((host, port)), Some((our_host, our_port))) = (parts(url), split(listen)) else {
        return false;
    };
    port == our_port
        && our_port != 0
        && (is_loopback(&host) || is_unspecified(&host) || host.eq_ignore_ascii_case(our_host))
}

/// Why `url` cannot be an upstream's address; `None` when it can.
pub(super) fn complaint(url: &str) -> Option<&'static str> {
    let Ok(uri) = url.parse::<http::Uri>() else { return Some("is not a URL") };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Some("must begin with http:// or https://");
    }
    if uri.host().is_none_or(str::is_empty) {
        return Some("names no host");
    }
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Some("holds a user or password; give it as key");
    }
    if uri.query().is_some() {
        return Some("has a query, which no request can carry along");
    }
    None
}

/// `OLLAMA_HOST` as Ollama reads it: a URL, whatever form it was written in; `None` when it is empty.
///
/// A bind address such as `0.0.0.0` becomes the loopback address, as Ollama's own clients have it.
// Source: ollama envconfig/config.go Host and Var.
#[cfg(feature = "gateway")]
pub(super) fn ollama_host(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['"', '\'']);
    if text.is_empty() {
        return None;
    }
    let (scheme, rest, default_port) = match text.split_once("://") {
        Some((scheme @ "http", rest)) => (scheme, rest, 80),
        Some((scheme @ "https", rest)) => (scheme, rest, 443),
        Some((scheme, rest)) => (scheme, rest, 11434),
        None if text == "ollama.com" => ("https", "ollama.com:443", 443),
        None => ("http", text, 11434),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // A bare IPv6 address has colons and no port; Go's SplitHostPort refuses it, and so it is all host.
    let bare = authority.trim_matches(['[', ']']);
    let (host, port) = match authority.rsplit_once(':') {
        _ if bare.parse::<IpAddr>().is_ok() => (bare, ""),
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => {
            (host.trim_matches(['[', ']']), port)
        }
        _ => (authority, ""),
    };
    let port = match port.parse::<u16>() {
        Ok(port) => port,
        Err(_) => default_port,
    };
    let host = match host.parse::<IpAddr>() {
        _ if host.is_empty() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        Ok(IpAddr::V4(_)) | Err(_) => host.to_owned(),
    };
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    Some(format!("{scheme}://{host}:{port}{slash}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_has_a_host_and_a_port() {
        assert_eq!(split("127.0.0.1:11435"), Some(("127.0.0.1", 11435)));
        assert_eq!(split("[::1]:0"), Some(("::1", 0)));
        assert_eq!(split("localhost:80"), Some(("localhost", 80)));
        for bad in [
            "",
            ":80",
            "80",
            "localhost",
            "::1:80",
            "[::1]",
            "h:+80",
            "h:65536",
            "h:",
            "http://h:80",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_loopback_addresses_are_ours_alone() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["0.0.0.0", "::", "192.168.1.2", "example.com", "localhost.example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn the_gateway_knows_itself() {
        for url in [
            "http://127.0.0.1:11435",
            "http://localhost:11435/v1",
            "http://0.0.0.0:11435",
            "http://[::1]:11435",
        ] {
            assert!(is_self(url, "127.0.0.1:11435"), "{url}");
        }
        assert!(is_self("http://localhost/v1", "0.0.0.0:80"));
        assert!(is_self("http://gate.lan:11435", "gate.lan:11435"));
        for url in [
            "http://127.0.0.1:11434",
            "http://10.0.0.1:11435",
            "https://api.openai.com/v1",
            "nonsense",
        ] {
            assert!(!is_self(url, "127.0.0.1:11435"), "{url}");
        }
    }

    #[test]
    fn an_upstream_address_is_http_and_holds_no_secret() {
        assert_eq!(complaint("https://api.openai.com/v1"), None);
        for bad in
            ["ftp://h", "localhost:11434", "h", "", "http://", "http://u:p@h", "http://h/?k=v"]
        {
            assert!(complaint(bad).is_some(), "{bad}");
        }
    }

    #[test]
    #[cfg(feature = "gateway")]
    fn ollama_host_is_read_as_ollama_reads_it() {
        let cases = [
            ("127.0.0.1", "http://127.0.0.1:11434"),
            ("127.0.0.1:1234", "http://127.0.0.1:1234"),
            ("example.com", "http://example.com:11434"),
            ("example.com:56789", "http://example.com:56789"),
            ("http://example.com", "http://example.com:80"),
            ("https://example.com", "https://example.com:443"),
            ("https://example.com:56789/", "https://example.com:56789"),
            ("example.com/", "http://example.com:11434"),
            ("example.com:56789/path", "http://example.com:56789/path"),
            ("https://example.com/a/b/", "https://example.com:443/a/b"),
            (":1234", "http://127.0.0.1:1234"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::1]", "http://[::1]:11434"),
            ("::1", "http://[::1]:11434"),
            ("[::]:8080", "http://[::1]:8080"),
            ("[0001:002:003:0004::1]:56789", "http://[1:2:3:4::1]:56789"),
            ("http://[::1]", "http://[::1]:80"),
            (" 'example.com' ", "http://example.com:11434"),
            ("example.com:notaport", "http://example.com:11434"),
            ("example.com:99999", "http://example.com:11434"),
            ("ollama.com", "https://ollama.com:443"),
        ];
        for (text, url) in cases {
            assert_eq!(ollama_host(text).as_deref(), Some(url), "{text}");
        }
        assert_eq!(ollama_host(" "), None);
    }
}
