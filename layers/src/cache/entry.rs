//! A kept answer, and how it is written down for stores outside this process.

use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

// Changes whenever the layout does: what another version wrote is a miss.
const MAGIC: &[u8; 4] = b"UGC\x02";
// After the magic: status, stored_at_ms, ttl_ms, lengths of content type, meta and body.
const HEAD: usize = 4 + 2 + 8 + 8 + 4 + 4 + 8;
const NO_TYPE: u32 = u32::MAX;

/// A kept answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The status it came with.
    pub status: u16,
    /// Its `content-type`, if it had one.
    pub content_type: Option<Arc<str>>,
    /// What [`Fill::keep`](super::Fill::keep) made of the body.
    pub body: Bytes,
    /// When it was stored, in milliseconds since 1970.
    pub stored_at_ms: u64,
    /// How long it may be used from then on, in milliseconds.
    pub ttl_ms: u64,
    /// Free text of the policy.
    pub meta: Arc<str>,
}

impl Entry {
    /// What it takes up in memory, about, in bytes.
    pub fn size(&self) -> usize {
        let text = self.content_type.as_ref().map_or(0, |text| text.len()) + self.meta.len();
        size_of::<Self>() + text + self.body.len()
    }

    /// As bytes, for a store outside this process.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        self.write(&mut out);
        out.freeze()
    }

    pub(super) fn encoded_len(&self) -> usize {
        let text = self.content_type.as_ref().map_or(0, |text| text.len());
        HEAD + text + self.meta.len() + self.body.len()
    }

    // Appends the encoded form.
    pub(super) fn write(&self, out: &mut BytesMut) {
        let content_type = self.content_type.as_deref();
        out.put_slice(MAGIC);
        out.put_u16(self.status);
        out.put_u64(self.stored_at_ms);
        out.put_u64(self.ttl_ms);
        out.put_u32(content_type.map_or(NO_TYPE, length));
        out.put_u32(length(&self.meta));
        out.put_u64(self.body.len() as u64);
        out.put_slice(content_type.unwrap_or_default().as_bytes());
        out.put_slice(self.meta.as_bytes());
        out.put_slice(&self.body);
    }

    /// Back from bytes. `None`: they are not what this version of [`encode`](Self::encode) writes, or not all of it.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let status = u16::from_be_bytes(array(bytes, 4)?);
        let stored_at_ms = u64::from_be_bytes(array(bytes, 6)?);
        let ttl_ms = u64::from_be_bytes(array(bytes, 14)?);
        let type_length = u32::from_be_bytes(array(bytes, 22)?);
        let meta_length = u32::from_be_bytes(array(bytes, 26)?);
        let body_length = u64::from_be_bytes(array(bytes, 30)?);
        let has_type = type_length != NO_TYPE;
        let type_end = HEAD.checked_add(if has_type { type_length as usize } else { 0 })?;
        let meta_end = type_end.checked_add(meta_length as usize)?;
        let content_type = std::str::from_utf8(bytes.get(HEAD..type_end)?).ok()?;
        let meta = std::str::from_utf8(bytes.get(type_end..meta_end)?).ok()?;
        if (bytes.len() - meta_end) as u64 != body_length {
            return None;
        }
        Some(Self {
            status,
            content_type: has_type.then(|| Arc::from(content_type)),
            body: bytes.slice(meta_end..),
            stored_at_ms,
            ttl_ms,
            meta: Arc::from(meta),
        })
    }
}

// Texts are header-sized; one of 4 GiB would only make its entry unreadable.
fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(NO_TYPE)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}
