//! The fault matrix: what breaks around a gateway, and what must happen instead. A row of it is one or more tests
//! whose names begin with its id; `tests/faults/run` shows them all, `docs/faults.md` says what they promise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod client;
mod client_leaves;
mod client_queued;
mod matrix;
mod operation;
mod operation_sleep;
mod redis;
mod rig;
mod store;
mod streams_apart;
mod upstream;
mod upstream_bytes;
mod upstream_cuts;
mod upstream_health;
mod upstream_limits;
mod upstream_loads;
mod upstream_retry;
mod upstream_splits;
mod upstream_tls;
