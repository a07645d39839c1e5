//! (control: to be written)
