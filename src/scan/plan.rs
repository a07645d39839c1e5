//! What a scan does with each file: which source of the configuration reads it, with which analyzers, and what of it is
//! wanted. Built once, then only read: several files may be scanned at once.

use super::ScanOptions;
use super::input::InputPlace;
use crate::alert::redact::Redactor;
use crate::alert::{self, Composer, Host};
use crate::analyzer::Rule;
use crate::analyzer::stream::Analyzers;
use crate::config;
use crate::record::{self, Level};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the source that no configuration names.
const SOURCE_NAME: &str = "scan";

/// What is the same for all files of a scan.
#[derive(Debug)]
pub struct Plan {
    sources: Vec<PlannedSource>,
    /// For files of no source.
    other: PlannedSource,
    pub composer: Composer,
    pub novelty: alert::novelty::Settings,
    /// When the scan began.
    pub now: jiff::Timestamp,
    min_severity: Option<Level>,
    since: Option<jiff::Timestamp>,
    until: Option<jiff::Timestamp>,
    pub all: bool,
    pub rules: Vec<Rule>,
    host_labels: BTreeMap<String, String>,
}

/// One source of the configuration, as far as a scan needs it.
#[derive(Debug)]
pub struct PlannedSource {
    pub name: Arc<str>,
    paths: globset::GlobSet,
    pub record: record::Settings,
    pub analyzers: Arc<Analyzers>,
    pub labels: BTreeMap<String, String>,
}

impl Plan {
    /// # Errors
    /// A path pattern of the configuration that is no glob (which `config` has refused before).
    pub fn new(options: &ScanOptions, settings: &config::Settings, now: jiff::Timestamp) -> anyhow::Result<Self> {
        let mut analyzer = settings.analyzer.clone();
        analyzer.alert_at = lowered(analyzer.alert_at, options.min_severity);
        let plan = |name: &Arc<str>,
                    record: &record::Settings,
                    alert_at: Option<Option<Level>>,
                    labels: &BTreeMap<String, String>,
                    paths| PlannedSource {
            analyzers: Arc::new(
                Analyzers::new(
                    &analyzer,
                    name,
                    alert_at.map(|level| lowered(level, options.min_severity)),
                    settings.alert.context_before_lines,
                    settings.alert.context_after_lines,
                )
                .wanting_all(options.all),
            ),
            record: over(options, record),
            labels: settings
                .alert
                .host_labels
                .iter()
                .chain(labels)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            name: name.clone(),
            paths,
        };
        let mut sources = Vec::new();
        for source in &settings.sources {
            let mut paths = globset::GlobSetBuilder::new();
            for pattern in &source.collector.paths {
                paths.add(globset::GlobBuilder::new(pattern).literal_separator(true).build()?);
            }
            sources.push(plan(
                &source.collector.name,
                &source.record,
                source.alert_at,
                &source.labels,
                paths.build()?,
            ));
        }
        Ok(Self {
            other: plan(
                &SOURCE_NAME.into(),
                &record::Settings::default(),
                None,
                &BTreeMap::new(),
                globset::GlobSet::empty(),
            ),
            sources,
            composer: composer(settings),
            novelty: settings.alert.novelty.clone(),
            now,
            min_severity: options.min_severity,
            since: options.since,
            until: options.until,
            all: options.all && options.json,
            rules: settings.analyzer.rules.clone(),
            host_labels: settings.alert.host_labels.clone(),
        })
    }

    /// On what is of no source.
    pub fn host_labels(&self) -> &BTreeMap<String, String> {
        &self.host_labels
    }

    /// The source of the configuration that would read this file, if any.
    pub fn source_of(&self, place: &InputPlace) -> &PlannedSource {
        match place {
            InputPlace::Stdin => &self.other,
            InputPlace::File(path) => {
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let reads = |source: &&PlannedSource| source.paths.is_match(path) || source.paths.is_match(&absolute);
                self.sources.iter().find(reads).unwrap_or(&self.other)
            }
        }
    }

    /// Whether a record is within what was asked for; `severity` none: it is not exceptional.
    pub fn wants(&self, severity: Option<Level>, at: jiff::Timestamp) -> bool {
        severity.is_none_or(|severity| self.min_severity.is_none_or(|least| severity >= least))
            && self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
    }
}

fn composer(settings: &config::Settings) -> Composer {
    let wording = settings.alerters.first().map(|alerter| alerter.wording.clone());
    Composer {
        host: host(settings),
        wording: wording.unwrap_or_default(),
        redactor: Redactor::new(&settings.alert.redact, &hash_key()),
    }
}

fn host(settings: &config::Settings) -> Host {
    let system = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Host {
        id: String::new(),
        name: settings.alert.host_name.clone().unwrap_or_else(system),
    }
}

/// Masks of equal values are the same in every scan on this host, which has no state to keep a key in: what systemd's
/// documentation of the machine id asks for, a keyed hash, is made of it.
fn hash_key() -> Vec<u8> {
    let id = std::fs::read("/etc/machine-id").unwrap_or_default();
    [b"exception-log-collector scan ".as_slice(), &id].concat()
}

/// Who asks for less than the analyzers would find wants to see it.
fn lowered(alert_at: Option<Level>, wanted: Option<Level>) -> Option<Level> {
    match (alert_at, wanted) {
        (Some(alert_at), Some(wanted)) => Some(alert_at.min(wanted)),
        (alert_at, wanted) => alert_at.or(wanted),
    }
}

/// A source's settings under what the command line says.
fn over(options: &ScanOptions, settings: &record::Settings) -> record::Settings {
    let mut settings = settings.clone();
    settings.format = options.format.clone().unwrap_or(settings.format);
    settings.encodings = options.encodings.clone().unwrap_or(settings.encodings);
    settings.multiline = options.multiline.clone().unwrap_or(settings.multiline);
    settings.zone = options.timezone.clone().unwrap_or(settings.zone);
    settings
}
