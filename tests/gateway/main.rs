//! The promises of the gateway, each a module: real listeners, real sockets, scripted upstreams.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod anthropic;
mod architecture;
mod cache;
mod cli;
mod compose;
mod config;
mod errors;
mod fallback;
mod log;
mod passthrough;
mod responses;
mod route;
mod shutdown;
mod streaming;
mod support;
mod tls;
mod translate;
