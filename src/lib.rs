//! x
pub mod intent;
