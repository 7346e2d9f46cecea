//! A body that is being watched: every frame goes on unchanged, and its end is told exactly once.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How a body ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// All of it arrived.
    Complete,
    /// It broke off with an error.
    Failed,
    /// Whoever was reading it left before its end.
    Cancelled,
}

/// Watches a body go by.
///
/// Both methods run on the path of every frame: they must not block and must not wait.
pub trait Observer {
    /// A piece of the body, in order. Cloning it is a reference count, not a copy.
    fn data(&mut self, data: &Bytes) {
        let _ = data;
    }

    /// The end, exactly once, when the [`Tee`] is dropped at the latest.
    fn end(self, ending: Ending);
}

pin_project! {
    /// A body that passes on every frame and shows it to an [`Observer`].
    ///
    /// | seen | ending |
    /// | --- | --- |
    /// | already at its end when wrapped, or of declared length 0 | complete, at once |
    /// | `None`, or a trailers frame | complete |
    /// | after a frame: the inner `is_end_stream()` | complete |
    /// | after a frame: as many bytes as declared | complete |
    /// | an error frame | failed |
    /// | dropped before any of these | cancelled; failed when a panic drops it |
    ///
    /// `is_end_stream()` is only a hint and may come before trailers (hyperium/http-body#142), and
    /// hyper stops polling once `content-length` bytes went by (hyperium/hyper#1521): both must
    /// count as the end, or whole answers look abandoned.
    #[must_use]
    pub struct Tee<B, O>
    where
        O: Observer,
    {
        #[pin]
        inner: B,
        // Taken when the end has been told.
        observer: Option<O>,
        declared: Option<u64>,
        seen: u64,
    }

    impl<B, O> PinnedDrop for Tee<B, O>
    where
        O: Observer,
    {
        fn drop(this: Pin<&mut Self>) {
            if let Some(observer) = this.project().observer.take() {
                observer.end(Ending::dropped());
            }
        }
    }
}

// === impl Ending ===

impl Ending {
    /// One word for a log: `complete`, `failed`, `cancelled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// What it means that something was dropped before its end.
    pub(crate) fn dropped() -> Self {
        // A panic below unwinds through here; nobody left.
        if std::thread::panicking() { Self::Failed } else { Self::Cancelled }
    }
}

// === impl Tee ===

impl<B, O> Tee<B, O>
where
    B: Body<Data = Bytes>,
    O: Observer,
{
    /// Watches `inner`; its length is taken from its exact size hint, if it has one.
    pub fn new(inner: B, observer: O) -> Self {
        Self::with_length(inner, observer, None)
    }

    /// Watches `inner`, of which the head declared this length in bytes (`content-length`, or 0 for an
    /// answer that has no body: to HEAD, 204, 304). `None`: the exact size hint, if there is one.
    pub fn with_length(inner: B, observer: O, declared: Option<u64>) -> Self {
        let declared = declared.or_else(|| inner.size_hint().exact());
        let mut observer = Some(observer);
        if (inner.is_end_stream() || declared == Some(0))
            && let Some(observer) = observer.take()
        {
            observer.end(Ending::Complete);
        }
        Self { inner, observer, declared, seen: 0 }
    }

    /// Whether the observer has been told the end.
    #[cfg_attr(not(feature = "log"), expect(dead_code, reason = "only the log asks"))]
    pub(crate) fn is_told(&self) -> bool {
        self.observer.is_none()
    }
}

impl<B, O> Body for Tee<B, O>
where
    B: Body<Data = Bytes>,
    O: Observer,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let ending = match &frame {
            None => Some(Ending::Complete),
            Some(Err(_)) => Some(Ending::Failed),
            Some(Ok(frame)) => match frame.data_ref() {
                None if frame.is_trailers() => Some(Ending::Complete),
                None => None,
                Some(data) => {
                    *this.seen = this.seen.saturating_add(data.len() as u64);
                    if let Some(observer) = this.observer {
                        observer.data(data);
                    }
                    let all = this.declared.is_some_and(|declared| *this.seen >= declared);
                    (all || this.inner.is_end_stream()).then_some(Ending::Complete)
                }
            },
        };
        if let Some(ending) = ending
            && let Some(observer) = this.observer.take()
        {
            observer.end(ending);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: fmt::Debug, O: Observer> fmt::Debug for Tee<B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tee")
            .field("inner", &self.inner)
            .field("seen", &self.seen)
            .field("ended", &self.observer.is_none())
            .finish_non_exhaustive()
    }
}
