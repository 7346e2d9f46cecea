//! A kept answer of Anthropic in its other form: unstreamed as a stream, and back.

use bytes::Bytes;

pub(super) fn restream(_body: &[u8]) -> Option<Bytes> {
    None
}

pub(super) fn unstream(_events: &[Bytes]) -> Option<Bytes> {
    None
}
