//! Flags that are stronger than the file and the environment.

use super::Failure;
use crate::config::{Config, Loaded, Sources, ollama_url};
use clap::{ArgAction, Args};
use std::path::PathBuf;

/// What can be said about a run on the command line.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings (stronger than the file and the environment)")]
pub(super) struct Settings {
    /// Configuration file [default: ./config.toml, ~/.config/unigate/config.toml, /etc/unigate/config.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:11435]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where Ollama is [default: http://127.0.0.1:11434]
    #[arg(long, value_name = "URL")]
    ollama: Option<String>,
    /// Keep the cache in this Redis
    #[arg(long, value_name = "URL", conflicts_with = "no_cache")]
    redis: Option<String>,
    /// The request log [default: ~/.local/share/unigate/requests.db]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Log no requests
    #[arg(long)]
    no_log: bool,
    /// Keep no answers
    #[arg(long)]
    no_cache: bool,
    /// How messages are written to stderr
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
    /// Say more; twice or three times, still more
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

/// Where the request log is, for the commands that read it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Where")]
pub(super) struct Where {
    /// Configuration file that names the request log
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The request log itself [default: ~/.local/share/unigate/requests.db]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
}

impl Settings {
    /// These, and stronger ones.
    pub(super) fn and(self, more: Self) -> Self {
        Self {
            config: more.config.or(self.config),
            listen: more.listen.or(self.listen),
            ollama: more.ollama.or(self.ollama),
            redis: more.redis.or(self.redis),
            db: more.db.or(self.db),
            no_log: more.no_log || self.no_log,
            no_cache: more.no_cache || self.no_cache,
            log_format: more.log_format.or(self.log_format),
            verbose: more.verbose.saturating_add(self.verbose),
        }
    }

    /// As keys of the configuration and their values.
    pub(super) fn flags(&self) -> Vec<(String, String)> {
        let level = match self.verbose {
            0 => None,
            1 => Some("info,unigate=debug".to_owned()),
            2 => Some("debug".to_owned()),
            _ => Some("trace".to_owned()),
        };
        let store = match (self.no_cache, &self.redis) {
            (true, _) => Some("off".to_owned()),
            (false, Some(_)) => Some("redis".to_owned()),
            (false, None) => None,
        };
        let all = [
            ("server.listen", self.listen.clone()),
            ("upstream.ollama.url", self.ollama.as_deref().map(ollama_url)),
            ("cache.redis", self.redis.clone()),
            ("cache.store", store),
            ("log.path", self.db.as_ref().map(|path| path.display().to_string())),
            ("log.enabled", self.no_log.then(|| "false".to_owned())),
            ("log.format", self.log_format.clone()),
            ("log.level", level),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    /// The configuration that these, the environment and the file come to.
    pub(super) fn load(self) -> Result<Loaded, Failure> {
        let flags = self.flags();
        Ok(Config::load(Sources { path: self.config, flags, ..Sources::from_process() })?)
    }

    /// The request log's file. A file that is named needs no configuration to be found.
    pub(super) fn log_file(self, place: &Where) -> Result<PathBuf, Failure> {
        let here = Self { config: place.config.clone(), db: place.db.clone(), ..Self::default() };
        let all = self.and(here);
        match all.db.clone() {
            Some(path) => Ok(path),
            None => Ok(all.load()?.config.log.path.unwrap_or_default()),
        }
    }
}
