//! The promises of the gateway, each a module: real listeners, real sockets, scripted upstreams.

mod architecture;
mod cache;
mod cli;
mod compose;
mod config;
mod errors;
mod fallback;
mod log;
mod passthrough;
mod route;
mod shutdown;
mod streaming;
mod support;
mod translate;
