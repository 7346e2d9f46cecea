//! Rows S: the log keeps its word.
