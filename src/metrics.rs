//! Every counter of the process, in one struct of atomics: written where things happen, read by `status` and `/metrics`.
//!
//! What is counted per source or alerter comes and goes with the configuration ([`Metrics::follow`]); a stage asks once
//! for its part and keeps it. Names and labels of what is shown are made where it is shown.

mod ai;
mod history;
mod speed;

pub use ai::{AI_SECONDS, Ai};
pub use history::{History, Minute};
pub use speed::Speed;

use crate::alert::Status;
use crate::analyzer::AnalyzerKind;
use crate::record::Level;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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

/// One counter for each level, and one for records that name none.
#[derive(Debug, Default)]
pub struct ByLevel([Counter; Level::ALL.len() + 1]);

impl ByLevel {
    pub fn of(&self, level: Option<Level>) -> &Counter {
        &self.0[level.map_or(Level::ALL.len(), |level| level as usize)]
    }

    pub fn sum(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }
}

#[derive(Debug, Default)]
pub struct Source {
    pub read_bytes: Counter,
    pub speed: Speed,
    pub read_lines: Counter,
    pub records: ByLevel,
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
    /// Seconds since 1970; 0: none yet.
    pub last_delivery: Counter,
}

/// Why an alert was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppressed {
    /// A pattern of `ignore`: it is no finding at all.
    Ignore,
    Silence,
    /// Above `max_per_minute` or `max_per_hour`.
    Rate,
    /// Within a maintenance window.
    Quiet,
    /// While its alerter could not be reached: told in one digest afterwards.
    Outage,
}

impl Suppressed {
    pub const ALL: [Suppressed; 5] = [
        Suppressed::Ignore,
        Suppressed::Silence,
        Suppressed::Rate,
        Suppressed::Quiet,
        Suppressed::Outage,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Suppressed::Ignore => "ignore",
            Suppressed::Silence => "silence",
            Suppressed::Rate => "rate",
            Suppressed::Quiet => "quiet",
            Suppressed::Outage => "outage",
        }
    }
}

type Named<T> = RwLock<BTreeMap<Arc<str>, Arc<T>>>;

#[derive(Debug, Default)]
pub struct Metrics {
    sources: Named<Source>,
    alerters: Named<Alerter>,
    /// Opinions of the analyzers, by kind and severity.
    findings: [ByLevel; ANALYZERS.len()],
    /// Messages said, by status and severity.
    alerts: [ByLevel; STATUSES.len()],
    /// Held back, by reason.
    suppressed: [Counter; Suppressed::ALL.len()],
    pub commits: Counter,
    /// Reloads that are through, whatever came of them.
    pub reloads: Counter,
    /// The last reload found the new configuration invalid: the old one runs.
    pub reload_failed: AtomicBool,
    /// The keeper takes nothing from the analyzers, on purpose: an outbox blocks, or the disk is full.
    pub reading_blocked: AtomicBool,
    /// Threads that did not answer the last ping, by name.
    stuck: Mutex<Vec<String>>,
    history: Mutex<History>,
    pub ai: Ai,
    /// By the keeper's thread: the state, its log and its backups.
    pub state_written_bytes: Counter,
}

pub const ANALYZERS: [(AnalyzerKind, &str); 4] = [
    (AnalyzerKind::Level, "level"),
    (AnalyzerKind::Rule, "rule"),
    (AnalyzerKind::Novelty, "novelty"),
    (AnalyzerKind::Ai, "ai"),
];
pub const STATUSES: [Status; 3] = [Status::Firing, Status::Repeated, Status::Resolved];

impl Metrics {
    /// Counts for these sources and alerters from now on; those of others are forgotten.
    pub fn follow<'a>(
        &self,
        sources: impl Iterator<Item = &'a Arc<str>>,
        alerters: impl Iterator<Item = &'a Arc<str>>,
    ) {
        keep_only(&self.sources, sources.cloned().collect());
        keep_only(&self.alerters, alerters.cloned().collect());
    }

    /// None: it is no longer configured.
    pub fn source(&self, name: &str) -> Option<Arc<Source>> {
        self.sources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// None: it is no longer configured.
    pub fn alerter(&self, name: &str) -> Option<Arc<Alerter>> {
        self.alerters
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub fn sources(&self) -> BTreeMap<Arc<str>, Arc<Source>> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn findings(&self, analyzer: AnalyzerKind, severity: Level) -> &Counter {
        self.findings[analyzer as usize].of(Some(severity))
    }

    pub fn alerts(&self, status: Status, severity: Level) -> &Counter {
        self.alerts[status as usize].of(Some(severity))
    }

    pub fn suppressed(&self, reason: Suppressed) -> &Counter {
        &self.suppressed[reason as usize]
    }

    pub fn set_stuck(&self, threads: Vec<String>) {
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner) = threads;
    }

    pub fn stuck(&self) -> Vec<String> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a sample for the last hour's course, if a minute has passed since the last one.
    pub fn sample(&self, uptime_seconds: u64) {
        let now = self.totals();
        self.history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sample(uptime_seconds, now);
    }

    /// What each of the last minutes brought, oldest first.
    pub fn minutes(&self) -> Vec<Minute> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).minutes()
    }

    fn totals(&self) -> Minute {
        let mut total = Minute::default();
        for source in self.sources().values() {
            total.read_bytes += source.read_bytes.get();
            total.records += source.records.sum();
            total.exceptional += source.exceptional.get();
        }
        total.alerts = self.alerts.iter().map(ByLevel::sum).sum();
        total
    }
}

fn keep_only<T: Default>(all: &Named<T>, names: Vec<Arc<str>>) {
    let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
    all.retain(|name, _| names.contains(name));
    for name in names {
        all.entry(name).or_default();
    }
}
