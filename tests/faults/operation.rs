//! Rows O: how it is run.

mod memory;
mod start;
