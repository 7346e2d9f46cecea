//! Reads the answers of OpenAI and of those who speak like it.

mod shape;
mod whole;

pub(super) use whole::whole;

use self::shape::{Choice, Chunk, Content, Counts, Words, probable, seal};
use crate::{
    chat::{Call, Delta, Finish, Piece},
    dialect::{
        ReadAnswer, Usage, failure,
        json::{self, Loose},
    },
};
use http::StatusCode;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads chat chunks and completion chunks alike: what a choice has says which it is.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// One for each choice seen, by its index: whether it has finished.
    choices: Vec<bool>,
    spoken: bool,
    /// The calls so far: the index that the upstream gave, and the id.
    calls: Vec<(Option<u64>, Option<String>)>,
    sealed: bool,
}

/// Most choices of one answer whose ends are watched.
const MAX_CHOICES: usize = 128;

impl ReadAnswer for Reader {
    fn read(&mut self, event: &[u8], out: &mut Vec<Delta>) {
        let event = event.trim_ascii();
        // Source: openai-python _streaming.py, which looks at the beginning only.
        if event.starts_with(b"[DONE]") {
            out.push(if self.spoken || !self.choices.is_empty() {
                Delta::End
            } else {
                Delta::Error("the upstream ended the stream without an answer in it".into())
            });
            return;
        }
        if event.is_empty() {
            return;
        }
        match json::read::<Chunk<'_>>(event, &mut None) {
            Ok(chunk) => self.chunk(chunk, out),
            // Gemini's errors are lists of one.
            Err(_) if event.starts_with(b"[") => {
                out.push(Delta::Error(failure::read(StatusCode::BAD_GATEWAY, event).0));
            }
            Err(error) => out.push(Delta::Error(format!(
                "the upstream sent something that is not OpenAI's: {}",
                json::why(&error)
            ))),
        }
    }

    fn end(&mut self, out: &mut Vec<Delta>) {
        if !self.choices.is_empty() && self.choices.iter().all(|finished| *finished) {
            out.push(Delta::End);
        }
    }
}

impl Reader {
    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut Vec<Delta>) {
        if let Some(error) = failed(&chunk) {
            return out.push(Delta::Error(error));
        }
        for choice in chunk.choices.unwrap_or_default() {
            self.choice(choice, out);
        }
        let counts = chunk.usage.or(chunk.x_groq.and_then(|groq| groq.usage));
        let counted = counts.map(usage).filter(|usage| *usage != Usage::default());
        out.extend(counted.map(Delta::Usage));
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Delta>) {
        let index = choice.index.0.unwrap_or(0) as usize;
        let reason = choice.finish_reason.0.and_then(Loose::filled);
        if index >= MAX_CHOICES {
            return;
        }
        // Azure sends late choices with neither words nor a reason.
        let words = choice.delta.or(choice.message);
        if words.is_some() || choice.text.0.is_some() || reason.is_some() {
            if self.choices.len() <= index {
                self.choices.resize(index + 1, false);
            }
            self.choices[index] |= reason.is_some();
        }
        // The others are only watched for their end.
        if index > 0 {
            return;
        }
        let (before, completes) = (out.len(), words.is_none());
        let tokens = choice.logprobs.map(probable).filter(|tokens| !tokens.is_empty());
        out.extend(tokens.map(Delta::Tokens));
        self.say(words.unwrap_or_default(), out);
        let own = |loose: Loose<'_>| loose.filled().map(Cow::into_owned);
        // Together says a delta's text here again.
        if completes {
            out.extend(own(choice.reasoning).map(Delta::Thinking));
            out.extend(own(choice.text).map(Delta::Text));
        }
        self.spoken |= out.len() > before;
        match reason.as_deref() {
            None => {}
            // OpenRouter, when the model's own provider fails; vLLM, when it is stopped from outside.
            Some("error" | "abort") => {
                out.push(Delta::Error("the upstream's answer ended in an error".into()));
            }
            // Source: api-docs.deepseek.com, create-chat-completion: the answer was interrupted.
            Some("insufficient_system_resource") => {
                out.push(Delta::Error("the upstream ran out of resources".into()));
            }
            Some(reason) => out.push(Delta::Finish(finish(reason))),
        }
    }

    fn say(&mut self, words: Words<'_>, out: &mut Vec<Delta>) {
        let own = |loose: Loose<'_>| loose.filled().map(Cow::into_owned);
        let content = words.content.map(Content::read).unwrap_or_default();
        // Some send both with the same text.
        let thinking = own(words.reasoning).or_else(|| own(words.reasoning_content));
        out.extend(thinking.or(content.thinking).map(Delta::Thinking));
        if let Some(seal) = words.reasoning_details.and_then(seal)
            && !std::mem::replace(&mut self.sealed, true)
        {
            out.push(Delta::Signature(seal));
        }
        out.extend(own(content.text).map(Delta::Text));
        out.extend(own(words.refusal).map(Delta::Text));
        for call in words.tool_calls.unwrap_or_default() {
            let function = call.function.unwrap_or_default();
            let (id, name) = (call.id.and_then(id), own(function.name));
            let index = self.index(call.index.0, id.as_deref(), name.is_some());
            let arguments = function.arguments.map(arguments).unwrap_or_default();
            out.push(Delta::Tool(Piece { index, id, name, arguments }));
        }
        if let Some(function) = words.function_call {
            out.push(Delta::Tool(Piece {
                index: 0,
                id: None,
                name: own(function.name),
                arguments: function.arguments.map(arguments).unwrap_or_default(),
            }));
        }
    }

    /// Which call this piece belongs to.
    ///
    /// Some leave the index out (Gemini), some say 0 of every call, some repeat id and name with every piece: a piece
    /// begins a call where it has a name and no call is known by its id, or by its index where it has no id.
    fn index(&mut self, index: Option<u64>, id: Option<&str>, named: bool) -> usize {
        let same_id = |(_, known): &(_, Option<String>)| id.is_some() && known.as_deref() == id;
        let same_index = |(known, has): &(Option<u64>, Option<String>)| {
            index.is_some() && *known == index && (id.is_none() || has.is_none() || !named)
        };
        let known = self.calls.iter().rposition(same_id);
        let known = known.or_else(|| self.calls.iter().rposition(same_index));
        let last = self.calls.len().checked_sub(1);
        match known.or_else(|| last.filter(|_| index.is_none() && id.is_none() && !named)) {
            Some(at) => {
                let has = &mut self.calls[at].1;
                *has = has.take().or_else(|| id.map(str::to_owned));
                at
            }
            // Later ones are left out, as everywhere.
            None if self.calls.len() >= Call::MAX => Call::MAX,
            None => {
                self.calls.push((index, id.map(str::to_owned)));
                self.calls.len() - 1
            }
        }
    }
}

fn failed(chunk: &Chunk<'_>) -> Option<String> {
    let groq = chunk.x_groq.as_ref().and_then(|groq| groq.error);
    let error = chunk.error.and_then(failure::words).or_else(|| groq.and_then(failure::words));
    // Mistral: `{"object":"error","message":…}`.
    let bare = || chunk.message.filter(|_| chunk.object.0.as_deref() == Some("error"));
    error.or_else(|| bare().and_then(failure::words))
}

fn usage(counts: Counts) -> Usage {
    let prompt = counts.prompt_tokens_details.unwrap_or_default();
    Usage {
        prompt: counts.prompt_tokens.0,
        completion: counts.completion_tokens.0,
        cached: prompt
            .cached_tokens
            .0
            .or(counts.prompt_cache_hit_tokens.0)
            .or(counts.cached_tokens.0),
        written: prompt.cache_write_tokens.0,
        reasoning: counts.completion_tokens_details.and_then(|details| details.reasoning_tokens.0),
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        // Source: together types/chat/chat_completion_chunk.py, mistralai models/chatcompletionchoice.py.
        "stop" | "eos" => Finish::Stop,
        "length" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::Tools,
        // Gemini says behind a colon which filter it was.
        _ if reason.starts_with("content_filter") => Finish::Filter,
        _ => Finish::Other,
    }
}

fn id(raw: &RawValue) -> Option<String> {
    let id = json::text(raw).unwrap_or_else(|| raw.get().to_owned());
    (!id.is_empty() && id != "null").then_some(id)
}

/// A piece of the text, or an object where a text should be.
fn arguments(raw: &RawValue) -> String {
    json::text(raw).unwrap_or_else(|| match raw.get() {
        "null" => String::new(),
        json => json::compact(json),
    })
}
