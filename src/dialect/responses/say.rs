//! Writes answers as the Responses API gives them: items, each told from its beginning to its end.

mod whole;

pub(super) use whole::whole;

use super::{
    echo,
    event::{self, Event, Shown},
    item::{Begun, Item, Kind, Part, Response, Status, ended},
};
use crate::{
    chat::{Call, Delta, Finish, Piece, Token},
    dialect::{Reply, Usage, WriteAnswer, alike::invalid_call, tokens},
    error::Error,
};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Writes the events of `/v1/responses`.
///
/// The last event repeats the whole answer, so that all of it is kept until then: at most [`MAX_ANSWER`] bytes.
#[derive(Debug)]
pub(super) struct Writer {
    reply: Reply,
    id: String,
    echo: Arc<str>,
    /// The number of the next event.
    next: u64,
    items: Vec<Item>,
    /// The reasoning or the message that grows.
    open: Option<usize>,
    /// Where the calls stand among the items.
    calls: Vec<Option<usize>>,
    /// Those of the text that comes next.
    tokens: Vec<Token>,
    usage: Usage,
    finish: Option<Finish>,
    bytes: usize,
}

/// Most bytes of text, thinking and arguments in one stream; as much as an answer that comes whole may have by default.
const MAX_ANSWER: usize = 64 << 20;

impl Writer {
    pub(super) fn new(reply: Reply) -> Self {
        Self {
            id: id(&reply),
            echo: reply.wishes.echo.clone().unwrap_or_else(echo::nothing),
            reply,
            next: 0,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            tokens: Vec::new(),
            usage: Usage::default(),
            finish: None,
            bytes: 0,
        }
    }

    /// An event with the answer as it stands.
    fn state(&mut self, name: &'static str, status: Status, now_ms: u64, out: &mut BytesMut) {
        let over = status != Status::InProgress;
        let response = Response {
            reply: &self.reply,
            id: &self.id,
            status,
            finish: self.finish,
            output: &self.items,
            usage: over.then_some(self.usage),
            completed_ms: (status == Status::Completed).then_some(now_ms),
            echo: &self.echo,
        };
        let event = Event { r#type: name, response: Some(response), ..Event::default() };
        write(&mut self.next, event, out);
    }

    fn begin(&mut self, now_ms: u64, out: &mut BytesMut) {
        if self.next == 0 {
            self.state("response.created", Status::InProgress, now_ms, out);
            self.state("response.in_progress", Status::InProgress, now_ms, out);
        }
    }

    /// Begins an item, and gives its place.
    fn add(&mut self, kind: Kind, out: &mut BytesMut) -> usize {
        let index = self.items.len();
        self.items.push(Item::new(&self.reply, index, kind));
        let item = &self.items[index];
        let event = Event {
            r#type: "response.output_item.added",
            output_index: Some(index),
            item: Some(Shown::Begun(Begun(item))),
            ..Event::default()
        };
        write(&mut self.next, event, out);
        index
    }

    /// The message that grows, which may have to begin.
    fn message(&mut self, out: &mut BytesMut) -> usize {
        if let Some(at) = self.open {
            if matches!(self.items[at].kind, Kind::Message { .. }) {
                return at;
            }
            self.close(at, Status::Completed, out);
        }
        let at = self.add(Kind::Message { text: String::new(), tokens: Vec::new() }, out);
        self.open = Some(at);
        let event = Event {
            r#type: "response.content_part.added",
            item_id: Some(&self.items[at].id),
            output_index: Some(at),
            content_index: Some(0),
            part: Some(Part::Text { text: "", tokens: &[] }),
            ..Event::default()
        };
        write(&mut self.next, event, out);
        at
    }

    /// The reasoning that grows, which may have to begin.
    fn reasoning(&mut self, out: &mut BytesMut) -> usize {
        if let Some(at) = self.open {
            if matches!(self.items[at].kind, Kind::Reasoning { .. }) {
                return at;
            }
            self.close(at, Status::Completed, out);
        }
        let at = self.add(Kind::Reasoning { summary: String::new(), seal: String::new() }, out);
        self.open = Some(at);
        at
    }

    fn text(&mut self, more: &str, out: &mut BytesMut) {
        let at = self.message(out);
        let come = std::mem::take(&mut self.tokens);
        let Item { id, kind, .. } = &mut self.items[at];
        if let Kind::Message { text, tokens } = kind {
            text.push_str(more);
            let event = Event {
                r#type: "response.output_text.delta",
                item_id: Some(id),
                output_index: Some(at),
                content_index: Some(0),
                delta: Some(more),
                logprobs: Some(tokens::full(&come)),
                ..Event::default()
            };
            write(&mut self.next, event, out);
            tokens.extend(come);
        }
    }

    fn thinking(&mut self, more: &str, out: &mut BytesMut) {
        let at = self.reasoning(out);
        let Item { id, kind, .. } = &mut self.items[at];
        if let Kind::Reasoning { summary, .. } = kind {
            let about = Event { item_id: Some(id), output_index: Some(at), ..Event::default() };
            let about = Event { summary_index: Some(0), ..about };
            if summary.is_empty() {
                let r#type = "response.reasoning_summary_part.added";
                let event = Event { r#type, part: Some(Part::Summary("")), ..about };
                write(&mut self.next, event, out);
            }
            summary.push_str(more);
            let event = Event {
                r#type: "response.reasoning_summary_text.delta",
                item_id: Some(id),
                output_index: Some(at),
                summary_index: Some(0),
                delta: Some(more),
                ..Event::default()
            };
            write(&mut self.next, event, out);
        }
    }

    fn call(&mut self, piece: Piece, out: &mut BytesMut) -> Result<(), String> {
        if piece.index >= Call::MAX {
            return Ok(());
        }
        if self.calls.len() <= piece.index {
            self.calls.resize(piece.index + 1, None);
        }
        let at = match self.calls[piece.index] {
            Some(at) => at,
            None => {
                if let Some(open) = self.open.take() {
                    self.close(open, Status::Completed, out);
                }
                let call_id = piece.id.unwrap_or_else(|| self.reply.call_id(piece.index));
                let name = piece.name.clone().unwrap_or_default();
                let at = self.add(Kind::Call { call_id, name, arguments: String::new() }, out);
                self.calls[piece.index] = Some(at);
                at
            }
        };
        let Item { kind, status, .. } = &mut self.items[at];
        if let Kind::Call { name, .. } = kind {
            // It was told to be done, and more has come.
            if *status != Status::InProgress && !piece.arguments.trim().is_empty() {
                return Err(invalid_call(name));
            }
            if let (true, Some(late)) = (name.is_empty(), piece.name) {
                *name = late;
            }
        }
        self.arguments(at, &piece.arguments, out);
        Ok(())
    }

    fn arguments(&mut self, at: usize, more: &str, out: &mut BytesMut) {
        let Item { id, kind, status } = &mut self.items[at];
        if let (Kind::Call { arguments, .. }, Status::InProgress, false) =
            (kind, *status, more.is_empty())
        {
            arguments.push_str(more);
            let event = Event {
                r#type: "response.function_call_arguments.delta",
                item_id: Some(id),
                output_index: Some(at),
                delta: Some(more),
                ..Event::default()
            };
            write(&mut self.next, event, out);
        }
    }

    /// Tells that an item is done, with all that it has become.
    fn close(&mut self, at: usize, status: Status, out: &mut BytesMut) {
        if self.items[at].status != Status::InProgress {
            return;
        }
        let empty =
            matches!(&self.items[at].kind, Kind::Call { arguments, .. } if arguments.is_empty());
        if empty && status == Status::Completed {
            // A function without arguments is called with none, which is JSON too.
            self.arguments(at, "{}", out);
        }
        let item = &mut self.items[at];
        item.status = status;
        let about =
            || Event { item_id: Some(&item.id), output_index: Some(at), ..Event::default() };
        match &item.kind {
            Kind::Reasoning { summary, .. } if summary.is_empty() => {}
            Kind::Reasoning { summary, .. } => {
                let about = || Event { summary_index: Some(0), ..about() };
                let r#type = "response.reasoning_summary_text.done";
                write(&mut self.next, Event { r#type, text: Some(summary), ..about() }, out);
                let r#type = "response.reasoning_summary_part.done";
                let part = Some(Part::Summary(summary));
                write(&mut self.next, Event { r#type, part, ..about() }, out);
            }
            Kind::Message { text, tokens } => {
                let about = || Event { content_index: Some(0), ..about() };
                let r#type = "response.output_text.done";
                let logprobs = Some(tokens::full(tokens));
                let event = Event { r#type, text: Some(text), logprobs, ..about() };
                write(&mut self.next, event, out);
                let r#type = "response.content_part.done";
                let part = Some(Part::Text { text, tokens });
                write(&mut self.next, Event { r#type, part, ..about() }, out);
            }
            Kind::Call { name, arguments, .. } => {
                let r#type = "response.function_call_arguments.done";
                let (name, arguments) = (Some(&**name), Some(&**arguments));
                write(&mut self.next, Event { r#type, name, arguments, ..about() }, out);
            }
        }
        let event = Event {
            r#type: "response.output_item.done",
            output_index: Some(at),
            item: Some(Shown::Done(item)),
            ..Event::default()
        };
        write(&mut self.next, event, out);
    }

    /// Closes what is open. Where the answer was cut, it was cut in the last of them.
    fn close_all(&mut self, out: &mut BytesMut) {
        if !self.tokens.is_empty() {
            self.text("", out);
        }
        let last = self.items.len().saturating_sub(1);
        for at in 0..self.items.len() {
            let status = if at == last { ended(self.finish) } else { Status::Completed };
            self.close(at, status, out);
        }
        self.open = None;
    }

    fn end(&mut self, now_ms: u64, out: &mut BytesMut) {
        let status = ended(self.finish);
        let silent = |item: &Item| matches!(item.kind, Kind::Reasoning { .. });
        if status == Status::Completed && self.items.iter().all(silent) {
            // An answer without words has a message without words.
            self.message(out);
        }
        self.close_all(out);
        let name = match status {
            Status::Incomplete => "response.incomplete",
            Status::Completed | Status::InProgress => "response.completed",
        };
        self.state(name, status, now_ms, out);
    }

    fn grow(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        match self.bytes > MAX_ANSWER {
            true => Err(format!("the upstream's answer has more than {MAX_ANSWER} bytes")),
            false => Ok(()),
        }
    }
}

impl WriteAnswer for Writer {
    fn write(&mut self, delta: Delta, now_ms: u64, out: &mut BytesMut) -> Result<(), String> {
        self.begin(now_ms, out);
        match delta {
            Delta::Text(text) => {
                self.grow(text.len())?;
                self.text(&text, out);
            }
            Delta::Thinking(text) => {
                self.grow(text.len())?;
                self.thinking(&text, out);
            }
            Delta::Signature(more) => {
                self.grow(more.len())?;
                let at = self.reasoning(out);
                if let Kind::Reasoning { seal, .. } = &mut self.items[at].kind {
                    seal.push_str(&more);
                }
            }
            // They go with the text that follows.
            Delta::Tokens(tokens) => self.tokens.extend(tokens),
            Delta::Tool(piece) => {
                self.grow(piece.arguments.len())?;
                self.call(piece, out)?;
            }
            Delta::Finish(finish) => {
                self.finish = Some(finish);
                self.close_all(out);
            }
            Delta::Usage(usage) => self.usage = usage,
            Delta::Error(message) => return Err(message),
            Delta::End => self.end(now_ms, out),
        }
        Ok(())
    }

    fn fail(&mut self, error: &Error) -> Option<Bytes> {
        let number = self.next;
        self.next += 1;
        Some(event::error(error, number))
    }
}

fn write(next: &mut u64, mut event: Event<'_>, out: &mut BytesMut) {
    event.sequence_number = *next;
    *next += 1;
    event.write(out);
}

fn id(reply: &Reply) -> String {
    format!("resp_{}", reply.id)
}
