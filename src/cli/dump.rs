//! `unigate config dump`: the effective configuration.

use super::Failure;
use crate::config::Loaded;
use std::io::Write;

pub(super) fn run(loaded: &Loaded, out: &mut impl Write) -> Result<(), Failure> {
    Ok(out.write_all(loaded.config.dump().as_bytes())?)
}
