//! The configuration: from YAML, environment and command line to [`Settings`], or to every problem at once.
//!
//! Only this module knows YAML. Each stage defines its own `Settings`; here they are filled.

use crate::{alert, alerter, analyzer, collector, record};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The whole valid configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    pub state_dir: PathBuf,
    pub sources: Vec<Source>,
    pub analyzer: analyzer::Settings,
    pub analyzer_threads: usize,
    pub alert: alert::Settings,
    /// Never empty: without alerters in the configuration there is one `console`.
    pub alerters: Vec<alerter::Settings>,
    pub log: LogSettings,
}

/// One source: each stage's part.
#[derive(Debug, Clone)]
pub struct Source {
    pub collector: collector::Source,
    pub record: record::Settings,
    /// This source's level, over `analyzer.alert_at`: `Some(None)` is off.
    pub alert_at: Option<Option<record::Level>>,
    pub labels: BTreeMap<String, String>,
}

/// The program's own log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    pub level: log::LevelFilter,
}
