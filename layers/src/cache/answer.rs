//! What a client is told of the cache, in notes and headers, and whether an answer is remembered.

use super::{Cached, Entry, Fill, Filler, Plan, Rules, Store, now_ms};
use crate::body::Observer;
use crate::notes::CacheStatus;
use bytes::Bytes;
use http::header::{AGE, HeaderName};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body;
use std::time::Duration;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

// What to do with the answer of the service below.
pub(super) struct OnAnswer<T, L> {
    pub(super) status: CacheStatus,
    pub(super) rules: Rules,
    // Absent: it is not to be kept.
    pub(super) fill: Option<(T, Plan, L)>,
}

// How old a usable entry is, and how long it stays usable.
pub(super) fn fresh(entry: &Entry, max_age: Option<Duration>) -> Option<(Duration, Duration)> {
    let age = Duration::from_millis(now_ms().saturating_sub(entry.stored_at_ms));
    let ttl = Duration::from_millis(entry.ttl_ms).checked_sub(age).filter(|ttl| !ttl.is_zero())?;
    max_age.is_none_or(|max_age| age <= max_age).then_some((age, ttl))
}

pub(super) fn hit<R, O>(
    response: Response<Bytes>,
    name: &str,
    age: Duration,
    ttl: Duration,
) -> Response<Cached<R, O>>
where
    O: Observer,
{
    let mut response = response.map(Cached::whole);
    response.extensions_mut().insert(CacheStatus::Hit { age, ttl });
    response.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
    tell(response.headers_mut(), name, &format!("hit; ttl={}", ttl.as_secs()));
    response
}

// Each cache on the way adds itself after those nearer the origin.
// Source: RFC 9211 section 2.
pub(super) fn tell(headers: &mut HeaderMap, name: &str, what: &str) {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c);
    let text = if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*')
        && name.chars().all(token)
    {
        format!("{name}; {what}")
    } else {
        format!("\"{}\"; {what}", name.replace('\\', "\\\\").replace('"', "\\\""))
    };
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(CACHE_STATUS, value);
    }
}

// === impl OnAnswer ===

impl<T: Store, L: Fill> OnAnswer<T, L> {
    pub(super) fn answered<R: Body<Data = Bytes>>(
        self,
        answer: Response<R>,
    ) -> Response<Cached<R, Filler<T, L>>> {
        let (mut head, body) = answer.into_parts();
        let filler = self.fill.and_then(|(store, plan, mut fill)| {
            fill.worth(&head).then(|| Filler::new(fill, store, &plan, &head, &self.rules))
        });
        let stored = filler.is_some();
        let (status, what) = match (self.status, stored) {
            (CacheStatus::Miss { .. }, true) => {
                (CacheStatus::Miss { stored }, Some("fwd=miss; stored"))
            }
            (CacheStatus::Miss { .. }, false) => (CacheStatus::Miss { stored }, Some("fwd=miss")),
            (CacheStatus::Refresh, true) => (CacheStatus::Refresh, Some("fwd=request; stored")),
            (CacheStatus::Refresh, false) => (CacheStatus::Refresh, Some("fwd=request")),
            (CacheStatus::Bypass, _) => (CacheStatus::Bypass, Some("fwd=bypass")),
            (status @ (CacheStatus::Off | CacheStatus::Hit { .. }), _) => (status, None),
        };
        head.extensions.insert(status);
        if let Some(what) = what {
            tell(&mut head.headers, &self.rules.name, what);
        }
        Response::from_parts(head, Cached::passing(body, filler))
    }
}
