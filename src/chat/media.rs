//! What a message shows beside its text.

/// A picture, a sound or a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What it is, as far as its first bytes or its sender tell: `image/png`, `audio/wav`, `application/pdf`,
    /// `text/plain`; `image/*` where only its address is known.
    pub mime: &'static str,
    /// Its bytes, or where they are.
    pub source: Source,
    /// The name of the file, where it has one.
    pub name: Option<String>,
    /// Where it stands in what the client wrote, for error messages: `messages[0].content[1]`. Empty where no client
    /// wrote it.
    pub place: String,
}

/// Where the bytes of a [`Media`] are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here, in standard base64 with padding.
    Base64(String),
    /// At this `http` or `https` address.
    Url(String),
}

impl Media {
    /// Bytes that are here.
    pub fn here(mime: &'static str, base64: String) -> Self {
        Self { mime, source: Source::Base64(base64), name: None, place: String::new() }
    }

    /// Bytes that are at this address.
    pub fn there(mime: &'static str, url: String) -> Self {
        Self { mime, source: Source::Url(url), name: None, place: String::new() }
    }

    /// The same, at this place in what the client wrote.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }
}
