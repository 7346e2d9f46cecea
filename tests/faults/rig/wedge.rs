//! wedge: a wire that can be bent, a TCP proxy in front of any address.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

/// What the wire does, in both directions unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Pass,
    /// Each piece is late by this much.
    Latency(Duration),
    /// Connections stay, and nothing passes.
    BlackHole,
    /// Connections, old and new, are reset.
    Reset,
    /// Connections, old and new, are closed in order.
    Close,
    /// So many bytes of the answer pass on each connection, and then it is closed.
    Cut(usize),
    /// Pieces of this many bytes, with this much time between them.
    Slice(usize, Duration),
}

/// A running proxy; gone with the test's runtime.
#[derive(Clone, Debug)]
pub(crate) struct Wedge {
    pub(crate) addr: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Wedge {
    /// In front of this address.
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mode = watch::Sender::new(Mode::Pass);
        let modes = mode.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, target, modes.subscribe()));
            }
        });
        Self { addr, mode }
    }

    /// From now on, for connections that are there and new ones.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut modes: watch::Receiver<Mode>) {
    let _ = near.set_nodelay(true);
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let _ = far.set_nodelay(true);
    {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let there = pipe(near_read, far_write, modes.clone(), false);
        let back = pipe(far_read, near_write, modes.clone(), true);
        let broken = modes.wait_for(|mode| matches!(mode, Mode::Reset | Mode::Close));
        tokio::select! {
            _ = async { tokio::join!(there, back) } => {}
            _ = broken => {}
        }
    }
    if *modes.borrow() == Mode::Reset {
        let _ = near.set_zero_linger();
        let _ = far.set_zero_linger();
    }
}

/// Carries one direction until its end, which it passes on as a half-close.
async fn pipe(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut modes: watch::Receiver<Mode>,
    answer: bool,
) {
    let mut piece = vec![0; 16 * 1024];
    let mut carried = 0;
    loop {
        let count = from.read(&mut piece).await.unwrap_or(0);
        let open = modes.wait_for(|mode| *mode != Mode::BlackHole).await;
        let Ok(mode) = open.map(|mode| *mode) else { return };
        if count == 0 {
            let _ = to.shutdown().await;
            return;
        }
        let mut bytes = &piece[..count];
        match mode {
            Mode::Latency(late) => tokio::time::sleep(late).await,
            Mode::Cut(keep) if answer => {
                bytes = &bytes[..bytes.len().min(keep.saturating_sub(carried))];
            }
            _ => {}
        }
        let (size, gap) = match mode {
            Mode::Slice(size, gap) => (size, gap),
            _ => (count, Duration::ZERO),
        };
        for slice in bytes.chunks(size.max(1)) {
            if to.write_all(slice).await.is_err() {
                return;
            }
            if !gap.is_zero() {
                tokio::time::sleep(gap).await;
            }
        }
        carried += bytes.len();
        if matches!(mode, Mode::Cut(keep) if answer && carried >= keep) {
            let _ = to.shutdown().await;
            return;
        }
    }
}
