//! Several answers to one request, each made on its own, as the one answer that the client asked for.

use super::{
    replay::Object,
    say::{self, Counts},
};
use crate::dialect::{
    Operation, Reply, Usage,
    json::{self, Fields},
};
use bytes::Bytes;

/// Whole answers, each with one choice, as one. `None` where one of them is none, or there is none at all.
pub fn together(answers: &[Bytes], usage: Usage) -> Option<Bytes> {
    let mut choices = Vec::with_capacity(answers.len());
    let mut all = Object::default();
    for (place, answer) in answers.iter().enumerate() {
        let fields = Fields::body(std::str::from_utf8(answer).ok()?).ok()?;
        choices.extend(fields.list("choices").ok()?.into_iter().map(ToOwned::to_owned));
        for (name, value) in fields.iter().filter(|_| place == 0) {
            all.put(name, value)?;
        }
    }
    all.put("choices", choices)?;
    all.put("usage", Counts::from(usage))?;
    (!answers.is_empty()).then(|| json::bytes(&all))
}

/// The end of a stream of several choices: the tokens of them all where they were asked for, and the terminal.
pub fn tail(operation: Operation, reply: &Reply, usage: Usage) -> Bytes {
    say::tail(operation, &Reply { choice: None, ..reply.clone() }, usage)
}

/// The tokens of one more choice. The prompt is the same for all, and counts once.
// Source: OpenAI's API reference, chat completions, `n`: "charged based on the number of generated tokens across all".
pub fn add(usage: &mut Usage, more: Usage) {
    let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    // An Ollama counts no tokens of a prompt that it still has in mind.
    usage.prompt = usage.prompt.max(more.prompt);
    usage.completion = sum(usage.completion, more.completion);
    usage.reasoning = sum(usage.reasoning, more.reasoning);
    usage.cached = usage.cached.or(more.cached);
    usage.written = usage.written.or(more.written);
}
