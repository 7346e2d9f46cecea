//! Tower layers for HTTP proxies that stream: log, cache, route, rewrite, retry with fallback, rescue.
//!
//! Each layer works on any `Service<Request<B>, Response = Response<R>>` (under hyper, over hyper's client,
//! in `axum::Router::layer`, in a `tower::ServiceBuilder`), keeps that service's error type, and works
//! alone. Response bodies are never collected: whatever a layer wants to know of them it learns while they pass.
//!
//! | feature | what | |
//! | --- | --- | --- |
//! | `buffer` | request bodies become whole, so that they may be read and sent again | [`buffer`] |
//! | `log` | shows each exchange to a recorder and says exactly once how it ended | [`log`] |
//! | `sqlite` | a log in an SQLite file | [`sqlite`] |
//! | `cache` | answers from a store; fills it while the answer passes | [`cache`] |
//! | `memory` | a store in this process | [`memory`] |
//! | `redis` | a store in Redis that fails open | [`redis`] |
//! | `route` | decides where a request goes | [`route`] |
//! | `rewrite` | applies that decision: address, and the bytes of one JSON field | [`rewrite`] |
//! | `breaker` | stops asking who fails, and asks now and then whether that is over | [`breaker`] |
//! | `retry` | the same target again, then the next: a policy for `tower::retry` | [`retry`] |
//! | `rescue` | errors become responses | [`rescue`] |
//! | `heartbeat` | signs of life for a client that waits for a stream | [`heartbeat`] |
//! | `admit` | a gate with places, a fair queue and turns, for whoever calls something slow | [`admit`] |
//! | `flight` | one piece of work for all who want the same | [`flight`] |
//! | `full` | all of them | |
//!
//! Nothing is on by default. Layers do not know each other; what one has to tell another it pins to
//! the request or the response as a [note](notes).
//!
//! A proxy that logs, caches, and goes on to a second upstream when the first fails:
//!
//! ```
//! # #[cfg(feature = "full")] {
//! use http::{Request, Response};
//! use unigate_layers::buffer::BufferLayer;
//! use unigate_layers::cache::CacheLayer;
//! use unigate_layers::log::LogLayer;
//! use unigate_layers::rescue::{RescueLayer, answer};
//! use unigate_layers::rewrite::RewriteLayer;
//! use unigate_layers::route::{RouteLayer, sync};
//! # use unigate_layers::{cache, log, retry};
//! # fn stack<S, B>(
//! #     recorder: impl log::Recorder<B> + Clone,
//! #     store: impl cache::Store,
//! #     policy: impl cache::Policy<unigate_layers::body::Buffered<B>> + Clone + Send + 'static,
//! #     choose: impl Fn(Request<unigate_layers::body::Buffered<B>>)
//! #         -> Request<unigate_layers::body::Buffered<B>> + Clone + Send + 'static,
//! #     judge: impl retry::Judge<String, std::io::Error> + Send + 'static,
//! #     client: S,
//! # ) where
//! #     B: http_body::Body<Data = bytes::Bytes, Error = std::io::Error> + Send + Sync + Unpin + 'static,
//! #     S: tower_service::Service<Request<unigate_layers::body::Buffered<B>>,
//! #         Response = Response<String>, Error = std::io::Error> + Clone + Send + 'static,
//! #     S::Future: Send,
//! # {
//! # let say_502 = |error: std::io::Error| {
//! #     let body = bytes::Bytes::from(error.to_string());
//! #     Response::builder().status(502).body(body).unwrap_or_default()
//! # };
//!
//! let service = tower::ServiceBuilder::new()
//!     .layer(LogLayer::new(recorder))
//!     .layer(BufferLayer::new(1 << 20))
//!     .layer(CacheLayer::new(store, policy))
//!     .layer(RescueLayer::new(answer(say_502)))
//!     .layer(RouteLayer::new(sync(choose)))
//!     .layer(tower::retry::RetryLayer::new(retry::Fallback::new(judge)))
//!     .layer(RewriteLayer::new())
//!     .service(client);
//! # }
//! # }
//! ```

#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "admit")]
pub mod admit;
pub mod body;
#[cfg(feature = "breaker")]
pub mod breaker;
#[cfg(feature = "buffer")]
pub mod buffer;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "flight")]
pub mod flight;
#[cfg(feature = "heartbeat")]
pub mod heartbeat;
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
