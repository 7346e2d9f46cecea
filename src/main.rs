//! The program: arguments in, an exit status out.
//!
//! 0 after a graceful stop or a finished command, 3 when rows of the log were lost or wait in its spool, 64 for bad
//! arguments or configuration, 1 for everything that failed.

use clap::Parser;
use std::process::ExitCode;
use unigate::cli::Cli;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As in sysexits.h: the command was used incorrectly.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version arrive here too; if nobody reads them any more, that is no failure.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                eprintln!("{message}");
            }
            ExitCode::from(failure.status())
        }
    }
}
