//! The command line: which commands there are, and what each takes.

mod check;
mod database;
mod demo;
mod dump;
mod failure;
mod follow;
mod format;
mod init;
mod logs;
mod messages;
mod route;
mod serve;
mod settings;
mod show;
mod since;
mod stats;
mod table;

pub use self::failure::Failure;

use self::settings::Settings;
use clap::{Parser, Subcommand};
use std::io::{BufWriter, Write, stdout};

const EXAMPLES: &str = "\
Examples:
  unigate                                  start, with whatever Ollama is found here
  unigate demo                             see it work, with nothing installed
  unigate route \"sort a list in Python\"    which model would answer, and why
  unigate logs -f                          watch the requests go by
  unigate init && unigate check            write a config.toml, and see what it comes to

Clients:
  OpenAI SDK   OPENAI_BASE_URL=http://127.0.0.1:11435/v1
  Ollama       OLLAMA_HOST=127.0.0.1:11435
  Claude Code  ANTHROPIC_BASE_URL=http://127.0.0.1:11435";

/// A unified AI gateway, Ollama first: one address in front of Ollama, OpenAI and whatever speaks like them.
#[derive(Debug, Parser)]
#[command(
    name = "unigate",
    version,
    about,
    long_about = None,
    after_help = EXAMPLES,
    disable_help_subcommand = true,
    subcommand_help_heading = "Commands (serve, when none is given)",
    subcommand_value_name = "COMMAND"
)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until it is told to stop
    Serve(Settings),
    /// Show the gateway at work, with built-in upstreams; ends by itself
    Demo,
    /// Check the configuration and show what would run
    Check(Settings),
    /// Write a config.toml with every key and its default
    Init(init::Init),
    /// Look at the configuration
    #[command(subcommand, subcommand_value_name = "COMMAND", disable_help_subcommand = true)]
    Config(ConfigCommand),
    /// Show which model would answer a prompt, without sending it
    Route(route::Route),
    /// List the requests that were answered, the newest last
    Logs(logs::Logs),
    /// Add up the requests: errors, cache hits, tokens, times
    Stats(stats::Stats),
    /// Show everything that is known of one request
    Show(show::Show),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the effective configuration as TOML; secrets as their references only
    Dump(Settings),
}

impl Cli {
    /// Does what was asked. Returns when it is done; `serve`, when it was told to stop.
    ///
    /// # Errors
    /// What went wrong, with the exit status that belongs to it.
    pub fn run(self) -> Result<(), Failure> {
        let mut out = BufWriter::new(stdout());
        let first = self.settings;
        let done = match self.command {
            None => serve::run(first.load()?),
            Some(Command::Serve(more)) => serve::run(first.and(more).load()?),
            Some(Command::Demo) => demo::run(),
            Some(Command::Check(more)) => check::run(&first.and(more).load()?, &mut out),
            Some(Command::Init(init)) => init::run(&init, &mut out),
            Some(Command::Config(ConfigCommand::Dump(more))) => {
                dump::run(&first.and(more).load()?, &mut out)
            }
            Some(Command::Route(ask)) => {
                let loaded = first.and(ask.settings.clone()).load()?;
                route::run(&loaded, &ask, &mut out)
            }
            Some(Command::Logs(logs)) => logs::run(&logs, &first.log_file(&logs.place)?, &mut out),
            Some(Command::Stats(stats)) => {
                stats::run(&stats, &first.log_file(&stats.place)?, &mut out)
            }
            Some(Command::Show(show)) => show::run(&show, &first.log_file(&show.place)?, &mut out),
        };
        match done.and_then(|()| Ok(out.flush()?)) {
            Err(Failure::Closed) => {
                // What is still in the buffer has no reader, and trying again on drop would only fail again.
                drop(out.into_parts());
                Ok(())
            }
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_are_taken_before_and_after_the_command() {
        let cli = Cli::try_parse_from(["unigate", "--no-log", "check", "--listen", "[::1]:1"]);
        let cli = cli.unwrap();
        let Some(Command::Check(more)) = cli.command else { panic!("{cli:?}") };
        let flags = cli.settings.and(more).flags();
        let expected = [("server.listen", "[::1]:1"), ("log.enabled", "false")];
        assert_eq!(flags, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_bare_address_of_ollama_is_read_as_ollama_reads_it() {
        let cli = Cli::try_parse_from(["unigate", "--ollama", "gpu.lan"]).unwrap();
        assert_eq!(cli.settings.flags()[0].1, "http://gpu.lan:11434");
    }
}
