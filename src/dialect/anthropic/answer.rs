//! Reads the answers of Anthropic.

use crate::{
    chat::{Answer, Call, Delta, Finish, Piece, Said},
    dialect::{
        ReadAnswer, Unread, Usage, failure,
        json::{self, Count, Loose},
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Reads the events of a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    begun: bool,
    counts: Counts,
    /// The block of each call, by its index; a call's number is its place here.
    calls: Vec<u64>,
    /// What to say for the newest call when its block ends and no piece of its input has come.
    input: Option<(usize, String)>,
    /// Blocks of thinking so far.
    thoughts: usize,
}

// Source: anthropic-python types/raw_message_stream_event.py and what it names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Loose<'a>,
    index: Count,
    message: Option<Message<'a>>,
    content_block: Option<Block<'a>>,
    delta: Option<Change<'a>>,
    usage: Option<Counts>,
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    r#type: Loose<'a>,
    content: Option<Vec<Block<'a>>>,
    stop_reason: Loose<'a>,
    usage: Option<Counts>,
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Loose<'a>,
    text: Loose<'a>,
    thinking: Loose<'a>,
    signature: Loose<'a>,
    id: Loose<'a>,
    name: Loose<'a>,
    input: Option<&'a RawValue>,
}

/// The `delta` of a block, or of the whole message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Change<'a> {
    #[serde(borrow)]
    r#type: Loose<'a>,
    text: Loose<'a>,
    thinking: Loose<'a>,
    signature: Loose<'a>,
    partial_json: Loose<'a>,
    stop_reason: Loose<'a>,
}

// Source: anthropic-python types/usage.py, types/message_delta_usage.py.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    thinking_tokens: Count,
}

impl Counts {
    /// Later counts are of the whole answer so far, and stand in place of earlier ones.
    fn update(&mut self, later: Self) {
        let newer = |old: &mut Count, new: Count| old.0 = new.0.or(old.0);
        newer(&mut self.input_tokens, later.input_tokens);
        newer(&mut self.output_tokens, later.output_tokens);
        newer(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        newer(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }

    fn usage(self) -> Usage {
        let (cached, written) =
            (self.cache_read_input_tokens.0, self.cache_creation_input_tokens.0);
        let beside = cached.unwrap_or(0).saturating_add(written.unwrap_or(0));
        Usage {
            prompt: self.input_tokens.0.map(|input| input.saturating_add(beside)),
            completion: self.output_tokens.0,
            cached: cached.filter(|count| *count > 0),
            written: written.filter(|count| *count > 0),
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens.0),
        }
    }
}

impl ReadAnswer for Reader {
    fn read(&mut self, event: &[u8], out: &mut Vec<Delta>) {
        match json::read::<Event<'_>>(event, &mut None) {
            Ok(event) => self.event(event, out),
            Err(error) => out.push(Delta::Error(format!(
                "the upstream sent something that is not Anthropic's: {}",
                json::why(&error)
            ))),
        }
    }

    /// Without `message_stop` nothing says that the answer is whole.
    fn end(&mut self, _out: &mut Vec<Delta>) {}
}

impl Reader {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<Delta>) {
        match event.r#type.0.as_deref().unwrap_or_default() {
            "message_start" => {
                self.begun = true;
                let message = event.message.unwrap_or_default();
                self.count(message.usage, out);
                // Nobody sends content here, but there is a place for it.
                for (index, block) in message.content.unwrap_or_default().into_iter().enumerate() {
                    self.start(index as u64, block, out);
                    self.stop(out);
                }
            }
            "content_block_start" => {
                self.stop(out);
                self.start(
                    event.index.0.unwrap_or(0),
                    event.content_block.unwrap_or_default(),
                    out,
                );
            }
            "content_block_delta" => {
                self.change(event.index.0.unwrap_or(0), event.delta.unwrap_or_default(), out);
            }
            "content_block_stop" => self.stop(out),
            "message_delta" => {
                self.stop(out);
                let reason = event.delta.and_then(|delta| delta.stop_reason.filled());
                out.extend(reason.map(|reason| Delta::Finish(finish(&reason))));
                self.count(event.usage, out);
            }
            "message_stop" if self.begun => out.push(Delta::End),
            "message_stop" => out
                .push(Delta::Error("the upstream ended the stream without an answer in it".into())),
            "error" => out.push(Delta::Error(error(event.error))),
            // Not Anthropic's, but that of a proxy before it.
            "" if event.error.is_some() => out.push(Delta::Error(error(event.error))),
            // `ping`, and what is not known yet.
            _ => {}
        }
    }

    fn count(&mut self, counts: Option<Counts>, out: &mut Vec<Delta>) {
        let Some(counts) = counts else { return };
        self.counts.update(counts);
        let usage = self.counts.usage();
        if usage != Usage::default() {
            out.push(Delta::Usage(usage));
        }
    }

    fn start(&mut self, index: u64, block: Block<'_>, out: &mut Vec<Delta>) {
        match block.r#type.0.as_deref().unwrap_or_default() {
            "text" => out.extend(block.text.filled().map(|text| Delta::Text(text.into_owned()))),
            "thinking" => {
                self.thoughts += 1;
                let text = block.thinking.filled();
                out.extend(text.map(|text| Delta::Thinking(text.into_owned())));
                self.seal(block.signature, out);
            }
            "tool_use" if self.calls.len() < Call::MAX => {
                let number = self.calls.len();
                self.calls.push(index);
                let input = block.input.map(RawValue::get).filter(|input| *input != "null");
                self.input = Some((number, json::compact(input.unwrap_or("{}"))));
                out.push(Delta::Tool(Piece {
                    index: number,
                    id: block.id.filled().map(Into::into),
                    name: block.name.filled().map(Into::into),
                    arguments: String::new(),
                }));
            }
            // Thinking that only Anthropic can read, and tools that ran there.
            _ => {}
        }
    }

    fn change(&mut self, index: u64, change: Change<'_>, out: &mut Vec<Delta>) {
        match change.r#type.0.as_deref().unwrap_or_default() {
            "text_delta" => {
                out.extend(change.text.filled().map(|text| Delta::Text(text.into_owned())));
            }
            "thinking_delta" => {
                let text = change.thinking.filled();
                out.extend(text.map(|text| Delta::Thinking(text.into_owned())));
            }
            "signature_delta" => self.seal(change.signature, out),
            "input_json_delta" => {
                let number = self.calls.iter().rposition(|block| *block == index);
                let (Some(number), Some(json)) = (number, change.partial_json.filled()) else {
                    return;
                };
                self.input = self.input.take().filter(|(waiting, _)| *waiting != number);
                out.push(Delta::Tool(Piece {
                    index: number,
                    arguments: json.into_owned(),
                    ..Piece::default()
                }));
            }
            _ => {}
        }
    }

    /// A block has ended. A call without a piece of input has that of its start.
    fn stop(&mut self, out: &mut Vec<Delta>) {
        if let Some((index, arguments)) = self.input.take() {
            out.push(Delta::Tool(Piece { index, arguments, ..Piece::default() }));
        }
    }

    /// One seal is on one block; of several blocks, which become one text, only the first keeps its.
    fn seal(&mut self, seal: Loose<'_>, out: &mut Vec<Delta>) {
        if self.thoughts <= 1 {
            out.extend(seal.filled().map(|seal| Delta::Signature(seal.into_owned())));
        }
    }
}

fn error(raw: Option<&RawValue>) -> String {
    raw.and_then(failure::words).unwrap_or_else(|| "the upstream reported an error".into())
}

fn finish(reason: &str) -> Finish {
    match reason {
        "end_turn" | "stop_sequence" | "pause_turn" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::Tools,
        "refusal" => Finish::Filter,
        _ => Finish::Other,
    }
}

pub(super) fn whole(body: &[u8]) -> Result<Answer, Unread> {
    let mut room = None;
    let message = json::read::<Message<'_>>(body, &mut room)
        .map_err(|error| Unread::Strange(json::why(&error)))?;
    let kind = message.r#type.0.as_deref().unwrap_or_default();
    if kind == "error" || message.error.is_some() {
        return Err(Unread::Failed(error(message.error)));
    }
    let Some(content) = message.content.filter(|_| matches!(kind, "message" | "")) else {
        return Err(Unread::Strange("no \"content\" in the answer".into()));
    };
    let (mut reader, mut deltas) = (Reader::default(), Vec::new());
    for (index, block) in content.into_iter().enumerate() {
        reader.start(index as u64, block, &mut deltas);
        reader.stop(&mut deltas);
    }
    let mut said = Said {
        usage: message.usage.map(Counts::usage).unwrap_or_default(),
        finish: message.stop_reason.filled().map(|reason| finish(&reason)),
        ..Said::default()
    };
    for delta in deltas {
        said.add(delta);
    }
    Ok(Answer::Said(said))
}
