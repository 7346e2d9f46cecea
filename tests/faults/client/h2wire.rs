//! HTTP/2 by hand: frames as they are written, in order or not.

use crate::rig::LIMIT;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

// Source: RFC 9113 6.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// A frame as it came.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct H2 {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

impl H2 {
    /// Connects, and says what it must; with these settings, id and value.
    pub(super) async fn connect(to: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        stream.write_all(&frame(SETTINGS, 0, 0, &payload)).await.unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Writes; whether the other end still takes it.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(LIMIT, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// The next frame; `None` when the connection is over.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            if let Some(length) = self.buffer.get(..3) {
                let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
                if self.buffer.len() >= 9 + length {
                    let rest = self.buffer.split_off(9 + length);
                    let whole = std::mem::replace(&mut self.buffer, rest);
                    let stream = u32::from_be_bytes(whole[5..9].try_into().unwrap());
                    let (kind, flags) = (whole[3], whole[4]);
                    return Some(Frame { kind, flags, stream, payload: whole[9..].to_vec() });
                }
            }
            let read = timeout(LIMIT, self.stream.read(&mut piece)).await;
            match read.expect("a connection that goes on or ends") {
                Ok(count @ 1..) => self.buffer.extend_from_slice(&piece[..count]),
                _ => return None,
            }
        }
    }

    /// Reads until a frame of this kind on this stream came; `None` when the connection was over before.
    pub(super) async fn until(&mut self, kind: u8, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind && frame.stream == stream {
                return Some(frame);
            }
        }
    }

    /// The text of one answer to its end; `None` when the connection was over before.
    pub(super) async fn answer(&mut self, stream: u32) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let frame = self.next().await?;
            if frame.stream != stream {
                continue;
            }
            assert_ne!(frame.kind, RESET, "stream {stream} was reset");
            if frame.kind == DATA {
                text.extend_from_slice(&frame.payload);
            }
            if frame.flags & END_STREAM != 0 {
                return Some(String::from_utf8(text).unwrap());
            }
        }
    }
}

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Headers, each as a literal that is not kept. Source: RFC 7541 6.2.2.
pub(super) fn headers(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A whole request.
pub(super) fn request(stream: u32, path: &str, body: &str) -> Vec<u8> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let block = headers(&[
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/json"),
    ]);
    let last = if body.is_empty() { END_STREAM } else { 0 };
    let mut bytes = frame(HEADERS, END_HEADERS | last, stream, &block);
    if !body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, stream, body.as_bytes()));
    }
    bytes
}
