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
    match runtime.block_on(run::run(loaded)) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Failure::Incomplete),
        Err(error @ StartError::Config(_)) => Err(Failure::Usage(error.to_string())),
        Err(error @ StartError::Bind { .. }) => Err(Failure::Failed(error.to_string())),
    }
}

/// The runtime that everything with a socket runs on.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))
}
