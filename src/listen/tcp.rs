//! A TCP connection in two hands: hyper's, which reads and writes, and its task's, which watches whether the client is
//! still there.

use socket2::SockRef;
use std::{
    future::pending,
    io::{self, IoSlice},
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{sleep, timeout},
};

/// How long a client that will send no more may still get an answer that is nearly there.
const GRACE: Duration = Duration::from_millis(250);

/// How long, and for how many bytes, a connection is read on after its last answer, so that the answer arrives: closing
/// while something is unread tells the client's system to forget what it was sent.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1 << 20);

/// The connection as hyper reads and writes it.
#[derive(Debug)]
pub(super) struct Tcp {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
}

/// The same connection, as its task watches it.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<OwnedWriteHalf>);

impl Tcp {
    pub(super) fn new(stream: TcpStream) -> (Self, Watch) {
        let (read, write) = stream.into_split();
        let write = Arc::new(write);
        (Self { read, write: write.clone() }, Watch(write))
    }

    fn write(
        &self,
        cx: &mut Context<'_>,
        attempt: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = (*self.write).as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match attempt(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write(data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(finish((*self.write).as_ref()))
    }
}

// === impl Watch ===

impl Watch {
    /// Waits until the client has left, or will send no more, and a moment longer.
    ///
    /// hyper does not look for the end while something is unread that came before it, such as bytes behind a request.
    pub(super) async fn left(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            // The one interest that only an end satisfies: urgent data is not asked for when a stream is registered.
            let stream: &TcpStream = (*self.0).as_ref();
            let ready = stream.ready(tokio::io::Interest::PRIORITY).await;
            if ready.is_ok_and(|ready| ready.is_read_closed()) {
                return sleep(GRACE).await;
            }
        }
        pending::<()>().await;
    }

    /// Reads on for a moment when something is unread after the last answer, and forgets it.
    pub(super) async fn linger(&self) {
        let stream: &TcpStream = (*self.0).as_ref();
        if !matches!(stream.try_read(&mut [0]), Ok(1)) || finish(stream).is_err() {
            return;
        }
        let (most, mut left) = LINGER;
        let mut waste = vec![0; 16 * 1024];
        let read_on = async {
            while left > 0 && stream.readable().await.is_ok() {
                match stream.try_read(&mut waste) {
                    Ok(0) => return,
                    Ok(count) => left = left.saturating_sub(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let _ = timeout(most, read_on).await;
    }
}

fn finish(stream: &TcpStream) -> io::Result<()> {
    match SockRef::from(stream).shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        done => done,
    }
}
