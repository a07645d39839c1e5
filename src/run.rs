//! (run: to be written)
