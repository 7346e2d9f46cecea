//! The key that a client brings.

use super::throttle::Throttle;
use crate::{error::Error, front::Client, peer::Peer};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use std::time::Instant;
use subtle::ConstantTimeEq;

/// Bytes from which on a key is too long to be found by trying, even if it is made of words.
const UNGUESSABLE: usize = 20;

/// The keys of which one must be brought. None: nobody is asked for one.
#[derive(Debug)]
pub(super) struct Keys {
    /// Their digests; what they are is not kept.
    known: Vec<[u8; 32]>,
    /// For each key, whether it is short enough to be found by trying.
    guessable: Vec<bool>,
    throttle: Option<Throttle>,
}

impl Keys {
    pub(super) fn new(keys: &[&str]) -> Self {
        let guessable = keys.iter().map(|key| key.len() < UNGUESSABLE).collect();
        let known = keys.iter().map(|key| digest(key.as_bytes())).collect();
        Self { known, guessable, throttle: None }
    }

    /// How many wrong ones one address may bring in a minute; 0 is any number.
    pub(super) fn throttle(&mut self, failures: u32) {
        self.throttle = (failures > 0).then(|| Throttle::new(failures));
    }

    /// Whose the request is; `None` where nobody is asked.
    pub(super) fn judge(
        &self,
        headers: &HeaderMap,
        from: Option<Peer>,
    ) -> Result<Option<Client>, Error> {
        if self.known.is_empty() {
            return Ok(None);
        }
        // No key and a wrong one are told the same.
        let refusal = || {
            Error::Unauthorized(
                "no key, or none of this gateway's; send one as \"Authorization: Bearer <key>\""
                    .into(),
            )
        };
        let brought = brought(headers).ok_or_else(refusal)?;
        let digest = digest(brought);
        // Every key is compared, so that the time says nothing about which one was close.
        let known = self.known.iter().fold(subtle::Choice::from(0), |known, key| {
            known | key.as_slice().ct_eq(digest.as_slice())
        });
        let known = bool::from(known);
        if let (Some(throttle), Some(Peer(from))) = (&self.throttle, from) {
            let slow_down = |wait| Error::Throttled { wait };
            if !known {
                throttle.wrong(from, Instant::now()).map_err(slow_down)?;
            } else if self.is_guessable(&digest) {
                throttle.right(from, &digest, Instant::now()).map_err(slow_down)?;
            }
        }
        if known { Ok(Some(Client(digest))) } else { Err(refusal()) }
    }

    /// For a key that is one of ours.
    fn is_guessable(&self, digest: &[u8; 32]) -> bool {
        self.known.iter().zip(&self.guessable).any(|(key, guessable)| *guessable && key == digest)
    }
}

/// The key a client brought: `Authorization: Bearer`, `x-api-key`, or `X-Gateway-Key`.
fn brought(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
    });
    // A client with a credential of another kind in `Authorization` may bring the gateway's key beside it.
    let named = ["x-gateway-key", "x-api-key"].iter().find_map(|name| headers.get(*name));
    named.map(HeaderValue::as_bytes).or(bearer).filter(|key| !key.is_empty())
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}
