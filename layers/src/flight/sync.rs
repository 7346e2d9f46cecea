//! The lock of the board; the model exchanges it for one that tries every order.

pub(super) use std::sync::{Mutex, MutexGuard};
