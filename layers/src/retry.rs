//! The same target again, then the next one: a policy for [`tower::retry::Retry`].
//!
//! [`Fallback`] sends a request again to its [`Target`](crate::notes::Target), then to each of its
//! [`Fallbacks`](crate::notes::Fallbacks), as a [`Judge`] says, within a deadline and a [`Budget`]. Only until
//! there is a response: once its head went up, a body that breaks off is not repeated. The request's body must be a
//! [`Replay`](crate::body::Replay); one that is still streaming is sent once, and the policy does not hear of
//! it (no [`Served`](crate::notes::Served) note). Each attempt costs a copy of the head; the body is shared.
//!
//! Alone:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::Empty;
//! use std::sync::Arc;
//! use tower::{Layer, ServiceExt, retry::RetryLayer, service_fn};
//! use unigate_layers::notes::Served;
//! use unigate_layers::retry::{Fallback, Judge, Verdict};
//!
//! #[derive(Clone)]
//! struct Again;
//!
//! impl<R> Judge<R, std::io::Error> for Again {
//!     fn judge(&self, result: Result<&Response<R>, &std::io::Error>) -> Verdict {
//!         match result {
//!             Ok(response) if !response.status().is_server_error() => Verdict::Done,
//!             _ => Verdict::Same { after: None },
//!         }
//!     }
//!
//!     fn outcome(&self, result: Result<&Response<R>, &std::io::Error>) -> Arc<str> {
//!         result.map_or("error".into(), |response| response.status().as_str().into())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let service = service_fn(|_: Request<Empty<bytes::Bytes>>| async {
//!     Ok::<_, std::io::Error>(Response::builder().status(503).body(()).unwrap())
//! });
//! let service = RetryLayer::new(Fallback::new(Again)).layer(service);
//! let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
//! assert_eq!(Served::of(&response).unwrap().attempts.len(), 2);
//! # }
//! ```
//!
//! In a stack, with a budget that all requests share:
//!
//! ```
//! # #[cfg(feature = "rewrite")] {
//! use std::sync::Arc;
//! use std::time::Duration;
//! use unigate_layers::retry::{Budget, Fallback};
//! use unigate_layers::rewrite::RewriteLayer;
//! # let (judge, client) = ((), ());
//!
//! let budget = Arc::new(Budget::new(20, 10, Duration::from_secs(10)));
//! let policy = Fallback::new(judge).tries_per_target(3).deadline(Duration::from_secs(60)).budget(budget);
//! let stack = tower::ServiceBuilder::new()
//!     .layer(tower::retry::RetryLayer::new(policy))
//!     .layer(RewriteLayer::new())
//!     .service(client);
//! # }
//! ```

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
