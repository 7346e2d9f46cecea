//! `unigate route`: which model would answer, without asking it.

use super::{Failure, settings::Settings};
use crate::config::Loaded;
use clap::Args;
use std::{io::Write, path::PathBuf};

/// What to decide about.
#[derive(Args, Clone, Debug)]
pub(super) struct Route {
    /// The prompt
    #[arg(required_unless_present = "file")]
    pub(super) prompt: Option<String>,
    /// The model asked for
    #[arg(long, default_value = "auto")]
    pub(super) model: String,
    /// A request body in JSON, OpenAI's or Ollama's, in place of a prompt
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub(super) file: Option<PathBuf>,
    /// Show every rule, and why it matched or did not
    #[arg(long)]
    pub(super) explain: bool,
    /// As one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
}

pub(super) fn run(_loaded: &Loaded, _ask: &Route, _out: &mut impl Write) -> Result<(), Failure> {
    Err(Failure::Failed("the router is not built in yet".to_owned()))
}
