//! `unigate serve`: runs the gateway until it is told to stop.

use super::{Failure, messages};
use crate::config::Loaded;

pub(super) fn run(loaded: Loaded) -> Result<(), Failure> {
    messages::start(&loaded.config.log)?;
    for note in &loaded.notes {
        tracing::warn!(%note, "configuration");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(loaded)).map_err(Failure::Failed)
}

/// Builds the gateway, listens, and returns after a graceful stop.
async fn serve(_loaded: Loaded) -> Result<(), String> {
    Err("the gateway is not built in yet".to_owned())
}
