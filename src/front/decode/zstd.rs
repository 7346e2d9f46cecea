//! The frames of a zstd body, block by block. Source: RFC 8878 3.

use super::coding::{Out, STEP, Stop};
use bytes::{Buf, Bytes};
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};
use std::io::Read;

/// The largest window, which is memory that a header of a few bytes can ask for. Source: RFC 9659, no encoder may
/// need more for a `Content-Encoding`.
const MAX_WINDOW: u64 = 8 << 20;

/// Set in the fifth byte of a frame that has no window but its content. Source: RFC 8878 3.1.1.1.1.
const SINGLE_SEGMENT: u8 = 1 << 5;

/// A body of one or more frames, as far as it was not decoded.
pub(super) struct Frames {
    decoder: FrameDecoder,
    rest: Bytes,
    /// Where the frame that is being decoded began in what came out; `None` between frames.
    began: Option<usize>,
}

impl Frames {
    pub(super) fn new(body: Bytes) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { decoder, rest: body, began: None }
    }

    /// Goes on until a step's worth was read or has come out; whether the end was reached.
    pub(super) fn step(&mut self, out: &mut Out) -> Result<bool, Stop> {
        let (rest, len) = (self.rest.len(), out.len());
        while rest - self.rest.len() < STEP && out.len() - len < STEP {
            match self.began {
                Some(began) => self.block(began, out)?,
                None if self.rest.is_empty() => return Ok(true),
                None => self.header(out)?,
            }
        }
        Ok(false)
    }

    fn header(&mut self, out: &Out) -> Result<(), Stop> {
        let alone = self.rest.get(4).is_some_and(|flags| flags & SINGLE_SEGMENT != 0);
        match self.decoder.init((&mut self.rest).reader()) {
            Ok(()) if self.decoder.content_size() > out.room() as u64 => Err(Stop::TooLarge),
            Ok(()) => {
                self.began = Some(out.len());
                Ok(())
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = length as usize;
                if length > self.rest.len() {
                    return Err(Stop::Corrupt("it ends too early".into()));
                }
                self.rest.advance(length);
                Ok(())
            }
            Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => {
                if alone && requested > out.room() as u64 {
                    return Err(Stop::TooLarge);
                }
                Err(Stop::Corrupt(format!(
                    "it needs a window of {requested} bytes, and {MAX_WINDOW} is the most (RFC 9659); \
                     compress it at a lower level"
                )))
            }
            Err(FrameDecoderError::ReadFrameHeaderError(error)) => Err(corrupt(&error)),
            Err(error) => Err(corrupt(&error)),
        }
    }

    fn block(&mut self, began: usize, out: &mut Out) -> Result<(), Stop> {
        let reader = (&mut self.rest).reader();
        self.decoder
            .decode_blocks(reader, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|error| corrupt(&error))?;
        let count = self.decoder.can_collect();
        if count > out.room() {
            return Err(Stop::TooLarge);
        }
        out.fill(count, |room| self.decoder.read(room)).map_err(|error| corrupt(&error))?;
        if !self.decoder.is_finished() {
            return Ok(());
        }
        self.began = None;
        let size = self.decoder.content_size();
        // 0 also stands for a frame that does not say.
        if size != 0 && size != (out.len() - began) as u64 {
            return Err(Stop::Corrupt("it is not as long as it says".into()));
        }
        let said = self.decoder.get_checksum_from_data();
        if said.is_some() && said != self.decoder.get_calculated_checksum() {
            return Err(Stop::Corrupt("its checksum is another".into()));
        }
        Ok(())
    }
}

fn corrupt(error: &dyn std::error::Error) -> Stop {
    Stop::Corrupt(error.to_string())
}
