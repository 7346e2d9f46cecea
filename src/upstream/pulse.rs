//! Whether a local upstream is there, asked beside its traffic: what tells a model that loads from a server that froze.
//!
//! Nothing is asked while nobody waits. One question at a time for each upstream, however many wait, each on a
//! connection of its own: those of the traffic may be what is broken.

use super::{
    Address,
    body::reason,
    connect::{self, Http},
};
use crate::provider::Provider;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri, header::USER_AGENT, uri::Scheme};
use http_body_util::Empty;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Asks one upstream whether it is there. Cheap to clone; all clones share the questions.
#[derive(Clone)]
pub(super) struct Pulse {
    asker: Arc<Asker>,
    /// `None` where an answer to the question says nothing about the rest of the server.
    watched: Option<Arc<Watched>>,
}

struct Asker {
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    http: Http<Empty<Bytes>>,
    at: Address,
    /// What to do when nobody is there: the end of a sentence, or nothing.
    advice: &'static str,
}

struct Watched {
    waiting: Mutex<Waiting>,
    /// How often it was found dead.
    deaths: watch::Sender<u64>,
}

#[derive(Default)]
struct Waiting {
    count: usize,
    /// Whether somebody asks on behalf of them all.
    asking: bool,
}

/// One that waits; no more, once dropped.
struct Waits(Arc<Watched>);

/// How long a request waits before anybody asks, and the pause between two questions that were answered.
const EVERY: Duration = Duration::from_secs(2);

/// How long an answer may take, and the time from one question without an answer to the next.
const DEADLINE: Duration = Duration::from_millis(900);

/// So many questions in a row without an answer, and it is dead: 4.7 s after it froze, at the latest.
const MISSES: u32 = 3;

/// When this much too late, the clock says more of us than of the upstream.
const LATE: Duration = Duration::from_millis(300);

// === impl Pulse ===

impl Pulse {
    /// Of an upstream at this address, which takes this credential.
    pub(super) fn new(
        provider: &Provider,
        address: &Address,
        key: Option<&(HeaderName, HeaderValue)>,
    ) -> Option<Self> {
        // Answered without a look at any model. Source: ollama server/routes.go, the handler of /api/version.
        let watched = provider.dialect.name() == "ollama";
        let path = if watched { "/api/version" } else { "/v1/models" };
        let mut headers: Vec<_> = key.cloned().into_iter().collect();
        for (name, value) in provider.headers {
            headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        }
        headers.push((USER_AGENT, HeaderValue::from_static("unigate")));
        let asker = Asker {
            url: address.url(path).parse().ok()?,
            headers,
            http: connect::once(DEADLINE, address.scheme == Scheme::HTTPS),
            at: address.clone(),
            advice: provider.advice(),
        };
        let watched = watched.then(|| {
            Arc::new(Watched { waiting: Mutex::default(), deaths: watch::Sender::new(0) })
        });
        Some(Self { asker: Arc::new(asker), watched })
    }

    /// Whether a wait for the first byte may last as long as the upstream is alive.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// One question.
    ///
    /// # Errors
    /// Why there was no answer, in a sentence behind the upstream's name.
    pub(super) async fn ask(&self) -> Result<(), String> {
        let asker = &self.asker;
        asker.ask().await.map_err(|why| format!("at {} ({why}){}", asker.at, asker.advice))
    }

    /// Returns when the upstream has been found dead, for one that waits since then; never, where that cannot be told.
    pub(super) async fn stops(&self, since: std::time::Instant) {
        let Some(watched) = &self.watched else { return std::future::pending().await };
        sleep(EVERY.saturating_sub(since.elapsed())).await;
        let mut deaths = watched.deaths.subscribe();
        let _waits = self.wait(watched);
        // The sender is in `watched`, which is held: this cannot fail.
        let _ = deaths.changed().await;
    }

    fn wait(&self, watched: &Arc<Watched>) -> Waits {
        let mut waiting = watched.waiting();
        waiting.count += 1;
        if !waiting.asking {
            waiting.asking = true;
            tokio::spawn(watched.clone().watch(self.asker.clone()));
        }
        Waits(watched.clone())
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("url", &self.asker.url).finish_non_exhaustive()
    }
}

// === impl Asker ===

impl Asker {
    async fn ask(&self) -> Result<(), String> {
        let mut request = Request::get(self.url.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value.clone());
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        match timeout(DEADLINE, self.http.request(request)).await {
            Err(_) => Err(format!("no answer within {} ms", DEADLINE.as_millis())),
            Ok(Err(error)) => Err(reason(&error)),
            // Somebody on the way says that there is nobody. Any other answer is an answer.
            Ok(Ok(response)) if matches!(response.status().as_u16(), 502 | 504) => {
                Err(format!("status {}", response.status().as_u16()))
            }
            Ok(Ok(_)) => Ok(()),
        }
    }
}

// === impl Watched ===

impl Watched {
    /// Asks until nobody waits any more.
    async fn watch(self: Arc<Self>, asker: Arc<Asker>) {
        let mut misses = 0;
        while self.somebody_waits() {
            let asked = Instant::now();
            let answer = asker.ask().await;
            let pause = match answer {
                Ok(()) => {
                    misses = 0;
                    EVERY
                }
                // It was us who did not run: on a machine that sleeps or starves, nothing was learnt.
                Err(_) if asked.elapsed() > DEADLINE + LATE => DEADLINE,
                Err(_) => {
                    misses += 1;
                    DEADLINE
                }
            };
            if misses >= MISSES {
                misses = 0;
                self.deaths.send_modify(|deaths| *deaths += 1);
            }
            sleep_until(asked + pause).await;
        }
    }

    fn somebody_waits(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.asking = waiting.count > 0;
        waiting.asking
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting().count -= 1;
    }
}
