//! `unigate config dump`: the effective configuration, and the providers that it can name.

use super::Failure;
use crate::{config::Loaded, provider::Provider};
use std::io::Write;

pub(super) fn run(loaded: &Loaded, out: &mut impl Write) -> Result<(), Failure> {
    out.write_all(loaded.config.dump().as_bytes())?;
    writeln!(out, "\n# Providers, where they live, and what each does differently:")?;
    for [name, url, differences] in Provider::table() {
        writeln!(out, "{}", format!("# {name:<18} {url:<55} {differences}").trim_end())?;
    }
    Ok(())
}
