//! The promises of the gateway, each a module: real listeners, real sockets, scripted upstreams.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod anthropic;
mod architecture;
mod bad_input;
mod cache;
mod choices;
mod cli;
mod compose;
mod config;
mod decode;
mod errors;
mod fallback;
mod forced;
mod images;
mod log;
mod metrics;
mod passthrough;
mod providers;
mod responses;
mod route;
mod shutdown;
mod streaming;
mod strict;
mod support;
mod tls;
mod translate;
mod waiting;
