//! A request body that is read to its end even when the upstream has answered before it.
//!
//! An Ollama that has a blob already says so at once and reads nothing. A client that is still sending would see its
//! connection reset, and never read the answer. What is left of the body is therefore taken and thrown away, for as
//! long as it keeps coming.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A body on its way to an upstream.
#[derive(Debug)]
pub(super) struct Upload<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    inner: Option<B>,
}

/// How long the rest of an upload may pause, and how long it may take in all.
const PAUSE: Duration = Duration::from_secs(10);
const TOTAL: Duration = Duration::from_secs(600);

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    pub(super) fn new(inner: B) -> Self {
        Self { inner: Some(inner) }
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(inner).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for Upload<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        let Some(mut rest) = self.inner.take().filter(|rest| !rest.is_end_stream()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let drain = async move {
            while let Ok(Some(Ok(_))) = tokio::time::timeout(PAUSE, rest.frame()).await {}
        };
        runtime.spawn(tokio::time::timeout(TOTAL, drain));
    }
}
