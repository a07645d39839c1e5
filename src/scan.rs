//! (scan: to be written)
