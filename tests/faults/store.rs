//! Rows S: the log keeps its word.

mod crash;
mod disk;
mod file;
mod full;
mod kept;
mod load;
mod stop;
