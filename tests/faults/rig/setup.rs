//! What a gateway is started with: its configuration, its environment, and the secrets in it.

use super::chaosd::Chaosd;
use std::net::SocketAddr;
use toml::{Table, Value};

/// A secret that a row has given away, and where alone it may be seen.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub(crate) text: String,
    /// The upstream that may see it; `None`: nobody.
    pub(crate) upstream: Option<String>,
}

/// A configuration in the making.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) table: Table,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) canaries: Vec<Canary>,
    pub(crate) upstreams: Vec<(String, Chaosd)>,
    /// Whether the log is to keep prompts, so that they may be seen there.
    pub(crate) prompts: bool,
}

impl std::fmt::Debug for Chaosd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Chaosd").field(&self.addr).finish()
    }
}

impl Setup {
    /// No upstream yet, no cache, attempts without a pause.
    pub(crate) fn new() -> Self {
        let setup = Self {
            table: Table::new(),
            env: Vec::new(),
            canaries: Vec::new(),
            upstreams: Vec::new(),
            prompts: false,
        };
        setup.toml(
            "[server]\nlisten = \"127.0.0.1:0\"\n[cache]\nstore = \"off\"\n[retry]\nbackoff_ms = 1\n\
             [log]\nlevel = \"info,unigate=debug\"\n",
        )
    }

    /// One Ollama named `ollama`.
    pub(crate) fn ollama(chaosd: &Chaosd) -> Self {
        Self::new().upstream("ollama", "ollama", chaosd)
    }

    /// One more upstream, reached directly.
    pub(crate) fn upstream(self, name: &str, provider: &str, chaosd: &Chaosd) -> Self {
        let addr = chaosd.addr;
        self.through(name, provider, chaosd, addr)
    }

    /// One more upstream, reached at another address than its own: through a wedge.
    pub(crate) fn through(
        mut self,
        name: &str,
        provider: &str,
        chaosd: &Chaosd,
        addr: SocketAddr,
    ) -> Self {
        self.upstreams.push((name.to_owned(), chaosd.clone()));
        self.at(name, provider, addr)
    }

    /// One more upstream at an address where nobody of ours is.
    pub(crate) fn at(self, name: &str, provider: &str, addr: SocketAddr) -> Self {
        let version = if provider == "ollama" { "" } else { "/v1" };
        self.toml(&format!(
            "[upstream.{name}]\nprovider = \"{provider}\"\nurl = \"http://{addr}{version}\"\n"
        ))
    }

    /// More configuration; what is there already is replaced key by key.
    pub(crate) fn toml(mut self, text: &str) -> Self {
        merge(&mut self.table, text.parse().unwrap());
        self.prompts = self.table["log"].get("prompts") == Some(&Value::Boolean(true));
        self
    }

    /// One more key that clients may present.
    pub(crate) fn key(mut self, key: &str) -> Self {
        let name = format!("FAULTS_KEY_{}", self.env.len());
        self.env.push((name.clone(), key.to_owned()));
        self.canaries.push(Canary { text: key.to_owned(), upstream: None });
        let server = self.table["server"].as_table_mut().unwrap();
        let keys = server.entry("keys").or_insert_with(|| Value::Array(Vec::new()));
        keys.as_array_mut().unwrap().push(Value::String(format!("env:{name}")));
        self
    }

    /// The credential of an upstream.
    pub(crate) fn credential(mut self, upstream: &str, key: &str) -> Self {
        let name = format!("FAULTS_KEY_{}", self.env.len());
        self.env.push((name.clone(), key.to_owned()));
        self.canaries.push(Canary { text: key.to_owned(), upstream: Some(upstream.to_owned()) });
        self.toml(&format!("[upstream.{upstream}]\nkey = \"env:{name}\"\n"))
    }

    /// A text that must be seen nowhere.
    pub(crate) fn canary(mut self, text: &str) -> Self {
        self.canaries.push(Canary { text: text.to_owned(), upstream: None });
        self
    }

    /// A variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        self.table.to_string()
    }
}

fn merge(into: &mut Table, from: Table) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}
