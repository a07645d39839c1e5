//! (keeper: to be written)
