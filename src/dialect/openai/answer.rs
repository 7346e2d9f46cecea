//! Reads the answers of OpenAI and of those who speak like it.

use crate::{
    chat::{Answer, Delta, Finish, Number, Piece, Said, Token, Vector},
    dialect::{
        Operation, ReadAnswer, Unread, Usage, base64, failure,
        json::{self, Count, Few, Fields, Loose},
        tokens,
    },
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// Reads chat chunks and completion chunks alike: what a choice has says which it is.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// One for each choice seen, by its index: whether it has finished.
    choices: Vec<bool>,
    spoken: bool,
}

/// Most choices of one answer whose ends are watched.
const MAX_CHOICES: usize = 128;

// Source: openai-python types/chat/chat_completion_chunk.py, types/completion.py.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Few<Choice<'a>>>,
    usage: Option<Counts>,
    // Groq: its usage and its errors stand here.
    x_groq: Option<Groq<'a>>,
    error: Option<&'a RawValue>,
    object: Loose<'a>,
    message: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Groq<'a> {
    usage: Option<Counts>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Counts {
    prompt_tokens: Count,
    completion_tokens: Count,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    // DeepSeek's own name for the cached ones.
    prompt_cache_hit_tokens: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: Count,
    #[serde(borrow)]
    delta: Option<Words<'a>>,
    message: Option<Words<'a>>,
    text: Loose<'a>,
    reasoning: Loose<'a>,
    logprobs: Option<&'a RawValue>,
    finish_reason: Given<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Words<'a> {
    #[serde(borrow)]
    content: Loose<'a>,
    reasoning: Loose<'a>,
    reasoning_content: Loose<'a>,
    refusal: Loose<'a>,
    tool_calls: Option<Few<Called<'a>>>,
    function_call: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Called<'a> {
    index: Count,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    function: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Loose<'a>,
    arguments: Option<&'a RawValue>,
}

/// A field that may be null, which is not the same as not being there.
#[derive(Default)]
struct Given<'a>(Option<Loose<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Loose::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

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
        match serde_json::from_slice::<Chunk<'_>>(event) {
            Ok(chunk) => self.chunk(chunk, out),
            Err(error) => out.push(Delta::Error(format!(
                "the upstream sent something that is not OpenAI's: {error}"
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
        let before = out.len();
        let tokens = choice.logprobs.map(probable).filter(|tokens| !tokens.is_empty());
        out.extend(tokens.map(Delta::Tokens));
        say(words.unwrap_or_default(), out);
        let own = |loose: Loose<'_>| loose.filled().map(Cow::into_owned);
        out.extend(own(choice.reasoning).map(Delta::Thinking));
        out.extend(own(choice.text).map(Delta::Text));
        self.spoken |= out.len() > before;
        match reason.as_deref() {
            None => {}
            // OpenRouter, when the model's own provider fails.
            Some("error") => {
                out.push(Delta::Error("the upstream's answer ended in an error".into()));
            }
            Some(reason) => out.push(Delta::Finish(finish(reason))),
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
        cached: prompt.cached_tokens.0.or(counts.prompt_cache_hit_tokens.0),
        written: prompt.cache_write_tokens.0,
        reasoning: counts.completion_tokens_details.and_then(|details| details.reasoning_tokens.0),
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::Tools,
        "content_filter" => Finish::Filter,
        _ => Finish::Other,
    }
}

fn say(words: Words<'_>, out: &mut Vec<Delta>) {
    let own = |loose: Loose<'_>| loose.filled().map(Cow::into_owned);
    // Some send both with the same text.
    let thinking = own(words.reasoning).or_else(|| own(words.reasoning_content));
    out.extend(thinking.map(Delta::Thinking));
    out.extend(own(words.content).map(Delta::Text));
    out.extend(own(words.refusal).map(Delta::Text));
    let calls = words.tool_calls.unwrap_or_default();
    for (place, call) in calls.into_iter().enumerate() {
        let function = call.function.unwrap_or_default();
        out.push(Delta::Tool(Piece {
            // Some leave the index out, and number ids.
            index: call.index.0.map_or(place, |index| index as usize),
            id: call.id.and_then(id),
            name: own(function.name),
            arguments: function.arguments.map(arguments).unwrap_or_default(),
        }));
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

/// Tokens with their probabilities, in the shape of chats or in that of completions.
fn probable(raw: &RawValue) -> Vec<Token> {
    // Source: openai-python types/completion_choice.py.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Probable<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        tokens: Option<Vec<String>>,
        token_logprobs: Option<Vec<Option<&'a RawValue>>>,
        top_logprobs: Option<Vec<Option<BTreeMap<String, &'a RawValue>>>>,
    }
    let probable = serde_json::from_str::<Probable<'_>>(raw.get()).unwrap_or_default();
    if let Some(content) = probable.content {
        return tokens::read(content);
    }
    let token = |text: String, logprob: &RawValue| {
        Some(Token { text, logprob: Number::new(logprob)?, bytes: None, others: Vec::new() })
    };
    let logprobs = probable.token_logprobs.unwrap_or_default();
    let mut others = probable.top_logprobs.unwrap_or_default().into_iter();
    let list = probable.tokens.unwrap_or_default().into_iter().zip(logprobs);
    list.filter_map(|(text, logprob)| {
        let others = others.next().flatten().unwrap_or_default();
        let others = others.into_iter().filter_map(|(text, logprob)| token(text, logprob));
        Some(Token { others: others.collect(), ..token(text, logprob?)? })
    })
    .collect()
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

pub(super) fn whole(operation: Operation, body: &[u8]) -> Result<Answer, Unread> {
    if matches!(operation, Operation::Embed | Operation::EmbedOne) {
        return vectors(body);
    }
    let chunk = serde_json::from_slice::<Chunk<'_>>(body)
        .map_err(|error| Unread::Strange(error.to_string()))?;
    if let Some(error) = failed(&chunk) {
        return Err(Unread::Failed(error));
    }
    let mut said = Said {
        usage: chunk
            .usage
            .or(chunk.x_groq.and_then(|groq| groq.usage))
            .map(usage)
            .unwrap_or_default(),
        ..Said::default()
    };
    let first = |choice: &Choice<'_>| choice.index.0.unwrap_or(0) == 0;
    let Some(choice) = chunk.choices.unwrap_or_default().into_iter().find(first) else {
        return Err(Unread::Strange("no \"choices\" in the answer".into()));
    };
    // Ollama's /v1 says null when its own answer was cut short; who leaves it out means nothing by it.
    let silent = choice.finish_reason.0.is_none();
    let mut deltas = Vec::new();
    Reader::default().choice(choice, &mut deltas);
    for delta in deltas {
        match delta {
            Delta::Error(message) => return Err(Unread::Failed(message)),
            delta => said.add(delta),
        }
    }
    if silent {
        said.finish = Some(Finish::Other);
    }
    Ok(Answer::Said(said))
}

fn vectors(body: &[u8]) -> Result<Answer, Unread> {
    let strange = |error: crate::error::Error| Unread::Strange(error.to_string());
    let body = String::from_utf8_lossy(body);
    let fields = Fields::body(&body).map_err(strange)?;
    if let Some(error) = fields.raw("error").and_then(failure::words) {
        return Err(Unread::Failed(error));
    }
    if !fields.has("data") {
        return Err(Unread::Strange("no \"data\" in the answer".into()));
    }
    let mut list = Vec::new();
    for (place, item) in fields.objects("data").map_err(strange)?.iter().enumerate() {
        let raw = item.raw("embedding");
        let vector = raw.and_then(vector).ok_or_else(|| {
            Unread::Strange(format!("data[{place}].embedding is neither numbers nor base64"))
        })?;
        let index = item.raw("index").and_then(|raw| raw.get().parse().ok()).unwrap_or(place);
        list.push((index, vector));
    }
    list.sort_by_key(|(index, _)| *index);
    let counts = fields.raw("usage").and_then(|raw| serde_json::from_str(raw.get()).ok());
    Ok(Answer::Vectors {
        vectors: list.into_iter().map(|(_, vector)| vector).collect(),
        usage: Usage { completion: None, ..counts.map(usage).unwrap_or_default() },
    })
}

fn vector(raw: &RawValue) -> Option<Vector> {
    if let Some(text) = json::text(raw) {
        return base64::decode_floats(&text).map(Vector::Floats);
    }
    serde_json::from_str::<Vec<f32>>(raw.get()).ok().map(|_| Vector::Written(raw.to_owned()))
}
