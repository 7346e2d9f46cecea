//! `unigate demo`: the real gateway with built-in upstreams, and what it does.

use super::Failure;
use std::io::Write;

pub(super) fn run(_out: &mut impl Write) -> Result<(), Failure> {
    Err(Failure::Failed("the demonstration is not built in yet".to_owned()))
}
