//! Rows R: the cache's store in any state.
