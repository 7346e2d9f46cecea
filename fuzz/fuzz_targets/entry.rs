//! Fuzzes `entry`; see the library.
#![cfg_attr(fuzzing, no_main)]

unigate_fuzz::target!("entry");
