//! x
pub mod intent;
pub mod pick;
