//! Alerts: what a human or a system hears about. Pure.
//!
//! [`Alert`] is the JSON of the contract, field by field: sent by webhook and Kafka, printed by `console` and `scan`,
//! stored in the outbox. Fields are added, never removed or renamed.

pub mod absence;
pub mod book;
pub mod clock;
pub mod compose;
pub mod digest;
pub mod familiar;
pub mod id;
pub mod news;
pub mod novelty;
pub mod quiet;
pub mod rarity;
pub mod rate;
pub mod redact;
pub mod render;
pub mod route;
pub mod silence;
pub mod template;
pub mod tidings;
pub mod verdict;
pub mod window;

pub use compose::{Composer, Origin};
pub use news::News;

use crate::analyzer::Finding;
use crate::record::Level;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Raised only if a field ever had to be removed or renamed.
pub const SCHEMA: u32 = 1;
/// Raised when the same input would get another fingerprint.
pub const FINGERPRINT_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub schema: u32,
    pub id: String,
    /// Of what goes on or is over: the id of the firing, under which messages are threaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing_id: Option<String>,
    pub status: Status,
    pub reason: Reason,
    pub severity: Level,
    pub fingerprint: String,
    pub fingerprint_version: u32,
    pub title: String,
    pub message: Option<String>,
    pub text: Option<String>,
    pub template: Option<String>,
    pub level: Option<Level>,
    pub kind: Kind,
    pub language: Option<String>,
    pub timestamp: Option<jiff::Timestamp>,
    pub observed_at: jiff::Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_suspect: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    pub source: Option<SourcePlace>,
    pub detectors: Vec<Finding>,
    pub fields: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub context: Context,
    /// Since the last message.
    pub count: u64,
    /// Of what goes on or is over: all records since it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The same: the time in which `count` came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u64>,
    pub first_seen: jiff::Timestamp,
    pub last_seen: jiff::Timestamp,
    pub host: Host,
    pub labels: BTreeMap<String, String>,
    /// Only in a digest: the worst in full, the rest counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<serde_json::Value>,
}

impl Alert {
    /// As the contract has it, on one line. Written here, where all is compiled for speed: each alert passes through it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an alert has only string keys, and no type that fails to serialise")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Firing,
    Repeated,
    Resolved,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Firing => "firing",
            Status::Repeated => "repeated",
            Status::Resolved => "resolved",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    New,
    Again,
    Spiking,
    Ongoing,
    Quiet,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::New => "new",
            Reason::Again => "again",
            Reason::Spiking => "spiking",
            Reason::Ongoing => "ongoing",
            Reason::Quiet => "quiet",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A stack trace or crash.
    Exception,
    /// Anything else from a log.
    Record,
    Absence,
    Loss,
    Digest,
    /// Our own news: was down, heartbeat, self-trouble.
    Agent,
    Test,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlace {
    pub name: String,
    pub path: String,
    pub first_line: Option<u64>,
    pub last_line: Option<u64>,
    pub offset: u64,
    pub end_offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_numbers: Option<Vec<u64>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    pub before: Vec<String>,
    pub after: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub id: String,
    pub name: String,
}

/// How alerts live and what is told with them.
#[derive(Debug, Clone)]
pub struct Settings {
    pub host_name: Option<String>,
    pub host_labels: BTreeMap<String, String>,
    pub context_before_lines: usize,
    pub context_after_lines: usize,
    /// How long a finding waits for the lines after it, unless it is fatal or somebody wants each record.
    pub context_wait: Duration,
    /// An alert that goes on is said again after so long.
    pub repeat_after: Duration,
    /// Silence after which an alert is resolved.
    pub resolve_after: Duration,
    /// Silences of the configuration.
    pub silences: Vec<silence::Wanted>,
    pub novelty: novelty::Settings,
    /// Maintenance windows.
    pub quiet: Vec<quiet::Quiet>,
    pub heartbeat: Option<Heartbeat>,
    /// What no text that leaves or is stored may show.
    pub redact: Vec<redact::Pattern>,
    /// Of times in text sent to people.
    pub zone: jiff::tz::TimeZone,
}

/// That all is well, said every so often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub every: Duration,
    /// Names; none: all.
    pub alerters: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host_name: None,
            host_labels: BTreeMap::new(),
            context_before_lines: 5,
            context_after_lines: 5,
            context_wait: Duration::from_millis(500),
            repeat_after: Duration::from_secs(4 * 3600),
            resolve_after: Duration::from_secs(30 * 60),
            silences: Vec::new(),
            novelty: novelty::Settings::default(),
            quiet: Vec::new(),
            heartbeat: None,
            redact: Vec::new(),
            zone: jiff::tz::TimeZone::UTC,
        }
    }
}
