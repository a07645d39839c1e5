//! The keeper: findings, delivery marks and commands in; one transaction out. The one writer of the state.

use std::sync::Arc;

/// What comes back to the keeper: everything that can wake it besides the analyzers' batches.
#[derive(Debug)]
pub enum Inbox {
    /// A courier tells what became of deliveries of its alerter.
    Marks { alerter: Arc<str>, marks: Vec<Mark> },
    /// A courier's way is blocked, or free again (`None`).
    Blocked { alerter: Arc<str>, reason: Option<String> },
}

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub seq: i64,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// Failed for now; it stays queued. `parked`: behind the others, after 8 tries.
    Failed {
        tries: u32,
        parked: bool,
        error: String,
    },
    /// Never to be retried by itself; kept and listed.
    Dead {
        tries: u32,
        error: String,
    },
}
