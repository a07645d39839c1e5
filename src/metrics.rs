//! Every counter of the process, in one struct of atomics: written where things happen, read by `status`.

use crate::record::Level;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows, or is set.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub struct Source {
    pub read_bytes: Counter,
    pub records: Counter,
    pub exceptional: Counter,
    pub ignored: Counter,
    pub unparsed_lines: Counter,
    pub replaced_bytes: Counter,
    /// Records with an unknown mask for which a chunk had no room.
    pub unweighed: Counter,
    /// How often lines may have been lost that nobody could see.
    pub possible_losses: Counter,
}

#[derive(Debug, Default)]
pub struct Alerter {
    pub delivered: Counter,
    pub failed: Counter,
    pub dead: Counter,
    /// Shed because its outbox was full.
    pub shed: Counter,
}

/// Why an alert was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppressed {
    Silence,
    /// Above `max_per_minute` or `max_per_hour`.
    Rate,
    /// Within a maintenance window.
    Quiet,
}

impl Suppressed {
    pub const ALL: [Suppressed; 3] = [Suppressed::Silence, Suppressed::Rate, Suppressed::Quiet];

    pub const fn as_str(self) -> &'static str {
        match self {
            Suppressed::Silence => "silence",
            Suppressed::Rate => "rate",
            Suppressed::Quiet => "quiet",
        }
    }
}

#[derive(Debug, Default)]
pub struct Metrics {
    pub sources: BTreeMap<Arc<str>, Source>,
    pub alerters: BTreeMap<Arc<str>, Alerter>,
    /// Alerts said, by severity.
    alerts: [Counter; Level::ALL.len()],
    suppressed: [Counter; Suppressed::ALL.len()],
    pub commits: Counter,
}

impl Metrics {
    pub fn new<'a>(sources: impl Iterator<Item = &'a Arc<str>>, alerters: impl Iterator<Item = &'a Arc<str>>) -> Self {
        Self {
            sources: sources.map(|name| (name.clone(), Source::default())).collect(),
            alerters: alerters.map(|name| (name.clone(), Alerter::default())).collect(),
            ..Self::default()
        }
    }

    pub fn suppressed(&self, reason: Suppressed) -> &Counter {
        &self.suppressed[reason as usize]
    }

    pub fn alerts(&self, severity: Level) -> &Counter {
        &self.alerts[severity as usize]
    }
}
