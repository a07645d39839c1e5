//! (metrics: to be written)
