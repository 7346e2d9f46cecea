//! Rows C: what clients do.
