//! `unigate demo`: the real gateway with built-in upstreams, and what it does.

use super::{Failure, logs, serve::runtime};
use crate::demo;
use std::io::{Write, stdout};

pub(super) fn run() -> Result<(), Failure> {
    let mut out = stdout();
    let log = runtime()?.block_on(demo::run(&mut out)).map_err(Failure::Failed)?;
    writeln!(out, "\n6. What the log says of it: one row a request")?;
    logs::run(&logs::Logs::newest(20), &log, &mut out)?;
    writeln!(out, "\nThe rows stay for a while: unigate logs --db {}", log.display())?;
    Ok(out.flush()?)
}
