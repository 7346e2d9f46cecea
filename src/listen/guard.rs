//! A connection whose client must keep going: it says which protocol it speaks, and takes what it is sent.
//!
//! hyper bounds the head of a request, but not the bytes before it knows the protocol, nor how long a client may take
//! nothing. Per read and per write this costs a comparison; timers exist only while somebody waits.

use super::{
    deadline::Deadline,
    heads::{Heads, Oddities},
};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What an HTTP/2 client says first. Source: RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with its deadlines.
#[derive(Debug)]
pub(super) struct Guard<IO> {
    io: IO,
    /// Bytes of the preface that came so far; `None`: the protocol is known.
    preface: Option<usize>,
    speaks: Deadline,
    heads: Heads,
    takes: Deadline,
}

impl<IO> Guard<IO> {
    /// * `speaks`: how long the client has to show which protocol it speaks.
    /// * `takes`: how long it may take nothing of what there is for it.
    pub(super) fn new(io: IO, odd: Arc<Oddities>, speaks: Duration, takes: Duration) -> Self {
        Self {
            io,
            preface: Some(0),
            speaks: Deadline::new(speaks),
            heads: Heads::new(odd),
            takes: Deadline::new(takes),
        }
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

    fn taken(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(written) => {
                self.takes.met();
                Poll::Ready(written)
            }
            Poll::Pending => {
                ready!(self.takes.wait(cx));
                Poll::Ready(Err(late("the client takes nothing")))
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
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

impl<IO: AsyncWrite + Unpin> AsyncWrite for Guard<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, data);
        self.taken(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.taken(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn late(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::Instant,
    };

    fn guard<IO>(io: IO) -> Guard<IO> {
        Guard::new(io, Arc::default(), Duration::from_secs(10), Duration::from_secs(60))
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_preface_is_not_waited_for_however_slowly_it_goes_on() {
        let (mut client, server) = duplex(1024);
        let mut guard = guard(server);
        tokio::spawn(async move {
            for byte in PREFACE {
                let _ = client.write_all(&[*byte]).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            client
        });
        let (begun, mut all) = (Instant::now(), Vec::new());
        let error = guard.read_to_end(&mut all).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_protocol_is_known_reads_wait_as_long_as_they_must() {
        for said in [b"POST / HT".as_slice(), b"PUT", b"PRI * HTTP/1.1", PREFACE] {
            let (mut client, server) = duplex(1024);
            let mut guard = guard(server);
            client.write_all(said).await.unwrap();
            let mut all = Vec::new();
            let read = tokio::time::timeout(Duration::from_secs(3600), guard.read_to_end(&mut all));
            assert!(read.await.is_err(), "{said:?}: still waiting");
            assert_eq!(all, said);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_late_and_one_that_takes_a_byte_is_not() {
        let (mut client, server) = duplex(4);
        let mut guard = guard(server);
        let begun = Instant::now();
        let reading = tokio::spawn(async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                client.read_u8().await.unwrap();
            }
            client
        });
        let error = guard.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 210));
        drop(reading.await);
    }
}
