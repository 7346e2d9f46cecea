//! The policy: what it remembers of a request's attempts, and when it stops.

use super::{Budget, Judge, NoRetry, Verdict};
use crate::body::Replay;
use crate::notes::{Attempt, Fallbacks, Served, Target};
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::Policy;

// An upstream that wants to be left alone for longer than this is passed over.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10);

/// A policy for [`tower::retry::Retry`]: the same target again, then each of the [`Fallbacks`].
#[derive(Clone)]
pub struct Fallback<J> {
    judge: J,
    rules: Rules,
    budget: Option<Arc<Budget>>,
    run: Run,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    tries_per_target: u32,
    base: Duration,
    cap: Duration,
    deadline: Duration,
    free_fallbacks: bool,
}

// What is known of the request at hand. `Retry` clones the policy for each request after the first
// `clone_request`, which is why that one begins the run.
#[derive(Clone, Default)]
struct Run {
    // Empty until the first attempt is over; only a request's own clone gets that far.
    attempts: Vec<Attempt>,
    started: Option<Instant>,
    sent: Option<Instant>,
    // Tries of the present target so far.
    tries: u32,
    // The first of the `Fallbacks` that was not tried.
    next: usize,
}

pin_project! {
    /// The pause before an attempt.
    #[derive(Debug)]
    pub struct Wait {
        #[pin]
        timer: Option<Sleep>,
    }
}

// === impl Fallback ===

impl<J> Fallback<J> {
    /// Retries as this judge says: two tries per target, backoff from 50 ms to 1 s with full jitter, no new attempt
    /// after 600 s, no budget.
    pub fn new(judge: J) -> Self {
        let rules = Rules {
            tries_per_target: 2,
            base: Duration::from_millis(50),
            cap: Duration::from_secs(1),
            deadline: Duration::from_secs(600),
            free_fallbacks: false,
        };
        Self { judge, rules, budget: None, run: Run::default() }
    }

    /// How often one target is tried before the next. Default 2; 0 means 1.
    #[must_use]
    pub fn tries_per_target(mut self, tries: u32) -> Self {
        self.rules.tries_per_target = tries.max(1);
        self
    }

    /// The longest wait before the first retry of a target, which doubles up to `cap`; the actual wait is
    /// random between nothing and that. Default 50 ms and 1 s.
    #[must_use]
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        (self.rules.base, self.rules.cap) = (base, cap);
        self
    }

    /// From the first attempt on, when to begin no other; a wait that would end later is not
    /// begun either. Attempts under way are not cut off. Default 600 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.rules.deadline = deadline;
        self
    }

    /// A limit that all requests share. Default: none.
    #[must_use]
    pub fn budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Whether going on to a target on another upstream costs the budget nothing. Default: it costs.
    ///
    /// With `true`, all requests for a dead upstream reach its fallback, however many there are; the budget then
    /// limits repetitions only.
    #[must_use]
    pub fn free_fallbacks(mut self, free: bool) -> Self {
        self.rules.free_fallbacks = free;
        self
    }

    // Whether there is to be another attempt, and after which wait. Writes the target into the request.
    fn again<B>(&mut self, request: &mut Request<B>, verdict: Verdict) -> Option<Duration> {
        if request.extensions().get::<NoRetry>().is_some() {
            return None;
        }
        let after = match verdict {
            Verdict::Done => return None,
            Verdict::Same { after } => {
                if self.run.tries < self.rules.tries_per_target {
                    let wait = after.unwrap_or_else(|| self.rules.jitter(self.run.tries));
                    let account = Target::of(request).map_or("", |now| &now.upstream);
                    // What is not affordable here may be free elsewhere.
                    if self.fits(wait) && self.pay(account) {
                        return Some(wait);
                    }
                }
                after
            }
            Verdict::Next { after } => after,
        };
        while let Some((wait, target)) = self.next(request, after) {
            if self.affords(request, &target) {
                self.run.tries = 0;
                request.extensions_mut().insert(target);
                return Some(wait);
            }
        }
        None
    }

    // Whether the budget lets this request go on to this target.
    fn affords<B>(&self, request: &Request<B>, target: &Target) -> bool {
        // Coming back to one that was asked before is a repetition, whoever was asked in between.
        let mut asked = self.run.attempts.iter().filter_map(|attempt| attempt.target.as_ref());
        if asked.any(|asked| asked.upstream == target.upstream) {
            return self.pay(&target.upstream);
        }
        let now = Target::of(request).map_or("", |now| &now.upstream);
        let affords = self.rules.free_fallbacks || self.pay(now);
        if affords {
            self.deposit(&target.upstream);
        }
        affords
    }

    // The next target that may be tried in time.
    fn next<B>(
        &mut self,
        request: &Request<B>,
        after: Option<Duration>,
    ) -> Option<(Duration, Target)> {
        let now = Target::of(request).map(|target| &target.upstream);
        loop {
            let target = Fallbacks::of(request).get(self.run.next)?;
            self.run.next += 1;
            let same = now == Some(&target.upstream);
            let wait = if same { after.unwrap_or_default() } else { Duration::ZERO };
            if self.fits(wait) {
                return Some((wait, target.clone()));
            }
        }
    }

    fn fits(&self, wait: Duration) -> bool {
        let passed = self.run.started.map_or(Duration::ZERO, |started| started.elapsed());
        wait <= MAX_RETRY_AFTER && passed.saturating_add(wait) < self.rules.deadline
    }

    fn pay(&self, account: &str) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.withdraw(account))
    }

    fn deposit(&self, account: &str) {
        if let Some(budget) = &self.budget {
            budget.deposit(account);
        }
    }
}

impl<B, R, E, J> Policy<Request<B>, Response<R>, E> for Fallback<J>
where
    B: Replay,
    J: Judge<R, E>,
{
    type Future = Wait;

    fn retry(
        &mut self,
        request: &mut Request<B>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Wait> {
        let attempt = Attempt {
            target: Target::of(request).cloned(),
            outcome: self.judge.outcome(result.as_ref()),
            elapsed: self.run.sent.map_or(Duration::ZERO, |sent| sent.elapsed()),
        };
        self.judge.attempted(request.extensions(), &attempt);
        self.run.attempts.push(attempt);
        self.run.tries += 1;
        let verdict = self.judge.judge(result.as_ref());
        if let Some(wait) = self.again(request, verdict) {
            return Some(Wait::of(wait));
        }
        if verdict != Verdict::Done {
            self.judge.exhausted(&self.run.attempts, result);
        }
        if let Ok(response) = result {
            let attempts = std::mem::take(&mut self.run.attempts).into();
            response.extensions_mut().insert(Served { attempts });
        }
        None
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        let now = Instant::now();
        if self.run.attempts.is_empty() {
            self.deposit(Target::of(request).map_or("", |target| &target.upstream));
            self.run = Run { started: Some(now), ..Run::default() };
        }
        self.run.sent = Some(now);
        let mut copy = Request::new(request.body().replay()?);
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
        Some(copy)
    }
}

impl<J: fmt::Debug> fmt::Debug for Fallback<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("judge", &self.judge)
            .field("rules", &self.rules)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

// === impl Rules ===

impl Rules {
    // Random up to a limit that doubles with every try.
    fn jitter(&self, tries: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        let limit = self.base.saturating_mul(doubled).min(self.cap);
        // Each `RandomState` has new keys, so hashing anything with it is a random number.
        let random = RandomState::new().hash_one(tries);
        limit.mul_f64(random as f64 / u64::MAX as f64)
    }
}

// === impl Wait ===

impl Wait {
    fn of(wait: Duration) -> Self {
        Self { timer: (!wait.is_zero()).then(|| sleep(wait)) }
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().timer.as_pin_mut() {
            Some(timer) => timer.poll(cx),
            None => Poll::Ready(()),
        }
    }
}
