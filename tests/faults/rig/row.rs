//! One row of the matrix: upstreams, a gateway before them, a client, and what must be true at the end.

use super::{
    ledger::{Entry, Ledger, Open},
    program::Program,
    setup::Setup,
    verdict::{self, Breaches},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A row under way. Ends with [`Row::check`].
pub(crate) struct Row {
    pub(crate) program: Program,
    pub(crate) ledger: Ledger,
    pub(crate) setup: Setup,
    id: &'static str,
    /// Open descriptors when it had just started.
    fds: usize,
    attempts: usize,
    waived: Vec<&'static str>,
    figures: Vec<String>,
    key: Option<String>,
}

/// Sends requests to a gateway, for a test that sends many at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    ledger: Ledger,
    addr: SocketAddr,
    bearer: Option<String>,
}

impl Asker {
    /// As [`Row::ask`].
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Entry {
        self.open(path, body).await.finish().await
    }

    /// As [`Row::open`].
    pub(crate) async fn open(&self, path: &str, body: &Value) -> Open {
        let bearer = self.bearer.iter().map(|value| ("authorization", value.as_str()));
        self.ledger.open(self.addr, path, &bearer.collect::<Vec<_>>(), body).await
    }

    /// As [`Row::get`].
    pub(crate) async fn get(&self, path: &str) -> Entry {
        let bearer = self.bearer.iter().map(|value| ("authorization", value.as_str()));
        self.ledger.get(self.addr, path, &bearer.collect::<Vec<_>>()).await
    }
}

impl Row {
    /// Starts a gateway. Until [`Row::check`] has been passed, the row has failed.
    pub(crate) async fn start(id: &'static str, setup: Setup) -> Self {
        verdict::note(id, false, "did not get to its end");
        let program = Program::start(&setup).await;
        let key = setup.canaries.iter().find(|canary| canary.upstream.is_none());
        let key = key
            .map(|canary| canary.text.clone())
            .filter(|_| setup.table["server"].get("keys").is_some());
        let mut row = Self {
            program,
            ledger: Ledger::default(),
            setup,
            id,
            fds: 0,
            // What the configuration allows each request at each upstream.
            attempts: 2,
            waived: Vec::new(),
            figures: Vec::new(),
            key,
        };
        row.get("/health").await;
        // It has looked at its upstreams once; from here on nothing new may stay open.
        row.settled().await;
        row.fds = row.program.fds().saturating_sub(row.idle());
        row
    }

    /// How many calls each request may cause, over all upstreams. Default 2.
    pub(crate) fn attempts(mut self, most: usize) -> Self {
        self.attempts = most;
        self
    }

    /// Leaves one of the invariants out, `"I1"` to `"I8"`: the row itself shows what stands in for it, and says why here.
    pub(crate) fn waive(mut self, invariant: &'static str, why: &str) -> Self {
        assert!(!why.is_empty());
        self.waived.push(invariant);
        self
    }

    /// A number for the table.
    pub(crate) fn figure(&mut self, figure: impl Into<String>) {
        self.figures.push(figure.into());
    }

    /// The client of this row, as it is now: after a restart the address is another.
    pub(crate) fn asker(&self) -> Asker {
        let bearer = self.key.as_ref().map(|key| format!("Bearer {key}"));
        Asker { ledger: self.ledger.clone(), addr: self.program.addr, bearer }
    }

    /// Sends JSON and waits for the end. Presents the first key of the setup, if there is one.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Entry {
        self.asker().ask(path, body).await
    }

    /// Sends JSON and does not wait.
    pub(crate) async fn open(&self, path: &str, body: &Value) -> Open {
        self.asker().open(path, body).await
    }

    /// `GET`.
    pub(crate) async fn get(&self, path: &str) -> Entry {
        self.asker().get(path).await
    }

    /// Sends these bytes, which are one request, and does not wait.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Open {
        self.ledger.raw(self.program.addr, bytes).await
    }

    /// The text of `/metrics`; empty while there is none.
    pub(crate) async fn metrics(&self) -> String {
        let entry = self.get("/metrics").await;
        if entry.status == 200 { entry.text() } else { String::new() }
    }

    fn idle(&self) -> usize {
        self.setup.upstreams.iter().map(|(_, chaosd)| chaosd.idle()).sum()
    }

    async fn settled(&self) {
        let begun = Instant::now();
        let mut seen = (0, Instant::now());
        while seen.1.elapsed() < Duration::from_millis(40)
            && begun.elapsed() < Duration::from_secs(2)
        {
            let fds = self.program.fds();
            if fds != seen.0 {
                seen = (fds, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The eight invariants; writes the verdict and fails with what is broken.
    ///
    /// Stops the gateway, if it still runs.
    pub(crate) async fn check(mut self) {
        let mut breaches = Breaches::new(&self.waived);
        if !self.program.is_over() {
            // I6: alive, and quick to say so. Much more time than that where the machine is shared.
            let health = self.get("/health").await;
            breaches.expect(
                "I6",
                health.status == 200 && health.took < Duration::from_secs(2),
                || format!("/health: {} after {:?}", health.status, health.took),
            );
            // I5: nothing stays open that was not there before, but for connections that are kept for the next request.
            let begun = Instant::now();
            let most = |row: &Self| row.fds + row.idle() + 2;
            while self.program.fds() > most(&self) && begun.elapsed() < Duration::from_secs(5) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            breaches.expect("I5", self.program.fds() <= most(&self), || {
                format!("{} descriptors, {} at the start", self.program.fds(), self.fds)
            });
            let code = self.program.stop().await;
            breaches.expect("I6", code == Some(0), || format!("it ended with {code:?}"));
        }
        let said = self.program.said();
        breaches.expect("I6", !said.contains("panicked"), || format!("a panic:\n{said}"));
        verdict::check(
            &mut breaches,
            &self.program,
            &self.ledger.entries(),
            &self.setup,
            self.attempts,
        );
        let figure = self.figures.join("; ");
        let broken = breaches.text();
        verdict::note(
            self.id,
            broken.is_empty(),
            if broken.is_empty() { &figure } else { &broken },
        );
        assert!(broken.is_empty(), "{}: {broken}\n--- it said:\n{said}", self.id);
    }
}
