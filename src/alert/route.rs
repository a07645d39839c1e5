//! Which alerter hears of which alert.

use super::{Alert, Kind};
use crate::analyzer::AnalyzerKind;
use crate::record::Level;
use std::collections::BTreeMap;

/// Which alerts an alerter hears of; an empty list or map: all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub sources: Vec<String>,
    pub rules: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub detectors: Vec<AnalyzerKind>,
}

impl Filter {
    /// The agent's own news pass the filters that only make sense for records (sources, rules, detectors); a digest that
    /// comes this way is that of one source.
    pub fn accepts(&self, min_severity: Level, alert: &Alert) -> bool {
        let labels_fit = self
            .labels
            .iter()
            .all(|(key, value)| alert.labels.get(key) == Some(value));
        alert.severity >= min_severity && labels_fit && (is_own_news(alert.kind) || self.accepts_record(alert))
    }

    /// Why [`Filter::accepts`] says no; none: it says yes.
    pub fn refusal(&self, min_severity: Level, alert: &Alert) -> Option<String> {
        if alert.severity < min_severity {
            return Some(format!("{} is below its min_severity {min_severity}", alert.severity));
        }
        let differs = |(key, value): &(&String, &String)| alert.labels.get(*key) != Some(*value);
        if let Some((key, value)) = self.labels.iter().find(differs) {
            return Some(format!("it wants the label {key}={value}"));
        }
        if is_own_news(alert.kind) || self.accepts_record(alert) {
            return None;
        }
        let detectors: Vec<String> = self
            .detectors
            .iter()
            .map(|kind| format!("{kind:?}").to_lowercase())
            .collect();
        let wanted = [
            ("sources", &self.sources),
            ("rules", &self.rules),
            ("detectors", &detectors),
        ];
        let wanted = wanted.iter().filter(|(_, names)| !names.is_empty());
        let wanted: Vec<String> = wanted
            .map(|(what, names)| format!("{what} {}", names.join(", ")))
            .collect();
        Some(format!("it wants only {}", wanted.join("; ")))
    }

    fn accepts_record(&self, alert: &Alert) -> bool {
        let source = alert.source.as_ref().map(|place| place.name.as_str());
        let named = |finding: &crate::analyzer::Finding| match (finding.analyzer, &finding.name) {
            (AnalyzerKind::Rule, Some(name)) => self.rules.contains(name),
            _ => false,
        };
        (self.sources.is_empty() || source.is_some_and(|name| self.sources.iter().any(|wanted| wanted == name)))
            && (self.rules.is_empty() || alert.detectors.iter().any(named))
            && (self.detectors.is_empty() || alert.detectors.iter().any(|f| self.detectors.contains(&f.analyzer)))
    }
}

fn is_own_news(kind: Kind) -> bool {
    match kind {
        Kind::Agent | Kind::Test => true,
        Kind::Exception | Kind::Record | Kind::Absence | Kind::Loss | Kind::Digest => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::alert;

    #[test]
    fn whoever_is_refused_is_told_why_and_nobody_else() {
        let alert = alert();
        let list = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let source = alert.source.as_ref().unwrap().name.clone();
        let filters = [
            (Filter::default(), None),
            (
                Filter {
                    sources: vec![source],
                    ..Filter::default()
                },
                None,
            ),
            (
                Filter {
                    sources: list(&["x"]),
                    ..Filter::default()
                },
                Some("sources x"),
            ),
            (
                Filter {
                    rules: list(&["a", "b"]),
                    ..Filter::default()
                },
                Some("rules a, b"),
            ),
            (
                Filter {
                    detectors: vec![AnalyzerKind::Ai],
                    ..Filter::default()
                },
                Some("detectors ai"),
            ),
            (
                Filter {
                    labels: [("team".to_owned(), "none".to_owned())].into(),
                    ..Filter::default()
                },
                Some("label team=none"),
            ),
        ];
        for (filter, why) in filters {
            assert_eq!(filter.accepts(Level::Trace, &alert), why.is_none(), "{filter:?}");
            let refusal = filter.refusal(Level::Trace, &alert);
            assert_eq!(refusal.is_some(), why.is_some(), "{refusal:?}");
            assert!(refusal.unwrap_or_default().contains(why.unwrap_or_default()));
        }
        let mild = Alert {
            severity: Level::Warn,
            ..alert
        };
        let refusal = Filter::default().refusal(Level::Error, &mild).unwrap();
        assert!(
            !Filter::default().accepts(Level::Error, &mild) && refusal.contains("min_severity error"),
            "{refusal}"
        );
    }
}
