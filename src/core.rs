//! The pure core: records, what analyzers find in them, and what is said about it. No I/O, no clock, no threads, no failure.
//!
//! A crate of its own, since it is what must be fast: it is compiled for speed, while all that stands on it (`lib.rs`, in
//! the same folder) is compiled to be small. And it cannot name what stands on it. `lib.rs` hands these modules on, so
//! that `crate::record` means the same everywhere.

/// The part of the collector that is pure: where lines end.
pub mod collector {
    pub mod lines;
}

pub mod record;

pub mod alert;
pub mod analyzer;

#[cfg(test)]
mod sample;
