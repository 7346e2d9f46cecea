//! A listener that somebody else has opened and keeps, so that a restart refuses nobody: `LISTEN_FDS`.
//!
//! What connects while no process listens waits in the socket's own queue for the next one. Source: sd_listen_fds(3).

use super::StartError;
use crate::config::{Config, Loaded};
use std::net::TcpListener;

/// The first listener in `LISTEN_FDS`, if `LISTEN_PID` is this process or is not set. Both variables are taken out of the
/// environment: call it before there is a second thread.
///
/// # Errors
/// If what is there is no TCP socket.
pub fn inherited() -> Result<Option<TcpListener>, StartError> {
    let taken = listenfd::ListenFd::from_env().take_tcp_listener(0);
    let taken = taken.and_then(|listener| {
        // The runtime wants it so.
        listener.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        Ok(listener)
    });
    taken.map_err(|source| StartError::Bind { listen: "what LISTEN_FDS names".into(), source })
}

/// The configuration of a gateway that listens there: who may come in depends on where it listens, wherever it was
/// configured to.
pub(super) fn at(listener: &TcpListener, loaded: Loaded) -> Result<Loaded, StartError> {
    let addr = listener.local_addr();
    let addr = addr.map_err(|source| StartError::Bind { listen: "LISTEN_FDS".into(), source })?;
    let mut sources = loaded.sources;
    // Stronger than all else, also when it is read again.
    sources.flags.push(("server.listen".into(), addr.to_string()));
    Config::load(sources).map_err(|error| StartError::Config(error.problems().to_vec()))
}
