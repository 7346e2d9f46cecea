//! Pictures, sounds and documents: what their bytes are, and how a `data:` URL carries them.

use super::{base64, json::Fields};
use crate::{
    chat::{Media, Source},
    error::Error,
};

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

/// What the first bytes of a picture tell; `None` for what is no picture of a kind that models are shown.
// Source: PNG 5.2, JPEG (ITU-T.81 B.1.1.3), GIF89a 17, RFC 9649 2.4 (WebP), and BITMAPFILEHEADER.
pub(super) fn picture(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..]
        | [0xff, 0xd8, 0xff, ..]
        | [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..]
        | [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..]
        | [b'B', b'M', ..] => Some(sniff(bytes)),
        _ => None,
    }
}

/// A picture of these bytes; `None` for what is none. What they are called elsewhere does not count.
#[cfg(feature = "gateway")]
pub(crate) fn shown(bytes: &[u8]) -> Option<Media> {
    Some(Media::here(picture(bytes)?, base64::encode(bytes)))
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

/// What base64 of this type is; `None` where it is none, or empty, or said to be a picture or a sound and is none.
///
/// Both are of the type that their bytes tell: some upstreams refuse what is called something else.
pub(super) fn here(mime: &'static str, base64: &str) -> Option<Media> {
    let bytes = base64::decode(base64).filter(|bytes| !bytes.is_empty())?;
    let mime = match mime.split_once('/') {
        Some(("image", _)) => picture(&bytes)?,
        Some(("audio", _)) => Some(sniff(&bytes)).filter(|mime| mime.starts_with("audio/"))?,
        _ => mime,
    };
    Some(Media::here(mime, base64::encode(&bytes)))
}

/// A picture at an address to fetch from, or in a `data:` URL; `None` for what is none.
pub(super) fn image(url: String) -> Option<Media> {
    if is_web(&url) {
        return Some(Media::there("image/*", url));
    }
    let (mime, data) = data_url(&url)?;
    here(known(mime).filter(|mime| mime.starts_with("image/"))?, data)
}

/// The sound of a part that has the field `input_audio`.
pub(super) fn audio(part: &Fields<'_>) -> Result<Media, Error> {
    let wrong = || part.wrong("input_audio", "an object with data in base64 and a format");
    let audio = part.object("input_audio")?.ok_or_else(wrong)?;
    let mime = match audio.string("format")?.as_deref() {
        Some("mp3") => "audio/mp3",
        None | Some("wav") => "audio/wav",
        Some(_) => return Err(audio.wrong("format", "wav or mp3")),
    };
    audio.string("data")?.and_then(|data| here(mime, &data)).ok_or_else(wrong)
}

/// A document that came as a `data:` URL, or as base64 alone, under this name; `None` for what is none.
///
/// Without a type it is what its bytes and its name tell: text is none the less text where nobody says so.
pub(super) fn document(data: &str, name: Option<String>) -> Option<Media> {
    let media = match data_url(data) {
        Some((mime, data)) => here(known(mime)?, data)?,
        None => {
            let bytes = base64::decode(data).filter(|bytes| !bytes.is_empty())?;
            let lower = name.as_deref().unwrap_or_default().to_ascii_lowercase();
            let mime = match picture(&bytes) {
                Some(mime) => mime,
                None if bytes.starts_with(b"%PDF") || lower.ends_with(".pdf") => "application/pdf",
                None => std::str::from_utf8(&bytes).is_ok().then_some("text/plain")?,
            };
            Media::here(mime, base64::encode(&bytes))
        }
    };
    Some(Media { name, ..media })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_no_type_is_what_its_bytes_and_its_name_tell() {
        let told = |bytes: &[u8], name: &str| {
            document(&base64::encode(bytes), Some(name.into())).map(|media| media.mime)
        };
        assert_eq!(told(b"%PDF-1.7", "a"), Some("application/pdf"));
        assert_eq!(told(b"\xef\xbb\xbf%PDF-1.7", "A.PDF"), Some("application/pdf"));
        assert_eq!(told(b"input_file", "a.txt"), Some("text/plain"));
        assert_eq!(told(b"\x89PNG\r\n\x1a\n", "a.txt"), Some("image/png"));
        assert_eq!(told(b"\x8a\x7b", "a.txt"), None);
        let url = format!("data:application/pdf;base64,{}", base64::encode(b"hi"));
        assert_eq!(document(&url, None).unwrap().mime, "application/pdf");
    }

    #[test]
    fn a_picture_is_what_its_bytes_tell() {
        let encoded = |bytes: &[u8]| base64::encode(bytes);
        for (bytes, mime) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"GIF89a", "image/gif"),
            (b"RIFF....WEBPVP8 ", "image/webp"),
            (b"BM....", "image/bmp"),
        ] {
            assert_eq!(here("image/jpeg", &encoded(bytes)).unwrap().mime, mime);
        }
        for bytes in
            [&b"<svg/>"[..], b"<html>", b"%PDF-1.7", b"RIFF....WAVEfmt ", b"\xff\xfb", b"G"]
        {
            assert_eq!(here("image/png", &encoded(bytes)), None, "{bytes:?}");
        }
        assert_eq!(here("audio/wav", &encoded(b"ID3....")).unwrap().mime, "audio/mp3");
        assert_eq!(here("audio/wav", &encoded(b"RIFF....AVI ")), None);
        assert_eq!(here("application/pdf", &encoded(b"anything")).unwrap().mime, "application/pdf");
    }
}
