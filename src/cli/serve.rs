//! `unigate serve`: runs the gateway until it is told to stop.

use super::{Failure, messages};
use crate::{
    config::Loaded,
    run::{self, StartError},
};
use tokio::runtime::{Builder, Runtime};

pub(super) fn run(loaded: Loaded) -> Result<(), Failure> {
    messages::start(&loaded.config.log)?;
    let runtime = runtime()?;
    runtime.block_on(run::run(loaded)).map_err(|error| match error {
        StartError::Config(_) => Failure::Usage(error.to_string()),
        StartError::Bind { .. } => Failure::Failed(error.to_string()),
    })
}

/// The runtime that everything with a socket runs on.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))
}
