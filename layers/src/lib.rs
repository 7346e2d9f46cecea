//! Tower layers for HTTP proxies that stream: log, cache, route, rewrite, retry with fallback, rescue.

pub mod body;
#[cfg(feature = "buffer")]
pub mod buffer;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "memory")]
pub mod memory;
pub mod notes;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "rescue")]
pub mod rescue;
#[cfg(feature = "retry")]
pub mod retry;
#[cfg(feature = "rewrite")]
pub mod rewrite;
#[cfg(feature = "route")]
pub mod route;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(test)]
mod testing;
