//! One message for many that were held back: the worst in full, the others by title, the rest counted. Pure.

use super::tidings::{self, Held, HeldBack};
use super::{Alert, Composer, Kind, News, SourcePlace, Status, id};
use crate::analyzer::{AnalyzerKind, Finding};
use crate::record::Level;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Groups told in full …
const FULL_MAX: usize = 10;
/// … as long as their texts are together below this.
const FULL_MAX_BYTES: usize = 48 * 1024;
/// Groups told by title.
const BRIEF_MAX: usize = 100;

/// What was held back of one group.
#[derive(Debug)]
struct Group {
    /// The first message of the highest severity.
    sample: Alert,
    count: u64,
    status: Status,
    severity: Level,
}

/// What was held back for one alerter, for one reason; in order.
#[derive(Debug, Default)]
pub struct Digest {
    groups: BTreeMap<(String, String), Group>,
    first_id: Option<String>,
    messages: u64,
}

impl Digest {
    pub fn add(&mut self, alert: Alert) {
        self.messages += 1;
        self.first_id.get_or_insert_with(|| alert.id.clone());
        let source = alert
            .source
            .as_ref()
            .map_or_else(String::new, |source| source.name.clone());
        let key = (source, alert.fingerprint.clone());
        let Some(group) = self.groups.get_mut(&key) else {
            let group = Group {
                count: alert.count,
                status: alert.status,
                severity: alert.severity,
                sample: alert,
            };
            self.groups.insert(key, group);
            return;
        };
        group.status = alert.status;
        if alert.kind == Kind::Absence {
            // Each message says how long it has been by now: the last one says all.
            group.severity = group.severity.max(alert.severity);
            group.sample = Alert {
                first_seen: group.sample.first_seen,
                ..alert
            };
            return;
        }
        group.count += alert.count;
        let (first_seen, last_seen) = (
            group.sample.first_seen.min(alert.first_seen),
            group.sample.last_seen.max(alert.last_seen),
        );
        if alert.severity > group.severity {
            group.severity = alert.severity;
            group.sample = alert;
        }
        (group.sample.first_seen, group.sample.last_seen) = (first_seen, last_seen);
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Messages that were held back.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The message. Its id is made of the alerter and the first that was held back.
    pub fn message(self, composer: &Composer, alerter: &str, why: Held, now: jiff::Timestamp) -> Alert {
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by_key(|group| {
            let over = group.status == Status::Resolved;
            std::cmp::Reverse((!over, group.severity, group.count))
        });
        let severity = groups.first().map_or(Level::Info, |group| group.severity);
        let count = groups.iter().map(|group| group.count).sum();
        let first_seen = groups.iter().map(|group| group.sample.first_seen).min().unwrap_or(now);
        let last_seen = groups.iter().map(|group| group.sample.last_seen).max().unwrap_or(now);
        let told = HeldBack {
            why,
            alerter,
            groups: groups.len(),
            records: count,
            since: first_seen,
            until: last_seen,
        };
        let first_id = self.first_id.unwrap_or_default();
        let news = News {
            kind: Kind::Digest,
            subject: &["digest", alerter, why.as_str()],
            occasion: &first_id,
            severity,
            title: told.title(&composer.wording),
            text: Some(told.text(&composer.wording)),
            place: None,
        };
        let mut digest = composer.news(news, &BTreeMap::new(), now);
        digest.id = id::of_news(&[b"digest", alerter.as_bytes(), first_id.as_bytes()]);
        digest.count = count;
        (digest.first_seen, digest.last_seen) = (first_seen, last_seen);
        digest.groups = told_groups(groups, &told, composer);
        digest
    }
}

/// What a source said that is new, when it was too much to tell one by one.
#[derive(Debug)]
pub struct Flood<'a> {
    pub source: &'a str,
    /// Of the last hour, those that were told among them.
    pub titles: &'a [String],
    /// Which flood of this source it is.
    pub ordinal: u32,
    pub severity: Level,
}

impl Flood<'_> {
    /// The message: a digest with a group for each. It is the source's, and novelty's, so that filters fit it.
    pub fn message(&self, composer: &Composer, labels: &BTreeMap<String, String>, now: jiff::Timestamp) -> Alert {
        let &Self { source, titles, .. } = self;
        let (messages, wording) = (titles.len(), &composer.wording);
        let told = tidings::Flood { source, messages };
        let place = SourcePlace {
            name: source.to_owned(),
            path: String::new(),
            first_line: None,
            last_line: None,
            offset: 0,
            end_offset: 0,
            line_numbers: None,
        };
        let news = News {
            kind: Kind::Digest,
            subject: &["novelty", source, "flood"],
            occasion: &self.ordinal.to_string(),
            severity: self.severity,
            title: told.title(wording),
            text: Some(told.text(wording).to_owned()),
            place: Some(place),
        };
        let mut digest = composer.news(news, labels, now);
        digest.count = messages as u64;
        digest
            .detectors
            .push(Finding::new(AnalyzerKind::Novelty, self.severity));
        let group = |title: &String| {
            let source = json!({"name": source, "path": ""});
            json!({"title": title, "severity": self.severity, "status": Status::Firing, "count": 1, "source": source})
        };
        digest.groups = titles.iter().map(group).collect();
        digest
    }
}

fn told_groups(groups: Vec<Group>, told: &HeldBack<'_>, composer: &Composer) -> Vec<Value> {
    let (mut values, mut bytes) = (Vec::new(), 0);
    let (mut rest, mut rest_count, mut rest_severity) = (0, 0, Level::Trace);
    for group in groups {
        bytes += group.sample.text.as_ref().map_or(0, String::len);
        if values.len() < FULL_MAX && bytes <= FULL_MAX_BYTES {
            values.push(in_full(group));
        } else if values.len() < FULL_MAX + BRIEF_MAX {
            values.push(in_brief(&group));
        } else {
            rest += 1;
            rest_count += group.count;
            rest_severity = rest_severity.max(group.severity);
        }
    }
    if rest > 0 {
        let title = told.rest_title(rest, &composer.wording);
        values.push(json!({"title": title, "groups": rest, "count": rest_count, "severity": rest_severity}));
    }
    values
}

fn in_full(group: Group) -> Value {
    let Group {
        mut sample,
        count,
        status,
        severity,
    } = group;
    (sample.count, sample.status, sample.severity) = (count, status, severity);
    // They belong to one message, and this is about several.
    (sample.total, sample.period_ms) = (None, None);
    // It is all text and numbers, which JSON always takes.
    serde_json::to_value(&sample).unwrap_or_default()
}

fn in_brief(group: &Group) -> Value {
    let sample = &group.sample;
    json!({
        "id": sample.id,
        "fingerprint": sample.fingerprint,
        "title": sample.title,
        "severity": group.severity,
        "status": group.status,
        "count": group.count,
        "first_seen": sample.first_seen,
        "last_seen": sample.last_seen,
        "source": sample.source.as_ref().map(|source| json!({"name": source.name, "path": source.path})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::alert;

    fn held(fingerprint: &str, severity: Level, count: u64) -> Alert {
        Alert {
            id: format!("id-{fingerprint}-{count}"),
            fingerprint: fingerprint.to_owned(),
            title: format!("title {fingerprint}"),
            severity,
            count,
            ..alert()
        }
    }

    fn digest(alerts: Vec<Alert>) -> Alert {
        let mut digest = Digest::default();
        alerts.into_iter().for_each(|alert| digest.add(alert));
        let now = "2026-11-23T07:00:00Z".parse().unwrap();
        digest.message(&Composer::default(), "ops", Held::Rate, now)
    }

    #[test]
    fn the_worst_stands_first_in_full_and_the_counts_add_up() {
        let digest = digest(vec![
            held("a", Level::Warn, 5),
            held("b", Level::Error, 1),
            held("a", Level::Warn, 7),
            held("c", Level::Fatal, 1),
            held("b", Level::Error, 2),
        ]);
        assert_eq!(
            (digest.kind, digest.severity, digest.count),
            (Kind::Digest, Level::Fatal, 16)
        );
        let told: Vec<(&str, u64)> = digest
            .groups
            .iter()
            .map(|group| (group["fingerprint"].as_str().unwrap(), group["count"].as_u64().unwrap()))
            .collect();
        assert_eq!(told, [("c", 1), ("b", 3), ("a", 12)]);
        assert!(digest.groups[0]["text"].is_string(), "in full");
    }

    #[test]
    fn an_absence_that_went_on_is_one_with_its_last_word() {
        let absence = |title: &str| Alert {
            kind: Kind::Absence,
            title: title.to_owned(),
            ..held("hb", Level::Error, 1)
        };
        let digest = digest(vec![absence("for 2 min"), absence("for 4 h")]);
        assert_eq!((digest.count, &digest.groups[0]["title"]), (1, &json!("for 4 h")));
    }

    #[test]
    fn its_id_is_that_of_what_was_held_back_first() {
        let one = digest(vec![held("a", Level::Warn, 5), held("b", Level::Error, 1)]);
        let more = digest(vec![held("a", Level::Warn, 5), held("c", Level::Error, 1)]);
        let other = digest(vec![held("b", Level::Error, 1)]);
        assert_eq!(one.id, more.id);
        assert_ne!(one.id, other.id);
    }

    #[test]
    fn a_thousand_groups_stay_one_short_message() {
        let long = |n: usize| Alert {
            text: Some("x".repeat(20_000)),
            ..held(&format!("f{n}"), Level::Error, 1)
        };
        let digest = digest((0..1000).map(long).collect());
        assert_eq!(digest.count, 1000);
        let full = digest.groups.iter().filter(|group| group.get("text").is_some()).count();
        assert_eq!((full, digest.groups.len()), (2, FULL_MAX + BRIEF_MAX + 1));
        let counted: u64 = digest.groups.iter().map(|group| group["count"].as_u64().unwrap()).sum();
        assert_eq!(counted, 1000);
        assert!(serde_json::to_string(&digest).unwrap().len() < 128 * 1024);
    }

    #[test]
    fn what_is_over_stands_behind_what_is_not() {
        let resolved = Alert {
            status: Status::Resolved,
            ..held("a", Level::Fatal, 2)
        };
        let digest = digest(vec![held("a", Level::Fatal, 1), resolved, held("b", Level::Error, 1)]);
        assert_eq!(digest.groups[0]["fingerprint"], "b");
        assert_eq!(digest.groups[1]["status"], "resolved");
    }
}
