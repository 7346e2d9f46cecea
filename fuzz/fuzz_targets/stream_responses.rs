//! Fuzzes `stream_responses`; see the library.
#![cfg_attr(fuzzing, no_main)]

unigate_fuzz::target!("stream_responses");
