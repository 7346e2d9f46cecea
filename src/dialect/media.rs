//! Pictures, sounds and documents: what their bytes are, and how a `data:` URL carries them.

use super::base64;
use crate::chat::{Media, Source};

/// What the first bytes tell; a JPEG where they tell nothing.
///
/// Source: ollama llm/media.go for sound; the formats' own signatures for the others.
pub(super) fn sniff(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'B', b'M', ..] => "image/bmp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        [b'I', b'D', b'3', ..] | [0xff, 0xe2..=0xfb, ..] => "audio/mp3",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        _ => "image/jpeg",
    }
}

/// The type that a sender names, where it is one that some dialect can say; an empty name is a JPEG.
pub(super) fn known(mime: &str) -> Option<&'static str> {
    Some(match mime {
        "image/png" => "image/png",
        "image/webp" => "image/webp",
        "image/gif" => "image/gif",
        "image/bmp" => "image/bmp",
        "image/jpeg" | "image/jpg" | "" => "image/jpeg",
        "application/pdf" => "application/pdf",
        "text/plain" => "text/plain",
        _ => return None,
    })
}

/// What base64 of this type is; `None` where it is none, or empty.
pub(super) fn here(mime: &'static str, base64: &str) -> Option<Media> {
    let bytes = base64::decode(base64).filter(|bytes| !bytes.is_empty())?;
    Some(Media::here(mime, base64::encode(&bytes)))
}

/// The type and the base64 of a `data:` URL.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}

/// Whether this is an address to fetch from.
pub(super) fn is_web(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// A URL that carries the bytes, or leads to them.
pub(super) fn url(media: &Media) -> String {
    match &media.source {
        Source::Base64(base64) => format!("data:{};base64,{base64}", media.mime),
        Source::Url(url) => url.clone(),
    }
}
