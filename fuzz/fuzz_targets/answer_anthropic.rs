//! Fuzzes `answer_anthropic`; see the library.
#![cfg_attr(fuzzing, no_main)]

unigate_fuzz::target!("answer_anthropic");
