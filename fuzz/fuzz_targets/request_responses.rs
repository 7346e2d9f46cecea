//! Fuzzes `request_responses`; see the library.
#![cfg_attr(fuzzing, no_main)]

unigate_fuzz::target!("request_responses");
