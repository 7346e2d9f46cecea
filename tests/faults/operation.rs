//! Rows O: how it is run.

mod clock;
mod memory;
mod messages;
mod panics;
mod reload;
mod restart;
mod start;
