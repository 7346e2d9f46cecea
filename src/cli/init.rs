//! `unigate init`: writes the reference configuration.

use super::Failure;
use clap::Args;
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::PathBuf,
};

/// Every key, its default and its unit.
const REFERENCE: &str = include_str!("../../config.toml");

/// Where to write.
#[derive(Args, Debug)]
pub(super) struct Init {
    /// The file, or a directory to put config.toml into; "-" for stdout
    #[arg(default_value = "config.toml")]
    path: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(init: &Init, out: &mut impl Write) -> Result<(), Failure> {
    if init.path.as_os_str() == "-" {
        return Ok(out.write_all(REFERENCE.as_bytes())?);
    }
    let path = if init.path.is_dir() { init.path.join("config.toml") } else { init.path.clone() };
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::Failed(format!("{shown} is there already; replace it with --force"))
        }
        _ => Failure::Failed(format!("cannot write {shown}: {error}")),
    };
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    // Creating and looking whether it is there are one step, so that nobody's file is lost in between.
    if init.force {
        options.write(true).create(true).truncate(true);
    } else {
        options.write(true).create_new(true);
    }
    options
        .open(&path)
        .and_then(|mut file| file.write_all(REFERENCE.as_bytes()))
        .map_err(failed)?;
    writeln!(
        out,
        "wrote {shown}; every key in it has its default, so delete what you leave alone"
    )?;
    Ok(())
}
