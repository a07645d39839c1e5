//! The service: build everything fallible, spawn, wait for signals and exits, drain.

pub mod worker;
