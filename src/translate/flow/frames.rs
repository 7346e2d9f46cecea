//! The upstream's stream, cut into events as its dialect frames them.

use crate::wire::{Event, Events, Lines, TooLong};
use bytes::Bytes;

#[derive(Debug)]
pub(super) enum Frames {
    Lines(Lines),
    Events(Events),
}

impl Frames {
    pub(super) fn push(&mut self, bytes: Bytes) {
        match self {
            Self::Lines(lines) => lines.push(bytes),
            Self::Events(events) => events.push(bytes),
        }
    }

    pub(super) fn next(&mut self) -> Option<Result<Event, TooLong>> {
        match self {
            Self::Lines(lines) => lines.next().map(|line| line.map(Event::line)),
            Self::Events(events) => events.next(),
        }
    }

    pub(super) fn end(&mut self) -> Option<Event> {
        match self {
            Self::Lines(lines) => lines.end().map(Event::line),
            Self::Events(events) => events.end(),
        }
    }

    pub(super) fn taken(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.taken(),
            Self::Events(events) => events.taken(),
        }
    }

    pub(super) fn inside(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.inside(),
            Self::Events(events) => events.inside(),
        }
    }
}
