//! Tower layers for HTTP proxies that stream: log, cache, route, rewrite, retry with fallback, rescue.

pub mod body;
#[cfg(feature = "buffer")]
pub mod buffer;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "log")]
pub mod log;
pub mod notes;
#[cfg(feature = "rescue")]
pub mod rescue;
#[cfg(feature = "retry")]
pub mod retry;
#[cfg(feature = "rewrite")]
pub mod rewrite;
#[cfg(feature = "route")]
pub mod route;
