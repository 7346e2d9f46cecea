//! The three facts about bodies: it can be read twice, it may be whole, it is being watched.

mod buffered;
mod tee;

pub use buffered::Buffered;
pub use tee::{Ending, Observer, Tee};

use bytes::Bytes;
use http_body::Body;
use http_body_util::{Empty, Full};

/// A body that can be read twice, if it is wholly in memory.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read twice",
    label = "this body is a stream",
    note = "put a `BufferLayer` above this layer: it turns `Request<B>` into `Request<Buffered<B>>`"
)]
pub trait Replay: Body<Data = Bytes> + Sized {
    /// All of the body. `None`: it is still arriving, or has been read.
    fn bytes(&self) -> Option<&Bytes>;

    /// The same body again. `None`: it cannot be sent twice.
    fn replay(&self) -> Option<Self>;
}

/// A body whose content can be exchanged for another.
#[diagnostic::on_unimplemented(
    message = "the content of `{Self}` cannot be replaced",
    label = "this body is a stream",
    note = "put a `BufferLayer` above this layer: it turns `Request<B>` into `Request<Buffered<B>>`"
)]
pub trait Replace: Replay {
    /// Makes these bytes the whole body. Correcting `content-length` is the caller's part.
    fn set_bytes(&mut self, bytes: Bytes);
}

impl Replay for Full<Bytes> {
    // `Full` does not show what it holds; nothing but a copy of it does.
    fn bytes(&self) -> Option<&Bytes> {
        None
    }

    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Replay for Empty<Bytes> {
    fn bytes(&self) -> Option<&Bytes> {
        static NOTHING: Bytes = Bytes::new();
        Some(&NOTHING)
    }

    fn replay(&self) -> Option<Self> {
        Some(Self::new())
    }
}

#[cfg(test)]
mod tests;
