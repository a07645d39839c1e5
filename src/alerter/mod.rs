//! Alerters: what brings an alert to people and systems. Each has its own courier thread and its own outbox.
//!
//! An alerter answers one question of its courier: delivered, or [`SendError`]. Order, retries, back-off, parking and
//! durability are the courier's and the keeper's.

pub mod webhook;

use crate::record::Level;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One alerter of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: Arc<str>,
    pub min_severity: Level,
    pub send: Send,
    pub send_resolved: bool,
    pub filter: Filter,
    pub outbox_max_bytes: u64,
    pub when_full: WhenFull,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// By fingerprint: first occurrence at once, then counted.
    Grouped,
    /// Every record as it comes.
    Each,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    Compact,
    DropOldest,
    /// Stop reading; only with [`Send::Each`].
    Block,
}

/// Which alerts an alerter hears of; empty: all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub sources: Vec<String>,
    pub rules: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub detectors: Vec<crate::analyzer::AnalyzerKind>,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Console { format: TextFormat },
    File { path: PathBuf, format: TextFormat },
    Webhook(Box<webhook::Settings>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    Text,
    Json,
    /// The record's own text (file only).
    Raw,
}
