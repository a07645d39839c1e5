//! The analyzers: each gives its opinion of a record as a [`Finding`]. Pure and stateless across files.
//!
//! `level` and `rules` are built in; a record that nobody finds anything in is not kept. What spans files (thresholds,
//! absence, novelty, grouping) is `alert`'s.

mod context;
pub mod electra;
pub mod fingerprint;
mod input;
pub mod level;
pub mod mask;
pub mod prefilter;
pub mod rules;
pub mod stream;
pub mod template;
pub mod why;

pub use input::{Resume, Run};
pub use stream::Stream;

use crate::record::Level;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// One analyzer's opinion of one record, as it stands in `detectors` of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub analyzer: AnalyzerKind,
    /// Name of the rule or model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub severity: Level,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub captures: serde_json::Map<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Scores above it are abnormal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Of a rule with a threshold: how often it matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
}

/// `matches` within the window that ends with the record; `per` names the capture whose value they share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub matches: u64,
    pub at_least: u32,
    pub within_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
}

impl Finding {
    pub fn new(analyzer: AnalyzerKind, severity: Level) -> Self {
        let captures = serde_json::Map::new();
        Self {
            analyzer,
            name: None,
            severity,
            captures,
            confidence: None,
            score: None,
            threshold: None,
            model: None,
            counted: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnalyzerKind {
    Level,
    Rule,
    Novelty,
    Ai,
}

/// What all analyzers are built from; regular expressions are compiled once, by `config`.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// A record at or above this level is exceptional; none: the level analyzer is off.
    pub alert_at: Option<Level>,
    pub rules: Vec<Rule>,
    pub ignore: Vec<Ignore>,
}

/// A rule of the configuration.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: Arc<str>,
    /// Matches the record's body, with `(?m)`.
    pub pattern: regex::bytes::Regex,
    pub severity: Level,
    /// May lower a severity, which else is the highest that any analyzer gave.
    pub overrides: bool,
    /// Empty: all sources.
    pub sources: Vec<Arc<str>>,
    /// All of these fields must match.
    pub fields: Vec<(String, regex::Regex)>,
    pub threshold: Option<Threshold>,
    pub absent_for: Option<Duration>,
}

/// `at_least` matches `within` a window, counted per value of a capture (or together).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    pub at_least: u32,
    pub within: Duration,
    pub per: Option<String>,
}

/// A record that matches is no finding, whatever the analyzers say.
#[derive(Debug, Clone)]
pub struct Ignore {
    pub pattern: regex::bytes::Regex,
    /// Empty: all sources.
    pub sources: Vec<Arc<str>>,
}

/// Matches of a rule with `absent_for`, none farther from the last than that: no finding, but what silence is counted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    pub rule: Arc<str>,
    /// Of the first of them; all else is of the last.
    pub since: Option<jiff::Timestamp>,
    pub offset: u64,
    pub end_offset: u64,
    pub timestamp: Option<jiff::Timestamp>,
}

/// A record that at least one analyzer found exceptional, kept: what the keeper turns into alerts. Not yet redacted.
#[derive(Debug, Clone)]
pub struct Exceptional {
    pub findings: Vec<Finding>,
    /// The highest severity of the findings (or what an overriding rule says).
    pub severity: Level,
    pub fingerprint: String,
    pub title: String,
    /// The masked message.
    pub template: String,
    /// Nobody knew its mask: whether it is new is still to be found out.
    pub unknown_mask: Option<template::Unknown>,
    pub text: String,
    /// The first line as it stands in the log (decoded), for the id of a firing.
    pub first_line: Vec<u8>,
    pub details: crate::record::Details,
    pub level: Option<Level>,
    pub kind: crate::record::Kind,
    pub language: Option<crate::record::Language>,
    pub truncated: bool,
    pub place: crate::record::Place,
    /// Reading began at the file's beginning, so that the line numbers of `place` are true.
    pub line_numbers_known: bool,
    /// The lines around it in the file, as far as they had been read; unredacted.
    pub before: Vec<String>,
    pub after: Vec<String>,
}
