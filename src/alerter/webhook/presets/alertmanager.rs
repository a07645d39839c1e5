//! Prometheus Alertmanager, API v2: `POST /api/v2/alerts` with an array. Every URL is told (they deduplicate).
//!
//! An alert that Alertmanager hears no more of is resolved there at its `endsAt`: [`Active`] remembers what is firing and
//! says it again every minute, five minutes ahead. What of one batch has been overtaken by a later message of its
//! fingerprint is not sent. After a restart the keeper's groups say what is firing.

use super::{Value, json, severity};
use crate::alert::render::Wording;
use crate::alert::{Alert, Kind, Status};
use crate::analyzer::AnalyzerKind;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(in super::super) const REPEAT_EVERY: Duration = Duration::from_secs(60);
const AHEAD: Duration = Duration::from_secs(300);
/// Alerts that are said again: beyond it the ones longest without news are left to their `endsAt`.
const ACTIVE_MAX: usize = 10_000;
/// One of which nothing was heard for so long is not said again: its `resolved` may be filtered away.
const SILENCE_MAX: Duration = Duration::from_secs(24 * 3600);
const DESCRIPTION_MAX_CHARS: usize = 4000;

pub(super) fn body(alerts: &[&Alert], wording: &Wording, now: Timestamp) -> Value {
    alerts.iter().map(|alert| one(alert, wording, now)).collect()
}

/// The API below an address that names only the server.
pub(in super::super) fn url(configured: &str) -> String {
    let path = configured
        .split_once("://")
        .map_or(configured, |(_, rest)| rest)
        .split_once('/')
        .map_or("", |(_, path)| path);
    if path.is_empty() {
        format!("{}/api/v2/alerts", configured.trim_end_matches('/'))
    } else {
        configured.to_owned()
    }
}

fn one(alert: &Alert, wording: &Wording, now: Timestamp) -> Value {
    let mut labels: BTreeMap<String, String> = alert
        .labels
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(k, v)| (label_name(k), v.clone()))
        .collect();
    labels.insert("alertname".to_owned(), name(alert));
    labels.insert("severity".to_owned(), severity(alert.severity).to_owned());
    labels.insert("host".to_owned(), alert.host.name.clone());
    labels.insert("fingerprint".to_owned(), alert.fingerprint.clone());
    if let Some(source) = &alert.source {
        labels.insert("source".to_owned(), source.name.clone());
    }
    labels.retain(|_, value| !value.is_empty());
    let ends_at = match alert.status {
        Status::Firing | Status::Repeated => now.checked_add(AHEAD).unwrap_or(now),
        Status::Resolved => now,
    };
    let description = crate::alert::render::body(alert, wording);
    json!({
        "labels": labels,
        "annotations": {
            "summary": crate::alert::render::one_line(&alert.title),
            "description": crate::alert::render::cut(&description, DESCRIPTION_MAX_CHARS),
            "count": alert.total.unwrap_or(alert.count).to_string(),
            "id": alert.id,
            "path": alert.source.as_ref().map_or("", |source| source.path.as_str()),
        },
        "startsAt": alert.first_seen.min(ends_at).to_string(),
        "endsAt": ends_at.to_string(),
    })
}

/// A rule's name, else what kind of thing it is: the fingerprint tells them apart.
fn name(alert: &Alert) -> String {
    let rule = alert
        .detectors
        .iter()
        .find(|f| f.analyzer == AnalyzerKind::Rule)
        .and_then(|f| f.name.clone());
    let kind = match alert.kind {
        Kind::Exception => "LogException",
        Kind::Record => "LogRecord",
        Kind::Absence => "LogAbsence",
        Kind::Loss => "LogLoss",
        Kind::Digest => "LogDigest",
        Kind::Agent => "LogAgent",
        Kind::Test => "LogTest",
    };
    rule.unwrap_or_else(|| kind.to_owned())
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, as Prometheus wants label names.
fn label_name(key: &str) -> String {
    let name: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        format!("_{name}")
    } else {
        name
    }
}

/// What is firing, to be said again.
#[derive(Debug, Default)]
pub struct Active {
    alerts: BTreeMap<String, (Arc<Alert>, Timestamp)>,
}

impl Active {
    pub(in super::super) fn heard(&mut self, alert: &Arc<Alert>, now: Timestamp) {
        match (alert.status, alert.kind) {
            (Status::Resolved, _) | (_, Kind::Loss | Kind::Digest | Kind::Agent | Kind::Test) => {
                self.alerts.remove(&alert.fingerprint);
            }
            (Status::Firing | Status::Repeated, Kind::Exception | Kind::Record | Kind::Absence) => {
                self.alerts.insert(alert.fingerprint.clone(), (alert.clone(), now));
            }
        }
        if self.alerts.len() > ACTIVE_MAX {
            let oldest = self
                .alerts
                .iter()
                .min_by_key(|(_, (_, at))| *at)
                .map(|(key, _)| key.clone());
            self.alerts.remove(&oldest.unwrap_or_default());
        }
    }

    /// None: nothing is firing.
    pub(in super::super) fn body(&mut self, wording: &Wording, now: Timestamp) -> Option<Value> {
        self.alerts
            .retain(|_, (_, at)| now.duration_since(*at).unsigned_abs() < SILENCE_MAX);
        let alerts: Vec<&Alert> = self.alerts.values().map(|(alert, _)| &**alert).collect();
        (!alerts.is_empty()).then(|| body(&alerts, wording, now))
    }
}

/// The last message of each fingerprint of a batch, in order.
pub(in super::super) fn latest(batch: &[crate::alerter::Delivery]) -> Vec<Arc<Alert>> {
    let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
    for delivery in batch {
        latest.insert(&delivery.alert.fingerprint, delivery.seq);
    }
    let is_last = |d: &&crate::alerter::Delivery| latest.get(d.alert.fingerprint.as_str()) == Some(&d.seq);
    batch
        .iter()
        .filter(is_last)
        .map(|delivery| delivery.alert.clone())
        .collect()
}
