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
    /// The agent's own news pass the filters that only make sense for records (sources, rules, detectors).
    pub fn accepts(&self, min_severity: Level, alert: &Alert) -> bool {
        let labels_fit = self
            .labels
            .iter()
            .all(|(key, value)| alert.labels.get(key) == Some(value));
        alert.severity >= min_severity && labels_fit && (is_own_news(alert.kind) || self.accepts_record(alert))
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
        Kind::Agent | Kind::Test | Kind::Digest => true,
        Kind::Exception | Kind::Record | Kind::Absence | Kind::Loss => false,
    }
}
