//! What a request's headers want of the cache.

use http::{HeaderMap, header::CACHE_CONTROL};
use std::time::Duration;

/// What the request's headers want of the cache: the five directives of RFC 9111 that make sense here, and our own.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) ttl: Option<Duration>,
}

impl Wishes {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        let lists = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        for directive in lists.flat_map(|list| list.split(',')) {
            let directive = directive.trim().to_ascii_lowercase();
            match directive.split_once('=') {
                Some(("max-age", seconds)) => {
                    wishes.max_age =
                        seconds.trim_matches('"').parse().ok().map(Duration::from_secs);
                }
                _ if directive == "no-store" => wishes.no_store = true,
                _ if directive == "no-cache" => wishes.no_cache = true,
                _ => {}
            }
        }
        if wishes.max_age == Some(Duration::ZERO) {
            wishes.no_cache = true;
        }
        let ttl = headers.get("x-unigate-cache-ttl").and_then(|value| value.to_str().ok());
        wishes.ttl = ttl.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
        if wishes.ttl == Some(Duration::ZERO) {
            wishes.no_store = true;
        }
        wishes
    }
}
