//! `unigate serve`: runs the gateway until it is told to stop.

use super::{Failure, messages};
use crate::{
    config::Loaded,
    metrics::Metrics,
    run::{self, StartError},
};
use tokio::runtime::{Builder, Runtime};

pub(super) fn run(loaded: Loaded) -> Result<(), Failure> {
    let failure = |error: StartError| match error {
        StartError::Config(_) => Failure::Usage(error.to_string()),
        StartError::Bind { .. } => Failure::Failed(error.to_string()),
    };
    // Before there is a second thread.
    let listener = run::inherited().map_err(failure)?;
    let messages = messages::start(&loaded.config.log)?;
    let metrics = Metrics::new();
    messages.report(&metrics);
    let runtime = runtime()?;
    let ended = runtime.block_on(run::run(loaded, listener, metrics));
    messages.finish();
    match ended.map_err(failure)? {
        None => Ok(()),
        Some(_) => Err(Failure::Incomplete),
    }
}

/// The runtime that everything with a socket runs on.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))
}
