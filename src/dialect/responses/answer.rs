//! Reads the answers of those who speak the Responses API.

mod shape;

use self::shape::{Event, Item, Whole, item, parts, usage};
use super::item::unsealed;
use crate::{
    chat::{Answer, Delta, Finish, Piece, Said},
    dialect::{
        ReadAnswer, Unread, failure,
        json::{self, Fields},
        tokens,
    },
    error::Error,
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads the events of a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The place of each call among the items, and how much of its arguments has come.
    calls: Vec<(u64, bool)>,
    /// Whether thinking comes as a summary or in full; some send both.
    full: Option<bool>,
    /// Whether an item has said anything yet.
    spoken: bool,
    /// Whether a seal on what was thought has come.
    sealed: bool,
    /// The number that the next event would have.
    next: u64,
}

/// How an answer stands.
enum Stand {
    Ended(Finish),
    /// It is made in the background, to be fetched later.
    Waiting,
    Failed(String),
}

impl ReadAnswer for Reader {
    fn read(&mut self, event: &[u8], out: &mut Vec<Delta>) {
        let event = event.trim_ascii();
        // Some who only speak like OpenAI send it here too; it ends nothing.
        if event.is_empty() || event.starts_with(b"[DONE]") {
            return;
        }
        match json::read::<Event<'_>>(event, &mut None) {
            Ok(event) => self.event(event, out),
            Err(error) => out.push(Delta::Error(format!(
                "the upstream sent something that is no event of a response: {}",
                json::why(&error)
            ))),
        }
    }

    /// Without its last event, which has all of it once more, no answer is whole.
    fn end(&mut self, _out: &mut Vec<Delta>) {}

    fn fail(&mut self, error: &Error) -> Option<Bytes> {
        Some(super::event::error(error, self.next))
    }
}

impl Reader {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<Delta>) {
        if let Some(number) = event.sequence_number.0 {
            self.next = number.saturating_add(1);
        }
        let at = event.output_index.0.unwrap_or(0);
        let kind = event.r#type.0.unwrap_or_default();
        match &*kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.tokens(event.logprobs, out);
                self.text(event.delta.filled(), out);
            }
            "response.reasoning_summary_text.delta" => {
                self.thinking(false, event.delta.filled(), out);
            }
            "response.reasoning_text.delta" => self.thinking(true, event.delta.filled(), out),
            "response.reasoning_summary_part.added" if event.summary_index.0 > Some(0) => {
                self.thinking(false, Some(PARAGRAPH.into()), out);
            }
            "response.output_item.added" => {
                let item = event.item.map(item).unwrap_or_default();
                if item.r#type.0.as_deref() == Some("function_call") {
                    self.call(at, item, out);
                } else {
                    // The model is at work, though it may not say anything for a long time.
                    out.push(Delta::Tokens(Vec::new()));
                }
            }
            "response.function_call_arguments.delta" => {
                self.arguments(at, event.delta.filled(), out);
            }
            "response.function_call_arguments.done" if !self.argued(at) => {
                self.arguments(at, event.arguments.filled(), out);
            }
            "response.output_item.done" => {
                self.done(at, event.item.map(item).unwrap_or_default(), out);
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => self.over(event.response, out),
            "error" => {
                let words = event.error.or(event.message).and_then(failure::words);
                out.push(Delta::Error(words.unwrap_or_else(|| UNKNOWN.into())));
            }
            // What is queued or in progress, what is done of a part, and tools that run upstream.
            _ => out.extend(event.error.and_then(failure::words).map(Delta::Error)),
        }
    }

    fn text(&mut self, text: Option<Cow<'_, str>>, out: &mut Vec<Delta>) {
        self.spoken |= text.is_some();
        out.extend(text.map(|text| Delta::Text(text.into_owned())));
    }

    fn tokens(&mut self, list: Option<&RawValue>, out: &mut Vec<Delta>) {
        let list = list.map(tokens::read).filter(|list| !list.is_empty());
        self.spoken |= list.is_some();
        out.extend(list.map(Delta::Tokens));
    }

    fn thinking(&mut self, full: bool, text: Option<Cow<'_, str>>, out: &mut Vec<Delta>) {
        if *self.full.get_or_insert(full) == full {
            self.spoken |= text.is_some();
            out.extend(text.map(|text| Delta::Thinking(text.into_owned())));
        }
    }

    fn call(&mut self, at: u64, item: Item<'_>, out: &mut Vec<Delta>) {
        let arguments = item.arguments.filled().map(Cow::into_owned).unwrap_or_default();
        let index = self.calls.len();
        self.calls.push((at, !arguments.is_empty()));
        self.spoken = true;
        out.push(Delta::Tool(Piece {
            index,
            id: item.call_id.filled().map(Cow::into_owned),
            name: item.name.filled().map(Cow::into_owned),
            arguments,
        }));
    }

    fn argued(&self, at: u64) -> bool {
        self.calls.iter().any(|(place, argued)| *place == at && *argued)
    }

    fn arguments(&mut self, at: u64, more: Option<Cow<'_, str>>, out: &mut Vec<Delta>) {
        let Some(index) = self.calls.iter().position(|(place, _)| *place == at) else { return };
        let Some(arguments) = more.map(Cow::into_owned) else { return };
        self.calls[index].1 = true;
        out.push(Delta::Tool(Piece { index, arguments, ..Piece::default() }));
    }

    fn done(&mut self, at: u64, item: Item<'_>, out: &mut Vec<Delta>) {
        match item.r#type.0.as_deref() {
            Some("function_call") if self.calls.iter().all(|(place, _)| *place != at) => {
                self.call(at, item, out);
            }
            Some("function_call") if !self.argued(at) => {
                self.arguments(at, item.arguments.filled(), out);
            }
            Some("reasoning") => {
                let seal = seal(&item);
                self.sealed |= seal.is_some();
                out.extend(seal);
            }
            _ => {}
        }
    }

    fn over(&mut self, response: Option<&RawValue>, out: &mut Vec<Delta>) {
        let Some(whole) = response.and_then(|raw| serde_json::from_str(raw.get()).ok()) else {
            out.push(Delta::Error("the upstream ended its answer without the answer".into()));
            return;
        };
        let whole: Whole<'_> = whole;
        if !self.spoken {
            whole.say(self, out);
        }
        let stand = whole.stand(!self.calls.is_empty());
        out.extend(whole.usage.map(usage).map(Delta::Usage));
        match stand {
            Stand::Ended(finish) => out.extend([Delta::Finish(finish), Delta::End]),
            Stand::Failed(message) => out.push(Delta::Error(message)),
            Stand::Waiting => out.extend([Delta::Finish(Finish::Other), Delta::End]),
        }
    }
}

/// Between two parts of what was thought.
const PARAGRAPH: &str = "\n\n";

const UNKNOWN: &str = "the upstream reported an error";

/// The seal on what was thought, where it is one that can be handed back.
fn seal(item: &Item<'_>) -> Option<Delta> {
    let encrypted = item.encrypted_content.0.as_deref()?;
    unsealed(encrypted).map(|seal| Delta::Signature(seal.to_owned()))
}

impl Whole<'_> {
    /// All its items, in order.
    fn say(&self, reader: &mut Reader, out: &mut Vec<Delta>) {
        for (at, raw) in self.output.iter().flatten().enumerate() {
            let item = item(raw);
            match item.r#type.0.as_deref() {
                Some("reasoning") => {
                    let summary = parts(item.summary);
                    let full = summary.is_empty();
                    let parts = if full { parts(item.content) } else { summary };
                    for (place, part) in parts.into_iter().enumerate() {
                        let between = (place > 0).then(|| PARAGRAPH.into());
                        reader.thinking(full, between, out);
                        reader.thinking(full, part.text.filled(), out);
                    }
                    // The end of a stream that said nothing else has it once more.
                    out.extend(seal(&item).filter(|_| !reader.sealed));
                }
                Some("message") => {
                    for part in parts(item.content) {
                        reader.tokens(part.logprobs, out);
                        reader.text(part.text.filled().or(part.refusal.filled()), out);
                    }
                }
                Some("function_call") => reader.call(at as u64, item, out),
                _ => {}
            }
        }
    }

    fn stand(&self, called: bool) -> Stand {
        let words = self.error.and_then(failure::words);
        match self.status.0.as_deref() {
            Some("failed") => Stand::Failed(words.unwrap_or_else(|| UNKNOWN.into())),
            Some("cancelled") => Stand::Failed("the answer was cancelled upstream".into()),
            Some("queued" | "in_progress") => Stand::Waiting,
            Some("incomplete") => {
                let why = self.incomplete_details.as_ref();
                Stand::Ended(match why.and_then(|why| why.reason.0.as_deref()) {
                    Some("max_output_tokens") => Finish::Length,
                    Some("content_filter") => Finish::Filter,
                    _ => Finish::Other,
                })
            }
            _ if called => Stand::Ended(Finish::Tools),
            _ => Stand::Ended(Finish::Stop),
        }
    }
}

/// Reads an unstreamed answer.
pub(super) fn whole(body: &[u8]) -> Result<Answer, Unread> {
    let text = String::from_utf8_lossy(body);
    let strange = |why: String| Unread::Strange(why);
    let fields = Fields::body(&text).map_err(|error| strange(error.to_string()))?;
    let object = fields.raw("object").and_then(json::text);
    if object.as_deref() != Some("response") {
        return Err(match fields.raw("error").and_then(failure::words) {
            Some(words) => Unread::Failed(words),
            None => strange("no object \"response\" in the answer".into()),
        });
    }
    let whole: Whole<'_> =
        serde_json::from_str(&text).map_err(|error| strange(error.to_string()))?;
    let mut reader = Reader::default();
    let mut deltas = Vec::new();
    whole.say(&mut reader, &mut deltas);
    let mut said = Said { usage: whole.usage.map(usage).unwrap_or_default(), ..Said::default() };
    deltas.into_iter().for_each(|delta| said.add(delta));
    said.finish = Some(match whole.stand(!said.calls.is_empty()) {
        Stand::Ended(finish) => finish,
        Stand::Waiting => Finish::Other,
        Stand::Failed(message) => return Err(Unread::Failed(message)),
    });
    Ok(Answer::Said(said))
}
