//! A connection whose client must keep going: it says which protocol it speaks, and takes what it is sent.
//!
//! hyper bounds the head of a request, but not the bytes before it knows the protocol, nor how long a client may take
//! nothing. Per read and per write this costs a comparison; timers exist only while somebody waits.

use super::{
    deadline::Deadline,
    heads::{Heads, Oddities},
};
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

/// What an HTTP/2 client says first. Source: RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client that will send no more may still get an answer that is nearly there.
const GRACE: Duration = Duration::from_millis(250);

/// How long, and for how many bytes, a connection is read on after its last answer, so that the answer arrives: closing
/// while something is unread tells the client's system to forget what it was sent.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1 << 20);

/// The connection as hyper reads and writes it.
#[derive(Debug)]
pub(super) struct Guard {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
    /// Bytes of the preface that came so far; `None`: the protocol is known.
    preface: Option<usize>,
    speaks: Deadline,
    heads: Heads,
    takes: Deadline,
}

/// The same connection, as its task watches it.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<OwnedWriteHalf>);

impl Guard {
    /// * `speaks`: how long the client has to show which protocol it speaks.
    /// * `takes`: how long it may take nothing of what there is for it.
    pub(super) fn new(
        stream: TcpStream,
        odd: Arc<Oddities>,
        speaks: Duration,
        takes: Duration,
    ) -> (Self, Watch) {
        let (read, write) = stream.into_split();
        let write = Arc::new(write);
        let guard = Self {
            read,
            write: write.clone(),
            preface: Some(0),
            speaks: Deadline::new(speaks),
            heads: Heads::new(odd),
            takes: Deadline::new(takes),
        };
        (guard, Watch(write))
    }

    fn came(&mut self, bytes: &[u8]) {
        if let Some(had) = self.preface {
            let expected = &PREFACE[had..];
            let count = bytes.len().min(expected.len());
            let goes_on = count > 0 && bytes[..count] == expected[..count];
            self.preface = (goes_on && count < expected.len()).then_some(had + count);
        }
        self.heads.feed(bytes);
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = (*self.write).as_ref();
        loop {
            match stream.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    ready!(self.takes.wait(cx));
                    return Poll::Ready(Err(late("the client takes nothing")));
                }
            }
            match attempt(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.takes.met();
                    return Poll::Ready(written);
                }
            }
        }
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.read).poll_read(cx, buf) {
            Poll::Ready(read) => {
                read?;
                self.came(&buf.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                // What comes in pieces does not make the time longer: it is the first byte that began it.
                if self.preface.is_some() {
                    ready!(self.speaks.wait(cx));
                    return Poll::Ready(Err(late("the client does not say what it speaks")));
                }
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write(data))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
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

fn late(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
