//! The configuration: from YAML, environment and command line to [`Settings`], or to every problem at once.
//!
//! Only this module knows YAML. Each stage defines its own `Settings`; here they are filled. The way: `tree` (YAML to
//! nodes) · `substitute` (`${VAR}`) · `merge` (conf.d, environment, `--set`) · `decode` (nodes to the shapes of `file`) ·
//! `check` (shapes to settings) · `place` (each problem back to its line).

mod alerter_file;
mod check;
mod decode;
mod describe;
mod file;
mod key;
#[cfg(test)]
mod key_lister;
mod merge;
mod options;
mod place;
mod problem;
mod read;
mod secret;
mod substitute;
#[cfg(test)]
mod tests;
mod tree;
mod units;
mod zones;

pub use describe::describe;
pub use options::{RecordKeys, RecordOptions, record_options};
pub use problem::{PROBLEMS_MAX, Place, Problem, Problems, Warning};
pub use read::{Loaded, Request, RuleTest, load};
pub use units::{Size, Span};

use crate::{alert, alerter, analyzer, collector, judge, own_log, record, status_page};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the configuration is looked for when neither `-c` nor `$ELC_CONFIG` names one.
pub const DEFAULT_PATH: &str = "/etc/exception-log-collector/config.yaml";
/// Where the state is kept when the configuration does not say.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/exception-log-collector";

/// The whole valid configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    pub state_dir: PathBuf,
    pub sources: Vec<Source>,
    pub analyzer: analyzer::Settings,
    /// None: no model judges.
    pub judge: Option<judge::Settings>,
    pub analyzer_threads: usize,
    pub alert: alert::Settings,
    /// Never empty: without alerters in the configuration there is one `console`.
    pub alerters: Vec<alerter::Settings>,
    pub metrics: status_page::Settings,
    pub log: own_log::Settings,
}

/// One source: each stage's part.
#[derive(Debug, Clone)]
pub struct Source {
    pub collector: collector::Source,
    pub input: collector::piped::Input,
    pub record: record::Settings,
    /// This source's level, over `analyzer.alert_at`: `Some(None)` is off.
    pub alert_at: Option<Option<record::Level>>,
    pub labels: BTreeMap<String, String>,
}

/// The settings of `scan` without a configuration: no sources, levels from `warn`, alerts on the console.
pub fn defaults() -> Settings {
    Settings {
        state_dir: DEFAULT_STATE_DIR.into(),
        sources: Vec::new(),
        analyzer: analyzer::Settings {
            alert_at: Some(record::Level::Warn),
            ..Default::default()
        },
        judge: None,
        analyzer_threads: 1,
        alert: alert::Settings {
            zone: jiff::tz::TimeZone::system(),
            redact: vec![alert::redact::Pattern::Builtin(alert::redact::Set::Secrets)],
            ..Default::default()
        },
        alerters: vec![console()],
        metrics: status_page::Settings::default(),
        log: own_log::Settings::default(),
    }
}

/// The alerter of a configuration that names none.
fn console() -> alerter::Settings {
    alerter::Settings {
        name: Arc::from("console"),
        min_severity: record::Level::Warn,
        send: alerter::Send::Grouped,
        send_resolved: true,
        filter: alerter::Filter::default(),
        limits: alerter::Limits::default(),
        catch_up: alerter::CatchUp::All,
        wording: alert::render::Wording {
            zone: jiff::tz::TimeZone::system(),
            ..Default::default()
        },
        outbox_max_bytes: check::OUTBOX_DEFAULT_BYTES,
        when_full: alerter::WhenFull::Compact,
        kind: alerter::Kind::Console {
            format: alerter::TextFormat::Text,
        },
    }
}
