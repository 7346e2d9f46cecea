//! A unified AI gateway, Ollama first.

pub mod chat;
pub mod dialect;
pub mod error;
pub mod translate;
pub mod wire;
