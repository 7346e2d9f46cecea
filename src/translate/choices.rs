//! Several answers to one request, where the upstream gives one at a time.

use super::Pair;
use crate::{
    chat::{self, Number},
    dialect::{Reply, Usage, openai::choices},
};
use bytes::Bytes;

impl Pair {
    /// The request for one of several answers: its seed counted up, so that equal seeds give equal lists of answers
    /// that differ from each other. `choice` counts from 0.
    pub fn choice(request: &chat::Request, choice: usize) -> chat::Request {
        let mut request = request.clone();
        let later = |seed: &Number| {
            let seed = seed.as_raw().get().parse::<i64>().ok()?;
            Number::literal(&seed.checked_add(i64::try_from(choice).ok()?)?.to_string())
        };
        if let Some(seed) = request.sampling.seed.as_ref().and_then(later) {
            request.sampling.seed = Some(seed);
        }
        // A negative seed is a random one. Source: ollama api/types.go DefaultOptions.
        for (_, raw) in request.native.options.iter_mut().filter(|(name, _)| name == "seed") {
            let seed = Number::new(raw).filter(|seed| seed.value() >= 0.0);
            if let Some(seed) = seed.as_ref().and_then(later) {
                *raw = seed.as_raw().to_owned();
            }
        }
        request
    }

    /// Whole answers of the client's dialect, each with one choice, as one. `None` where one of them is none.
    pub fn together(&self, answers: &[Bytes], usage: Usage) -> Option<Bytes> {
        choices::together(answers, usage)
    }

    /// What ends a stream of several choices when all of them have ended.
    pub fn tail(&self, reply: &Reply, usage: Usage) -> Bytes {
        choices::tail(self.operation, reply, usage)
    }

    /// Adds the tokens of one more choice.
    pub fn add(usage: &mut Usage, more: Usage) {
        choices::add(usage, more);
    }
}
