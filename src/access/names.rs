//! The names and origins that are this machine's, or one's own network's.

use std::{net::IpAddr, sync::OnceLock};

/// The host of an authority: without the port, without the brackets of an IPv6 address.
pub(super) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.contains(':') => {
            host
        }
        _ => authority,
    }
}

/// Names that only resolve to machines the user trusts, and every address literal: a rebound name is never one.
pub(super) fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.is_empty()
        || host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || [".localhost", ".local", ".internal"].iter().any(|end| {
            host.len() > end.len() && host[host.len() - end.len()..].eq_ignore_ascii_case(end)
        })
        || own_name().is_some_and(|own| own.eq_ignore_ascii_case(host))
}

fn own_name() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    })
    .as_deref()
}

/// Pages of this machine, and of programs that show pages.
pub(super) fn is_local_origin(origin: &str) -> bool {
    const APPS: [&str; 5] =
        ["app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"];
    if APPS.iter().any(|app| origin.starts_with(app)) {
        return true;
    }
    let Some(rest) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    else {
        return false;
    };
    matches!(host_of(rest), "localhost" | "127.0.0.1" | "0.0.0.0" | "::1")
}
