//! A unified AI gateway, Ollama first: one proxy of small tower services over a leaf that streams.
//!
//! ```text
//!   client
//!     │  log        exactly one row, whatever happens below
//!     │  name       which dialect, which operation; signs the answer
//!     │  head       can be read in one way
//!     │  access     host, origin, key
//!     │  edge       its body comes in time and finds room
//!     │  buffer     JSON bodies become whole, uploads keep streaming
//!     │  decode     compressed bodies become readable
//!     │  ask        which model, streamed or not
//!     │  heartbeat  signs of life while a stream is waited for
//!     │  cache      by what was asked
//!     │  rescue     from here up there are only responses
//!     │  route      where and which model, and why
//!     │  local      what the gateway answers itself
//!     │  retry      the same target again, then the next
//!     │  rewrite    address and model, by splice
//!     ▼  upstream   translates if it must, sends, peeks, streams
//! ```
//!
//! With `default-features = false` this is the judgement alone: what the traffic of language models means to each
//! layer of [`unigate_layers`], for other people's towers. The feature `gateway` adds the program.
//!
//! # Invariants
//! 1. No layer imports another layer. No file of `layers/` knows a language model.
//! 2. Above the rescue layer every service is `Infallible`.
//! 3. No response body is collected but an unstreamed one that must be translated, an error that must be, and the first
//!    event of a stream, each under a cap; no request body above the limit is held.
//! 4. When the client goes, the upstream request goes with it.
//! 5. No file of `dialect/` does I/O; outside it, `chat` and `models`, no file knows a field name of a wire format.
//! 6. `gateway` alone knows the order of the stack; `error` alone knows statuses; notes alone are shared between layers.
//! 7. Log and cache can fail entirely, and no client can tell.
//! 8. Untranslated bytes leave exactly as they came, except for a rewritten model.

pub mod access;
pub mod cache;
pub mod catalog;
pub mod chat;
pub mod config;
pub mod dialect;
pub mod error;
pub mod front;
pub mod heartbeat;
pub mod intent;
pub mod log;
pub mod memory;
pub mod models;
pub mod peer;
pub mod pick;
pub mod provider;
pub mod record;
pub mod retry;
pub mod route;
pub mod translate;
pub mod wire;

#[cfg(feature = "gateway")]
pub mod cli;
#[cfg(feature = "gateway")]
pub mod demo;
#[cfg(feature = "gateway")]
pub mod discovery;
#[cfg(feature = "gateway")]
pub mod edge;
#[cfg(feature = "gateway")]
pub mod gateway;
#[cfg(feature = "gateway")]
pub mod health;
#[cfg(feature = "gateway")]
pub mod listen;
#[cfg(feature = "gateway")]
pub mod local;
#[cfg(feature = "gateway")]
pub mod metrics;
#[cfg(feature = "gateway")]
pub mod readiness;
#[cfg(feature = "gateway")]
pub mod run;
#[cfg(feature = "gateway")]
pub mod upstream;
