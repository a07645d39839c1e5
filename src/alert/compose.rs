//! From an exceptional record to the alert that tells of it: ids first, then redaction, then nothing else.

use super::book::Turn;
use super::redact::Redactor;
use super::render::Wording;
use super::{Alert, Context, FINGERPRINT_VERSION, Host, Kind, Reason, SCHEMA, SourcePlace, Status, id};
use crate::analyzer::{AnalyzerKind, Exceptional, Finding};
use crate::record;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is the same in all alerts of this process.
#[derive(Debug, Clone, Default)]
pub struct Composer {
    pub host: Host,
    pub redactor: Redactor,
    /// Of what we say ourselves.
    pub wording: Wording,
}

/// The file an alert speaks of.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub source: &'a str,
    pub path: &'a str,
    /// Of [`id::of_file`].
    pub file_id: &'a str,
    /// The source's labels over the host's.
    pub labels: &'a BTreeMap<String, String>,
}

impl Composer {
    /// The alert of one record, as if it were the first of its fingerprint: `firing`, `new`, count 1.
    pub fn compose(&self, found: Exceptional, origin: Origin<'_>, observed_at: jiff::Timestamp) -> Alert {
        self.draft(found, origin, observed_at).into_alert(&self.redactor)
    }

    /// The same where most are only counted: redacted when it is wanted.
    pub fn draft(&self, found: Exceptional, origin: Origin<'_>, observed_at: jiff::Timestamp) -> Draft {
        // Milliseconds say enough, and are what people read.
        let observed_at = observed_at.round(jiff::Unit::Millisecond).unwrap_or(observed_at);
        let detectors: Vec<String> = found.findings.iter().map(detector_name).collect();
        let id = id::of_firing(
            origin.file_id,
            found.place.offset,
            &found.first_line,
            detectors.iter().map(String::as_str),
        );
        let seen = found.details.timestamp.unwrap_or(observed_at);
        let alert = Alert {
            schema: SCHEMA,
            id,
            firing_id: None,
            status: Status::Firing,
            reason: Reason::New,
            severity: found.severity,
            fingerprint: found.fingerprint,
            fingerprint_version: FINGERPRINT_VERSION,
            title: found.title,
            message: Some(found.details.message),
            text: Some(found.text),
            template: Some(found.template),
            level: found.level,
            kind: match found.kind {
                record::Kind::Exception => Kind::Exception,
                record::Kind::Record => Kind::Record,
            },
            language: found.language.map(|language| language.as_str().to_string()),
            timestamp: found.details.timestamp,
            observed_at,
            clock_suspect: false,
            late: false,
            truncated: found.truncated,
            source: Some(SourcePlace {
                name: origin.source.to_string(),
                path: origin.path.to_string(),
                first_line: found.line_numbers_known.then_some(found.place.first_line),
                last_line: found.line_numbers_known.then_some(found.place.last_line),
                offset: found.place.offset,
                end_offset: found.place.end_offset,
                line_numbers: found.place.line_numbers.filter(|_| found.line_numbers_known),
            }),
            detectors: found.findings,
            fields: found.details.fields,
            context: Context {
                before: found.before,
                after: found.after,
            },
            count: 1,
            total: None,
            period_ms: None,
            first_seen: seen,
            last_seen: seen,
            host: self.host.clone(),
            labels: origin.labels.clone(),
            groups: Vec::new(),
        };
        Draft {
            alert: alert.into(),
            redacted: false,
        }
    }
}

/// An alert of which nothing may be seen before it is redacted, but what its group counts.
#[derive(Debug, Clone)]
pub struct Draft {
    alert: Arc<Alert>,
    redacted: bool,
}

impl Draft {
    /// Redacted with the first call.
    pub fn alert(&mut self, redactor: &Redactor) -> &Arc<Alert> {
        if !std::mem::replace(&mut self.redacted, true) {
            redactor.apply(Arc::make_mut(&mut self.alert));
        }
        &self.alert
    }

    pub fn into_alert(mut self, redactor: &Redactor) -> Alert {
        self.alert(redactor);
        Arc::unwrap_or_clone(self.alert)
    }

    /// What its group counts; the id and the fingerprint in it hold no text.
    pub fn turn(&self) -> Turn<'_> {
        Turn::from(&*self.alert)
    }

    pub fn timestamp(&self) -> Option<jiff::Timestamp> {
        self.alert.timestamp
    }

    /// The host's clock was not to be trusted when it was seen.
    pub fn suspect_clock(&mut self, is_suspect: bool) {
        Arc::make_mut(&mut self.alert).clock_suspect = is_suspect;
    }
}

impl From<Alert> for Draft {
    /// Of one that is redacted.
    fn from(alert: Alert) -> Self {
        Self {
            alert: alert.into(),
            redacted: true,
        }
    }
}

/// What of a finding enters the id: who found it, not how.
fn detector_name(finding: &Finding) -> String {
    let analyzer = match finding.analyzer {
        AnalyzerKind::Level => "level",
        AnalyzerKind::Rule => "rule",
        AnalyzerKind::Novelty => "novelty",
        AnalyzerKind::Ai => "ai",
    };
    match &finding.name {
        Some(name) => format!("{analyzer}:{name}"),
        None => analyzer.to_string(),
    }
}
