//! Rows O: how it is run.
