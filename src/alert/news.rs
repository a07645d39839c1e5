//! The agent's own news as alerts: losses, trouble with its state, a receiver that is blocked, a test.

use super::compose::Composer;
use super::{Alert, Context, FINGERPRINT_VERSION, Kind, Reason, SCHEMA, SourcePlace, Status, id};
use crate::record::Level;
use std::collections::BTreeMap;

/// One piece of news. Its texts are ours; only `place` and `text` may hold names from outside.
#[derive(Debug, Clone)]
pub struct News<'a> {
    pub kind: Kind,
    /// What it is about, once and for all: makes id and fingerprint (`loss`, file id, reason).
    pub subject: &'a [&'a str],
    /// What makes this one differ from the next of the same subject; enters the id only.
    pub occasion: &'a str,
    pub severity: Level,
    pub title: String,
    pub text: Option<String>,
    pub place: Option<SourcePlace>,
}

impl Composer {
    /// The alert of a piece of news, redacted.
    pub fn news(&self, news: News<'_>, labels: &BTreeMap<String, String>, now: jiff::Timestamp) -> Alert {
        let subject: Vec<&[u8]> = news.subject.iter().map(|part| part.as_bytes()).collect();
        let occasion: Vec<&[u8]> = subject
            .iter()
            .copied()
            .chain([self.host.id.as_bytes(), news.occasion.as_bytes()])
            .collect();
        let mut alert = Alert {
            schema: SCHEMA,
            id: id::of_news(&occasion),
            firing_id: None,
            status: Status::Firing,
            reason: Reason::New,
            severity: news.severity,
            fingerprint: id::fingerprint(&subject),
            fingerprint_version: FINGERPRINT_VERSION,
            message: Some(news.title.clone()),
            title: news.title,
            text: news.text,
            template: None,
            level: None,
            kind: news.kind,
            language: None,
            timestamp: None,
            observed_at: now,
            clock_suspect: false,
            late: false,
            truncated: false,
            source: news.place,
            detectors: Vec::new(),
            fields: serde_json::Map::new(),
            context: Context::default(),
            count: 1,
            total: None,
            period_ms: None,
            first_seen: now,
            last_seen: now,
            host: self.host.clone(),
            labels: labels.clone(),
            groups: Vec::new(),
        };
        self.redactor.apply(&mut alert);
        alert
    }
}
