//! Silences: what is found and counted, and nobody is told. Pure; time is an argument.
//!
//! A silence names what it is about by a [`Matcher`], all of whose given parts must fit. It ends at its time, when it is
//! removed, or never. The agent's own news are silenced by their fingerprint only: `--severity error` for a noisy week
//! must not hide that alerts no longer get through.

use super::{Alert, Kind, id};
use crate::analyzer::AnalyzerKind;
use crate::record::Level;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Silences of one host; more are a task for `ignore` or `verdict`.
pub const SILENCES_MAX: usize = 1_000;
/// Ids of silences of the configuration begin so: it alone ends them.
const OF_CONFIGURATION: &str = "config-";

/// What a silence is about; parts that are not given fit everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matcher {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Up to this severity: what is worse is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Level>,
}

/// One silence, as it is kept and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    pub matcher: Matcher,
    /// `None`: for ever.
    pub until: Option<Timestamp>,
    pub comment: Option<String>,
    pub created: Timestamp,
    /// Records it kept from being told.
    pub hits: u64,
}

/// What a person asks for, or the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub matcher: Matcher,
    pub until: Option<Timestamp>,
    pub comment: Option<String>,
}

impl Matcher {
    /// Whether no part is given: it would silence everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn fits(&self, alert: &Alert) -> bool {
        let of_rule = |name: &String| {
            let named =
                |f: &crate::analyzer::Finding| f.analyzer == AnalyzerKind::Rule && f.name.as_ref() == Some(name);
            alert.detectors.iter().any(named)
        };
        let of_source = |name: &String| alert.source.as_ref().is_some_and(|place| place.name == *name);
        let own_news = match alert.kind {
            Kind::Agent | Kind::Test | Kind::Digest | Kind::Loss => true,
            Kind::Exception | Kind::Record | Kind::Absence => false,
        };
        !self.is_empty()
            && (!own_news || self.fingerprint.is_some())
            && self
                .fingerprint
                .as_ref()
                .is_none_or(|wanted| *wanted == alert.fingerprint)
            && self.rule.as_ref().is_none_or(of_rule)
            && self.source.as_ref().is_none_or(of_source)
            && self
                .labels
                .iter()
                .all(|(key, value)| alert.labels.get(key) == Some(value))
            && self.severity.is_none_or(|up_to| alert.severity <= up_to)
    }
}

/// As it is typed: `rule=oom severity<=warn`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("fingerprint", &self.fingerprint),
            ("rule", &self.rule),
            ("source", &self.source),
        ];
        let mut parts: Vec<String> = named
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
            .collect();
        parts.extend(self.labels.iter().map(|(key, value)| format!("{key}={value}")));
        parts.extend(self.severity.map(|level| format!("severity<={level}")));
        f.write_str(&parts.join(" "))
    }
}

impl Wanted {
    /// The id of a silence of the configuration: the same at each start, so that its hits go on.
    pub fn id_in_configuration(&self) -> String {
        let labels = self.matcher.labels.iter().flat_map(|(key, value)| [key, value]);
        let of = |part: &Option<String>| part.clone().unwrap_or_default();
        let mut parts = vec![
            of(&self.matcher.fingerprint),
            of(&self.matcher.rule),
            of(&self.matcher.source),
            self.matcher
                .severity
                .map_or_else(String::new, |level| level.to_string()),
            self.until.map_or_else(String::new, |until| until.to_string()),
        ];
        parts.extend(labels.cloned());
        let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        format!("{OF_CONFIGURATION}{}", &id::fingerprint(&parts)[..8])
    }
}

impl Silence {
    pub fn is_of_configuration(&self) -> bool {
        self.id.starts_with(OF_CONFIGURATION)
    }

    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// All silences of this host.
#[derive(Debug, Default)]
pub struct Silences {
    all: Vec<Silence>,
    /// Ids whose hits are not written yet.
    hit: Vec<String>,
    /// Ended, and not removed from the state yet.
    ended: Vec<String>,
    /// Some have gone since the last look: what they withheld may be said.
    fewer: bool,
}

impl Silences {
    /// `fewer`: silences may have gone since what was withheld was last looked at (also at each start).
    pub fn replace(&mut self, all: Vec<Silence>) {
        self.all = all;
        self.fewer = true;
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The silence that covers this alert.
    pub fn covering(&self, alert: &Alert, now: Timestamp) -> Option<&Silence> {
        self.all
            .iter()
            .find(|silence| !silence.has_ended(now) && silence.matcher.fits(alert))
    }

    /// The same for a record: it counts. Gives the id.
    pub fn hit(&mut self, alert: &Alert, now: Timestamp) -> Option<String> {
        let silence = self
            .all
            .iter_mut()
            .find(|silence| !silence.has_ended(now) && silence.matcher.fits(alert))?;
        silence.hits += 1;
        if !self.hit.contains(&silence.id) {
            self.hit.push(silence.id.clone());
        }
        Some(silence.id.clone())
    }

    /// When the next one ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.all.iter().filter_map(|silence| silence.until).min()
    }

    /// Whether some have gone since the last call: removed, or ended by now.
    pub fn take_fewer(&mut self, now: Timestamp) -> bool {
        let ended = self.all.extract_if(.., |silence| silence.has_ended(now));
        let ended: Vec<String> = ended.map(|silence| silence.id).collect();
        self.fewer |= !ended.is_empty();
        self.ended.extend(ended);
        std::mem::take(&mut self.fewer)
    }

    /// What the next commit writes: ids with their hits, and ids that have ended.
    pub fn changes(&self) -> (impl Iterator<Item = (&str, u64)>, &[String]) {
        let hits = self.all.iter().filter(|silence| self.hit.contains(&silence.id));
        (hits.map(|silence| (silence.id.as_str(), silence.hits)), &self.ended)
    }

    /// They are written.
    pub fn clear_changes(&mut self) {
        self.hit.clear();
        self.ended.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyzer::Finding;
    use crate::sample::alert;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn silence(matcher: Matcher, until: Option<&str>) -> Silence {
        Silence {
            id: "s1".into(),
            matcher,
            until: until.map(at),
            comment: None,
            created: at("2026-11-23T06:00:00Z"),
            hits: 0,
        }
    }

    #[test]
    fn every_given_part_must_fit() {
        let mut alert = alert();
        alert.severity = Level::Error;
        alert.fingerprint = "5f2c9a7e11d04b3c".into();
        alert.labels = [("team".to_owned(), "payments".to_owned())].into();
        alert.detectors = vec![Finding {
            name: Some("pool".to_owned()),
            ..Finding::new(AnalyzerKind::Rule, Level::Error)
        }];
        let source = alert.source.as_ref().unwrap().name.clone();
        let some = |text: &str| Some(text.to_owned());
        let label = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned())]);
        let fitting = [
            Matcher {
                fingerprint: some("5f2c9a7e11d04b3c"),
                ..Matcher::default()
            },
            Matcher {
                rule: some("pool"),
                ..Matcher::default()
            },
            Matcher {
                source: Some(source.clone()),
                ..Matcher::default()
            },
            Matcher {
                labels: label("payments"),
                ..Matcher::default()
            },
            Matcher {
                severity: Some(Level::Error),
                ..Matcher::default()
            },
            Matcher {
                severity: Some(Level::Fatal),
                rule: some("pool"),
                ..Matcher::default()
            },
        ];
        for matcher in &fitting {
            assert!(matcher.fits(&alert), "{matcher}");
        }
        let others = [
            Matcher::default(),
            Matcher {
                fingerprint: some("0000000000000000"),
                ..Matcher::default()
            },
            Matcher {
                rule: some("poo"),
                ..Matcher::default()
            },
            Matcher {
                source: some("other"),
                ..Matcher::default()
            },
            Matcher {
                labels: label("search"),
                ..Matcher::default()
            },
            Matcher {
                severity: Some(Level::Warn),
                ..Matcher::default()
            },
            Matcher {
                rule: some("pool"),
                source: some("other"),
                ..Matcher::default()
            },
        ];
        for matcher in &others {
            assert!(!matcher.fits(&alert), "{matcher}");
        }
        alert.kind = Kind::Agent;
        let by_fingerprint = &fitting[0];
        assert!(
            fitting
                .iter()
                .all(|matcher| matcher.fits(&alert) == (matcher == by_fingerprint))
        );
    }

    #[test]
    fn it_counts_until_it_ends_and_is_then_removed() {
        let matcher = Matcher {
            severity: Some(Level::Fatal),
            ..Matcher::default()
        };
        let mut silences = Silences::default();
        silences.replace(vec![silence(matcher, Some("2026-11-23T07:00:00Z"))]);
        let alert = alert();
        assert!(
            silences.take_fewer(at("2026-11-23T06:00:00Z")),
            "at the start all is looked at"
        );
        assert!(!silences.take_fewer(at("2026-11-23T06:00:00Z")));
        assert_eq!(silences.hit(&alert, at("2026-11-23T06:59:59Z")), Some("s1".to_owned()));
        assert_eq!(silences.changes().0.collect::<Vec<_>>(), [("s1", 1)]);
        assert_eq!(silences.next_end(), Some(at("2026-11-23T07:00:00Z")));
        assert_eq!(silences.hit(&alert, at("2026-11-23T07:00:00Z")), None);
        assert!(silences.take_fewer(at("2026-11-23T07:00:00Z")));
        assert_eq!((silences.count(), silences.changes().1), (0, &["s1".to_owned()][..]));
        silences.clear_changes();
        assert!(silences.changes().1.is_empty());
    }
}
