//! Rows A: who may come in, and what must never get out.
