//! exception-log-collector: follows log files, finds what is exceptional in them, and tells people and systems
//! about it: once, reliably, with what they need to act.
//!
//! ```text
//!  Chunk ─────► Record ─────► Finding ─────► Alert ─────► Delivery
//!  collector    record        analyzer       keeper       alerter
//! ```
//!
//! The modules below stand in reading order. `record`, `analyzer` and `alert` are the pure core: no I/O, no clock, no
//! threads, no failure; [`scan`] and [`run`] drive the same core. `docs/ARCHITECTURE.md` tells the rest.

pub use elc_core::{alert, analyzer, record};

pub mod collector;

pub mod alerter;
pub mod state;

pub mod command;
pub mod control;
pub mod judge;
pub mod keeper;
pub mod metrics;
pub mod own_log;
pub mod status_page;

pub mod config;

pub mod ask;
pub mod check;
pub mod cli;
pub mod explain;
pub mod init;
pub mod model;
pub mod run;
pub mod scan;
pub mod status;
pub mod upkeep;

#[cfg(test)]
mod sample;
