//! The blocks of a streamed answer, of which one stands open at a time: what belongs to another waits for its turn.

use super::{Block, Change, Event, call_id, object};
use crate::{
    chat::{Call, Piece},
    dialect::alike::invalid_call,
};
use bytes::BytesMut;
use std::sync::Arc;

/// The blocks so far.
#[derive(Debug)]
pub(super) struct Blocks {
    reply_id: Arc<str>,
    /// How many were begun.
    begun: usize,
    open: Option<Open>,
    /// In the order in which they began.
    tools: Vec<Tool>,
    /// What could not be said yet, because a call stands open whose arguments are not all there.
    waiting: Vec<Waiting>,
    /// Bytes of arguments and of what waits.
    held: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Tool(usize),
}

#[derive(Debug)]
enum Waiting {
    Text(String),
    Thinking { text: String, seal: String },
    Tool(usize),
}

#[derive(Debug)]
struct Tool {
    index: usize,
    call: Call,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Open,
    Written,
}

/// Most bytes of arguments, and of what waits for its turn, in one answer: as much as one event may have.
const MAX_HELD: usize = crate::wire::MAX_EVENT;

impl Blocks {
    pub(super) fn new(reply_id: Arc<str>) -> Self {
        let (tools, waiting) = (Vec::new(), Vec::new());
        Self { reply_id, begun: 0, open: None, tools, waiting, held: 0 }
    }

    /// Whether anything was called.
    pub(super) fn called(&self) -> bool {
        self.tools.iter().any(|tool| tool.stage == Stage::Written)
    }

    pub(super) fn text(&mut self, text: String, out: &mut BytesMut) -> Result<(), String> {
        if self.is_free() {
            self.turn_to(Open::Text, out);
            self.change(Change::Text { text: &text }, out);
            return Ok(());
        }
        self.hold(text.len())?;
        match self.waiting.last_mut() {
            Some(Waiting::Text(before)) => before.push_str(&text),
            _ => self.waiting.push(Waiting::Text(text)),
        }
        Ok(())
    }

    pub(super) fn thinking(&mut self, text: String, out: &mut BytesMut) -> Result<(), String> {
        if self.is_free() {
            self.turn_to(Open::Thinking, out);
            self.change(Change::Thinking { thinking: &text }, out);
            return Ok(());
        }
        self.hold(text.len())?;
        match self.waiting.last_mut() {
            Some(Waiting::Thinking { text: before, .. }) => before.push_str(&text),
            _ => self.waiting.push(Waiting::Thinking { text, seal: String::new() }),
        }
        Ok(())
    }

    /// A seal is on the thinking before it, also where that is not shown.
    pub(super) fn seal(&mut self, seal: String, out: &mut BytesMut) -> Result<(), String> {
        if self.is_free() {
            self.turn_to(Open::Thinking, out);
            self.change(Change::Signature { signature: &seal }, out);
            return Ok(());
        }
        self.hold(seal.len())?;
        match self.waiting.last_mut() {
            Some(Waiting::Thinking { seal: before, .. }) => before.push_str(&seal),
            _ => self.waiting.push(Waiting::Thinking { text: String::new(), seal }),
        }
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), String> {
        self.held = self.held.saturating_add(bytes);
        if self.held > MAX_HELD {
            return Err(format!("the upstream called tools with more than {MAX_HELD} bytes"));
        }
        Ok(())
    }

    pub(super) fn tool(&mut self, piece: Piece, out: &mut BytesMut) -> Result<(), String> {
        self.hold(piece.arguments.len())?;
        let known = self.tools.iter().rposition(|tool| tool.index == piece.index);
        let Some(at) = known else {
            if self.tools.len() < Call::MAX {
                self.begin(piece, out);
            }
            return Ok(());
        };
        let tool = &mut self.tools[at];
        match tool.stage {
            Stage::Written if piece.arguments.trim().is_empty() => {}
            // It was all there, and more has come.
            Stage::Written => return Err(invalid_call(&tool.call.name)),
            Stage::Open => {
                tool.call.arguments.push_str(&piece.arguments);
                if !piece.arguments.is_empty() {
                    self.change(Change::Input { partial_json: &piece.arguments }, out);
                }
            }
            Stage::Waiting => {
                tool.call.id = tool.call.id.take().or(piece.id);
                if tool.call.name.is_empty() {
                    tool.call.name = piece.name.unwrap_or_default();
                }
                tool.call.arguments.push_str(&piece.arguments);
            }
        }
        Ok(())
    }

    fn begin(&mut self, piece: Piece, out: &mut BytesMut) {
        let at = self.tools.len();
        let id = piece.id.unwrap_or_else(|| call_id(&self.reply_id, piece.index));
        let name = piece.name.unwrap_or_default();
        let call = Call { id: Some(id), name, arguments: piece.arguments };
        let free = self.is_free();
        self.tools.push(Tool { index: piece.index, call, stage: Stage::Waiting });
        if free {
            self.show(at, out);
        } else {
            self.waiting.push(Waiting::Tool(at));
        }
    }

    /// Everything is there: closes what is open, and says what waited. `cut`: the token limit was reached, and calls
    /// whose arguments it cut off are left out where they can be.
    pub(super) fn settle(&mut self, cut: bool, out: &mut BytesMut) -> Result<(), String> {
        if let Some(Open::Tool(at)) = self.open
            && !cut
            && object(&self.tools[at].call.arguments).is_none()
        {
            return Err(invalid_call(&self.tools[at].call.name));
        }
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Text(text) => {
                    self.turn_to(Open::Text, out);
                    self.change(Change::Text { text: &text }, out);
                }
                Waiting::Thinking { text, seal } => {
                    self.turn_to(Open::Thinking, out);
                    if !text.is_empty() {
                        self.change(Change::Thinking { thinking: &text }, out);
                    }
                    if !seal.is_empty() {
                        self.change(Change::Signature { signature: &seal }, out);
                    }
                }
                Waiting::Tool(at) if object(&self.tools[at].call.arguments).is_some() => {
                    self.show(at, out);
                }
                Waiting::Tool(_) if cut => {}
                Waiting::Tool(at) => return Err(invalid_call(&self.tools[at].call.name)),
            }
        }
        self.close(out);
        Ok(())
    }

    /// Whether another block may begin: nothing waits, and no call stands open that may still grow.
    fn is_free(&self) -> bool {
        self.waiting.is_empty()
            && match self.open {
                Some(Open::Tool(at)) => {
                    let arguments = &self.tools[at].call.arguments;
                    // An object that is complete takes no more. Nothing at all may be one that has not begun.
                    arguments.trim_end().ends_with('}') && object(arguments).is_some()
                }
                Some(Open::Text | Open::Thinking) | None => true,
            }
    }

    fn turn_to(&mut self, kind: Open, out: &mut BytesMut) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        let content_block = match kind {
            Open::Text => Block::Text { text: "" },
            _ => Block::Thinking { thinking: "", signature: "" },
        };
        Event::ContentBlockStart { index: self.begun, content_block }.write(out);
        self.open = Some(kind);
        self.begun += 1;
    }

    /// Opens the block of a call, with as much of its arguments as is there.
    fn show(&mut self, at: usize, out: &mut BytesMut) {
        self.close(out);
        let Tool { call, stage, .. } = &mut self.tools[at];
        *stage = Stage::Open;
        // The input of a start is empty; it comes in pieces.
        let Some(input) = object("{}") else { return };
        let id = call.id.as_deref().unwrap_or_default();
        let content_block = Block::ToolUse { id, name: &call.name, input };
        let index = self.begun;
        Event::ContentBlockStart { index, content_block }.write(out);
        if !call.arguments.is_empty() {
            let delta = Change::Input { partial_json: &call.arguments };
            Event::ContentBlockDelta { index, delta }.write(out);
        }
        self.open = Some(Open::Tool(at));
        self.begun += 1;
    }

    fn change(&self, delta: Change<'_>, out: &mut BytesMut) {
        Event::ContentBlockDelta { index: self.begun.saturating_sub(1), delta }.write(out);
    }

    fn close(&mut self, out: &mut BytesMut) {
        let Some(open) = self.open.take() else { return };
        if let Open::Tool(at) = open {
            self.tools[at].stage = Stage::Written;
        }
        Event::ContentBlockStop { index: self.begun.saturating_sub(1) }.write(out);
    }
}
