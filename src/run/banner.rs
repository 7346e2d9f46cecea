//! What a person sees when the gateway starts at a terminal.

use crate::{
    catalog::{Catalog, State},
    config::Loaded,
    discovery::Discovery,
    gateway::Resources,
};
use std::{fmt::Write, time::Duration};

/// The first screen: upstreams, models, cache, log, and what to set in which client.
#[derive(Clone, Debug)]
pub struct Banner {
    head: String,
    upstreams: Vec<(String, String)>,
    home: String,
    tail: String,
}

/// How long the banner waits for upstreams to say what they have.
const PATIENCE: Duration = Duration::from_millis(600);

impl Banner {
    /// What is known before anyone was asked.
    pub fn new(loaded: &Loaded, addr: &str, resources: &Resources) -> Self {
        let config = &loaded.config;
        let file = loaded.file.as_ref();
        let file = file.map_or("none (defaults)".into(), |file| file.display().to_string());
        let log = match (&resources.log, &config.log.path) {
            (Some(_), Some(path)) => path.display().to_string(),
            _ => "off".into(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let head = format!("unigate {version}   config: {file}   log: {log}\n");
        let cache = match (&resources.store, config.cache.store.as_str()) {
            (None, _) => "off".into(),
            (Some(_), "redis") => format!("redis, {} s", config.cache.ttl_s),
            (Some(_), _) => {
                let mib = config.cache.max_bytes >> 20;
                format!("memory, {mib} MiB, {} s (set REDIS_URL to share it)", config.cache.ttl_s)
            }
        };
        let tail = format!(
            "  cache     {cache}\n\n  \
             OpenAI SDK   export OPENAI_BASE_URL=http://{addr}/v1  OPENAI_API_KEY=local\n  \
             Ollama       export OLLAMA_HOST={addr}\n  \
             Claude Code  export ANTHROPIC_BASE_URL=http://{addr}  ANTHROPIC_AUTH_TOKEN=local\n  \
             Ctrl-C to stop\n"
        );
        let upstreams = config.upstream.iter().map(|(name, upstream)| {
            let at = crate::upstream::Address::of(name, upstream);
            let at = at.map_or_else(|why| why, |at| at.to_string());
            (name.clone(), at)
        });
        Self {
            head,
            upstreams: upstreams.collect(),
            home: config.default_upstream().unwrap_or_default().to_owned(),
            tail,
        }
    }

    /// Prints the screen on stderr, once the upstreams have answered or a moment has passed.
    pub async fn show(self, discovery: Discovery) {
        let catalog = tokio::time::timeout(PATIENCE, discovery.refresh()).await.unwrap_or_default();
        eprintln!("{}", self.screen(&catalog));
    }

    /// The screen for what is known.
    pub fn screen(&self, catalog: &Catalog) -> String {
        let mut screen = format!("{}\n", self.head);
        for (at, (name, url)) in self.upstreams.iter().enumerate() {
            let label = if at == 0 { "upstream" } else { "" };
            let listing = catalog.upstreams.get(name.as_str());
            let state = match listing.map(|listing| (&listing.state, listing.models.len())) {
                Some((State::Up { version: Some(version) }, models)) => {
                    format!("v{version}   {}", count(models))
                }
                Some((State::Up { version: None }, models)) => count(models),
                Some((State::Down(_), _)) => "does not answer".into(),
                Some((State::Unknown, _)) | None => "no answer so far".into(),
            };
            let _ = writeln!(screen, "  {label:<8}  {name:<8} {url}   {state}");
        }
        match &catalog.picks {
            Some(picks) => {
                let rows = [
                    ("auto  ->", "coder", &picks.coder, "code in the prompt"),
                    ("", "small", &picks.small, "short prompts"),
                    ("", "default", &picks.default, "everything else"),
                ];
                for (label, role, model, what) in rows {
                    let _ = writeln!(screen, "  {label:<8}  {role:<8} {model:<24} {what}");
                }
            }
            None => self.advise(catalog, &mut screen),
        }
        screen.push_str(&self.tail);
        screen
    }

    fn advise(&self, catalog: &Catalog, screen: &mut String) {
        let advice = match catalog.upstreams.get(self.home.as_str()).map(|l| &l.state) {
            Some(State::Down(why)) if self.home == "ollama" => format!(
                "No Ollama {why}. Start it with \"ollama serve\", or install it from \
                 https://ollama.com/download;\n  I will keep looking every 5 s. Requests get 503 until then."
            ),
            Some(State::Up { .. }) if self.home == "ollama" => {
                "Ollama is running but has no models. Try: ollama pull llama3.2".into()
            }
            _ => "auto has no model yet; set models.default, or wait for the upstream.".into(),
        };
        let _ = writeln!(screen, "\n  {advice}\n");
    }
}

fn count(models: usize) -> String {
    if models == 1 { "1 model".into() } else { format!("{models} models") }
}
