//! A scripted upstream, a gateway before it, and a client.

mod client;
mod upstream;

pub(crate) use client::{Answer, Client};
pub(crate) use upstream::{Script, Seen, Step, Upstream};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::{net::SocketAddr, path::PathBuf};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use unigate::{
    config::{self, Config, Loaded, SecretRef, Sources},
    run::{self, StartError},
};

/// A gateway on a free port, with a log of its own. Stopped by [`Gateway::stop`].
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    pub(crate) db: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), StartError>>,
    _folder: TempDir,
}

impl Gateway {
    /// Starts, and waits until it has looked at what its upstreams have.
    pub(crate) async fn start(config: Config) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), config).await
    }

    /// The same, on a listener whose address had to be known before.
    pub(crate) async fn on(listener: TcpListener, mut config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = config.log.path.clone().unwrap_or_else(|| folder.path().join("requests.db"));
        config.log.path = Some(db.clone());
        let key = config.server.keys.first().map(|key| key.read().unwrap());
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let loaded = Loaded { config, file: None, notes: vec![], sources: Sources::default() };
        let shutdown = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(run::serve(listener, loaded, shutdown, std::future::pending()));
        let gateway = Self { addr, db, stop: Some(stop), served, _folder: folder };
        let client = match key {
            Some(key) => gateway.client().with("x-api-key", key.expose()),
            None => gateway.client(),
        };
        client.get("/v1/models").await;
        gateway
    }

    /// In front of one scripted Ollama.
    pub(crate) async fn before(upstream: &Upstream) -> Self {
        Self::start(config(&[("ollama", "ollama", upstream)])).await
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(self.addr)
    }

    /// Begins to stop, without waiting.
    pub(crate) fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits until it has stopped; somebody must have told it to.
    pub(crate) async fn stopped(self) {
        self.served.await.unwrap().unwrap();
    }

    /// Stops, and returns the rows of the log in their order, without those of the start.
    pub(crate) async fn stop(mut self) -> Vec<Value> {
        self.begin_stop();
        self.served.await.unwrap().unwrap();
        let db = Connection::open_with_flags(&self.db, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut statement = db.prepare("SELECT * FROM request_logs ORDER BY rowid").unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let rows = statement.query_map([], |row| {
            let cell = |at: usize| {
                row.get_ref(at).map(|cell| match cell {
                    rusqlite::types::ValueRef::Integer(number) => number.into(),
                    rusqlite::types::ValueRef::Text(text) => {
                        String::from_utf8_lossy(text).into_owned().into()
                    }
                    _ => Value::Null,
                })
            };
            names.iter().enumerate().map(|(at, name)| Ok((name.clone(), cell(at)?))).collect()
        });
        let rows: Vec<Value> = rows
            .unwrap()
            .map(|row: Result<serde_json::Map<_, _>, _>| row.unwrap().into())
            .collect();
        rows.into_iter().filter(|row| row["path"] != "/v1/models").collect()
    }
}

/// A reference to a secret in a file of this folder.
pub(crate) fn secret(folder: &TempDir, name: &str, text: &str) -> SecretRef {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    SecretRef::file(path)
}

/// A configuration of these upstreams: name, provider, where.
pub(crate) fn config(upstreams: &[(&str, &str, &Upstream)]) -> Config {
    let mut config = Config::default();
    config.upstream.clear();
    for (name, provider, upstream) in upstreams {
        let version = if *provider == "ollama" { "" } else { "/v1" };
        let upstream = config::Upstream {
            provider: (*provider).to_owned(),
            url: Some(format!("http://{}{version}", upstream.addr)),
            ..config::Upstream::default()
        };
        config.upstream.insert((*name).to_owned(), upstream);
    }
    config.retry.backoff_ms = 1;
    config
}
