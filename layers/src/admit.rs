//! Lets so many in at a time, keeps a bounded number waiting, fairly and for a while, and says of the rest when to come again.
//!
//! A [`Gate`] stands before something that can do only so much at once. Whoever comes is a guest of a *group* (what it
//! wants) and of a *client* (who it is). There is a limit over all, and one for each group; clients that wait take turns,
//! so that one with a hundred guests does not keep out one with a single guest. A [`Place`] is given back when its last clone is
//! dropped: whoever puts it into a response body holds it until that body is gone.
//!
//! Groups may be *rivals*: having both in at once, or one after the other in quick succession, is expensive behind the
//! gate. A guest then waits while a rival group is in and for a moment after, and once it has waited for
//! [`Limits::turn`] no further guest of that rival goes in before it. Without rivals nobody waits for anybody but for a place.
//!
//! ```
//! use std::time::Duration;
//! use unigate_layers::admit::{Gate, Limits};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let gate = Gate::new(Limits { places: 1, queue: 0, ..Limits::default() });
//! let place = gate.enter("pictures".into(), 1).await.unwrap();
//! let full = gate.enter("pictures".into(), 2).await.unwrap_err();
//! assert_eq!(full.places, 1);
//! drop(place);
//! assert!(gate.enter("pictures".into(), 2).await.is_ok());
//! # }
//! ```

mod door;
#[cfg(test)]
mod model;
mod state;
mod sync;
#[cfg(test)]
mod tests;

use self::door::{Came, Door, Inside, Ticket};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// What a gate allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Guests inside at a time. Default 0: no limit.
    pub places: usize,
    /// Guests of one group inside at a time. Default 0: no limit.
    pub per_group: usize,
    /// Guests that wait at a time; one more is sent away at once. Default 64; 0: nobody waits.
    pub queue: usize,
    /// How long one guest waits at most. Default 60 s.
    pub wait: Duration,
    /// How long one guest waits for a rival group before no further guest of that one goes in. Default 30 s.
    pub turn: Duration,
}

/// A gate. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Gate {
    door: Arc<Door>,
}

/// A place inside, until its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Place {
    _inside: Arc<Inside>,
    position: usize,
    waited: Duration,
}

/// Nobody can be let in, nor wait any longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full {
    /// Places of the gate; 0: it has no such limit, and the guest waited for a rival group or its own group's limit.
    pub places: usize,
    /// Guests that wait at this moment.
    pub queued: usize,
    /// Which place in the queue this one had when it came, from 1; 0: there was no room to wait.
    pub position: usize,
    /// How long this one has waited; zero when there was no room to wait.
    pub waited: Duration,
    /// When there is likely to be a place, judged by how long places were held so far: a second at least, ten minutes
    /// at most.
    pub after: Duration,
}

/// The future of [`Gate::enter`]. Dropping it gives up its place in the queue at once.
#[derive(Debug)]
pub struct Enter {
    stage: Stage,
}

/// Something is made ready for a group, for which its guests wait longer than [`Limits::wait`]; until dropped.
#[derive(Debug)]
pub struct Preparing {
    door: Arc<Door>,
    group: Arc<str>,
}

#[derive(Debug)]
enum Stage {
    Here(Option<Result<Place, Full>>),
    Waiting(Box<Waiting>),
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    position: usize,
    since: Instant,
    // When it gives up.
    ends: Instant,
    sleep: Pin<Box<Sleep>>,
}

// How soon a guest looks again whether what is made ready for its group is ready.
const LOOK: Duration = Duration::from_secs(1);

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            places: 0,
            per_group: 0,
            queue: 64,
            wait: Duration::from_secs(60),
            turn: Duration::from_secs(30),
        }
    }
}

// === impl Gate ===

impl Gate {
    /// A gate with nobody inside.
    pub fn new(limits: Limits) -> Self {
        Self { door: Arc::new(Door::new(limits)) }
    }

    /// Waits for a place as a guest of this group and this client.
    ///
    /// # Errors
    /// [`Full`], at once when too many wait already, or after [`Limits::wait`].
    pub fn enter(&self, group: Arc<str>, client: u64) -> Enter {
        let now = Instant::now();
        let stage = match self.door.come(group, client, now) {
            Came::In(inside) => Stage::Here(Some(Ok(Place::of(inside, 0, Duration::ZERO)))),
            Came::Full => Stage::Here(Some(Err(self.door.full(0, Duration::ZERO)))),
            Came::Waits(ticket, position) => {
                let ends = now + self.door.limits().wait;
                let sleep = Box::pin(sleep_until(ends));
                Stage::Waiting(Box::new(Waiting { ticket, position, since: now, ends, sleep }))
            }
        };
        Enter { stage }
    }

    /// A place, if there is one now and nobody waits for it.
    pub fn try_enter(&self, group: &Arc<str>) -> Option<Place> {
        let inside = self.door.try_come(group, Instant::now())?;
        Some(Place::of(inside, 0, Duration::ZERO))
    }

    /// These two groups are rivals from now on, until a [`Gate::reconcile`] has them both. At most 256 pairs are
    /// remembered; beyond that all are forgotten and learnt anew.
    pub fn part(&self, one: &Arc<str>, other: &Arc<str>) {
        self.door.part(one, other);
    }

    /// These groups go together: none of them is a rival of another.
    pub fn reconcile(&self, groups: &[Arc<str>]) {
        self.door.reconcile(groups, Instant::now());
    }

    /// The rivals of this group.
    pub fn rivals(&self, group: &Arc<str>) -> Vec<Arc<str>> {
        self.door.rivals(group)
    }

    /// Something is made ready for this group: its guests wait for as long as that takes.
    #[must_use]
    pub fn prepare(&self, group: &Arc<str>) -> Preparing {
        self.door.prepare(group, true);
        Preparing { door: self.door.clone(), group: group.clone() }
    }

    /// Guests inside, and guests that wait.
    pub fn count(&self) -> (usize, usize) {
        self.door.count()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inside, waiting) = self.count();
        f.debug_struct("Gate").field("inside", &inside).field("waiting", &waiting).finish()
    }
}

// === impl Place ===

impl Place {
    fn of(inside: Inside, position: usize, waited: Duration) -> Self {
        Self { _inside: Arc::new(inside), position, waited }
    }

    /// Which place in the queue the guest had when it came, from 1; 0: it did not wait.
    pub fn position(&self) -> usize {
        self.position
    }

    /// How long the guest has waited.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

// === impl Enter ===

impl Enter {
    /// Which place in the queue the guest had when it came, from 1; `None`: it does not wait.
    pub fn position(&self) -> Option<usize> {
        match &self.stage {
            Stage::Here(_) => None,
            Stage::Waiting(waiting) => Some(waiting.position),
        }
    }
}

impl Future for Enter {
    type Output = Result<Place, Full>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waiting = match &mut self.stage {
            Stage::Here(outcome) => {
                return outcome.take().map_or(Poll::Pending, Poll::Ready); // Polled after its end.
            }
            Stage::Waiting(waiting) => waiting,
        };
        let result = loop {
            let now = Instant::now();
            let waited = now - waiting.since;
            if let Poll::Ready(inside) = waiting.ticket.poll(cx, now) {
                break Ok(Place::of(inside, waiting.position, waited));
            }
            if now >= waiting.ends {
                if !waiting.ticket.is_prepared() {
                    let full = waiting.ticket.door().full(waiting.position, waited);
                    break Err(full);
                }
                waiting.ends = now + LOOK;
            }
            let next = waiting.ticket.next_event(now);
            waiting.sleep.as_mut().reset(next.map_or(waiting.ends, |next| next.min(waiting.ends)));
            if waiting.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        };
        // The ticket goes now, not when the future does.
        self.stage = Stage::Here(None);
        Poll::Ready(result)
    }
}

// === impl Preparing ===

impl Drop for Preparing {
    fn drop(&mut self) {
        self.door.prepare(&self.group, false);
    }
}
