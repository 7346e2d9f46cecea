//! `unigate demo`: the real gateway with built-in upstreams, and what it does.

use super::{Failure, serve::runtime};
use crate::demo;
use std::io::{Write, stdout};

pub(super) fn run() -> Result<(), Failure> {
    // Line by line, since someone is watching.
    let log = runtime()?.block_on(demo::run(stdout())).map_err(Failure::Failed)?;
    Ok(writeln!(stdout(), "\nThe rows stay for a while: unigate logs --db {}", log.display())?)
}
