//! Fuzzes `key`; see the library.
#![cfg_attr(fuzzing, no_main)]

unigate_fuzz::target!("key");
