//! The same target again, then the next one: a policy for [`tower::retry::Retry`].

mod budget;
mod fallback;

pub use budget::Budget;
pub use fallback::{Fallback, Wait};

use crate::notes::Attempt;
use http::{Extensions, Response};
use std::sync::Arc;
use std::time::Duration;

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// This is the answer, be it good or bad.
    Done,
    /// The same target again while it has tries left, then the next one.
    Same {
        /// How long the upstream asked to be left alone (`retry-after`). `None`: the policy's backoff.
        after: Option<Duration>,
    },
    /// This target will not do: the next one.
    Next {
        /// How long the upstream asked to be left alone. It is obeyed before a target on the *same*
        /// upstream; a target on another one is tried at once.
        after: Option<Duration>,
    },
}

/// Judges how an attempt went.
pub trait Judge<R, E>: Clone {
    /// What to do now.
    fn judge(&self, result: Result<&Response<R>, &E>) -> Verdict;

    /// The attempt's outcome in a few words, for [`Attempt::outcome`].
    fn outcome(&self, result: Result<&Response<R>, &E>) -> Arc<str>;

    /// An attempt was made. Called for each, as soon as it is over and before any wait: a log sees
    /// them here even if the client leaves. `extensions` are the request's.
    fn attempted(&self, extensions: &Extensions, attempt: &Attempt) {
        let _ = (extensions, attempt);
    }

    /// The last attempt failed and there will be no other. May exchange the result, for example
    /// for one that names the attempts. Default: leaves it as it is.
    fn exhausted(&self, attempts: &[Attempt], result: &mut Result<Response<R>, E>) {
        let _ = (attempts, result);
    }
}

/// A note on a request that must not be sent twice: it gets one attempt.
///
/// A request extension, written by whoever knows. Absent: the request may be tried again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NoRetry;

#[cfg(test)]
mod tests;
