//! Fuzzes `answer_responses`; see the library.
#![cfg_attr(fuzzing, no_main)]

unigate_fuzz::target!("answer_responses");
